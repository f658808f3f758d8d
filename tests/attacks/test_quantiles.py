"""No quantile, however extreme, may close in on the largest or smallest value (R7)."""

import numpy as np
import pytest

from common.analyses.quantiles import Window, search_here
from common.cohort import Column

AGE = Column(type="integer", range=(18, 100))
FINE = Column(type="number", range=(0, 1000))
EXTREME = (0.001, 0.01, 0.5, 0.99, 0.999)


def _windows(column: Column, values: np.ndarray) -> list[Window]:
    return search_here(column, EXTREME, values, 5)


@pytest.mark.parametrize("column", [AGE, FINE])
@pytest.mark.parametrize("n", [12, 60, 400])
def test_five_lie_beyond_each_end_or_it_is_the_end_of_the_range(column: Column, n: int) -> None:
    rng = np.random.default_rng(n)
    values = np.rint(rng.normal(60, 9, n)) if column is AGE else rng.lognormal(3, 1, n)
    values = np.clip(values, 20, 98)
    low, high = column.range or (0.0, 0.0)
    for window in _windows(column, values):
        above, below = (values > window.high).sum(), (values <= window.low).sum()
        assert above >= 5 or window.high >= high
        assert below >= 5 or window.low <= low
        assert window.inside >= 5


def test_the_largest_and_smallest_value_change_nothing() -> None:
    values = np.random.default_rng(1).uniform(100, 200, 60)
    other = values.copy()
    other[np.argmax(values)], other[np.argmin(values)] = 999.0, 1.0
    assert _windows(FINE, values) == _windows(FINE, other)


def test_a_window_that_is_open_says_no_value_and_the_median_does() -> None:
    values = np.random.default_rng(2).uniform(100, 200, 60)
    found = [w.value for w in _windows(FINE, values)]
    assert np.isnan(found[0])
    assert np.isnan(found[-1])
    assert found[2] == pytest.approx(np.median(values), abs=10)


def test_ties_at_an_end_of_the_range_are_a_value() -> None:
    values = np.repeat([18.0, 40.0], [50, 10])
    assert _windows(AGE, values)[0].value == 18.0
