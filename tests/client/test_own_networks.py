import numpy as np

from client.own_networks import OwnNetworks
from client.site import Site, SiteSettings


def own(tmp_path, fold: int = 0) -> OwnNetworks:
    return OwnNetworks(Site(SiteSettings(name="north", cohort="."), tmp_path), "run", "step", fold)


def part(value: float) -> dict[str, np.ndarray]:
    return {"norm.weight": np.array([value], np.float32)}


def value(weights) -> float | None:
    return None if weights is None else float(weights["norm.weight"][0])


def test_a_round_asked_again_begins_where_it_began(tmp_path) -> None:
    kept = own(tmp_path)
    assert kept.local_part(before=0) is None
    for round_ in range(3):
        kept.keep_local_part(round_, part(round_), best=-1)
    assert value(kept.local_part(before=2)) == 1.0
    kept.keep_local_part(2, part(9.0), best=-1)
    assert value(kept.local_part(before=2)) == 1.0
    assert value(kept.local_part(before=3)) == 9.0


def test_the_part_of_the_best_round_is_kept_to_the_end(tmp_path) -> None:
    kept = own(tmp_path)
    for round_ in range(10):
        kept.keep_local_part(round_, part(round_), best=4 if round_ >= 4 else 0)
    assert value(kept.local_part(before=4)) == 3.0
    assert value(kept.local_part(before=10)) == 9.0
    assert len(list(kept.folder.iterdir())) == 3


def test_networks_of_folds_and_of_kinds_do_not_mix(tmp_path) -> None:
    whole, first, second = (own(tmp_path, fold) for fold in (0, 1, 2))
    first.keep_alone(0, part(1.0))
    first.keep_alone(1, part(2.0))
    second.keep_tuned(part(3.0))
    assert value(first.alone()) == 2.0
    assert value(first.alone(after=0)) == 1.0
    assert whole.alone() is None
    assert second.alone() is None
    assert value(second.tuned()) == 3.0
    assert first.tuned() is None
    assert first.local_part(before=9) is None
