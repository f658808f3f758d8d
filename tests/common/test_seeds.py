import numpy as np
import torch

from common.seeds import numpy_rng, seed, torch_rng


def test_a_seed_depends_on_every_part_and_on_nothing_else() -> None:
    assert seed("run", "north", 3) == seed("run", "north", 3)
    words = [("a", "b"), ("ab",), ("b", "a"), ("a", "b", ""), ("a",), (1,), ("1",)]
    assert len({seed(*w) for w in words}) == len(words)


def test_a_seed_fits_every_generator() -> None:
    assert all(0 <= seed(i) < 2**63 for i in range(100))


def test_generators_do_not_touch_each_other() -> None:
    before = torch.get_rng_state()
    first = numpy_rng("a").random(3), torch.rand(3, generator=torch_rng("a"))
    numpy_rng("b").random(7)
    again = numpy_rng("a").random(3), torch.rand(3, generator=torch_rng("a"))
    assert np.array_equal(first[0], again[0])
    assert torch.equal(first[1], again[1])
    assert torch.equal(before, torch.get_rng_state())
