import numpy as np
import pytest

from common.networks.weights import initial_weights, load_weights, weights_of
from common.tasks.segmentation import Segmentation


def task(norm: str = "instance") -> Segmentation:
    return Segmentation.model_validate(
        {
            "images": ["t1"],
            "mask": "m",
            "recipe": {"size": [8, 8, 8]},
            "network": {"channels": [4, 8], "norm": norm},
        }
    )


def test_the_same_seed_starts_from_the_same_weights() -> None:
    first, again, other = (initial_weights(task().build(2), seed) for seed in (1, 1, 2))
    assert all(np.array_equal(first[name], again[name]) for name in first)
    assert not np.array_equal(first["heads.0.weight"], other["heads.0.weight"])


def test_weights_go_into_a_network_and_come_back() -> None:
    weights = initial_weights(task("batch").build(2), 1)
    weights = {name: value + 1 for name, value in weights.items()}
    back = weights_of(load_weights(task("batch").build(2), weights))
    assert back.keys() == weights.keys()
    assert all(np.array_equal(back[name], weights[name]) for name in weights)


def test_running_means_are_exchanged_and_whole_numbers_are_not() -> None:
    weights = initial_weights(task("batch").build(2), 1)
    assert any(name.endswith("running_mean") for name in weights)
    assert not any(name.endswith("num_batches_tracked") for name in weights)
    assert {value.dtype for value in weights.values()} == {np.dtype(np.float32)}


@pytest.mark.parametrize("spoil", ["missing", "extra", "shape"])
def test_weights_of_another_network_are_refused(spoil) -> None:
    weights = initial_weights(task().build(2), 1)
    if spoil == "missing":
        del weights["heads.0.bias"]
    elif spoil == "extra":
        weights["more"] = np.zeros(1, np.float32)
    else:
        weights["heads.0.bias"] = np.zeros(9, np.float32)
    with pytest.raises(ValueError, match="do not fit"):
        load_weights(task().build(2), weights)
