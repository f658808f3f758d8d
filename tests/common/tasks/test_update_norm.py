"""A site's change is shrunk to the norm the study names, and what exceeds it is seen."""

import numpy as np
import pytest

from common.tasks.update_norm import check_mean, norm_of, share_within

RNG = np.random.default_rng(0)


def _change(size: float) -> dict[str, np.ndarray]:
    found = {"a": RNG.normal(size=(4, 3)), "b": RNG.normal(size=7)}
    whole = np.linalg.norm(np.concatenate([x.ravel() for x in found.values()]))
    return {name: x * size / whole for name, x in found.items()}


def test_the_norm_is_over_all_weights_together() -> None:
    assert norm_of(_change(3.0)) == pytest.approx(3.0)


def test_a_small_change_stays_and_a_large_one_keeps_its_direction() -> None:
    assert share_within(_change(1.9), 2.0) == 1.0
    large = _change(50.0)
    factor = share_within(large, 2.0)
    assert norm_of({n: factor * x for n, x in large.items()}) == pytest.approx(2.0)


def test_the_mean_of_changes_within_the_norm_passes_whatever_their_cases() -> None:
    same = _change(2.0)  # the worst: all in one direction
    n = [3, 40, 11]
    mean = {name: sum(k * x for k in n) / sum(n) for name, x in same.items()}
    check_mean(mean, 2.0)


@pytest.mark.parametrize("size", [2.01, float("nan"), float("inf")])
def test_a_mean_beyond_the_norm_is_seen(size: float) -> None:
    with pytest.raises(ValueError, match="masks hide which"):
        check_mean(_change(size), 2.0)
