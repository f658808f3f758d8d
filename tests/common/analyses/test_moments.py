"""Shapes of distributions over sites: equal to the pooled ones, and to scipy."""

import numpy as np
import pytest
from scipy import stats

from common.analyses.moments import Moments
from common.analyses.runner import Cost, run
from tests.common.analyses.readings import check_laws, readings
from tests.common.analyses.tables import split_unevenly

OF = ("age", "marker", "raw", "huge", "tiny", "near", "dice_a")


def test_answer_does_not_depend_on_the_split() -> None:
    analysis = Moments(of=(*OF, "constant"), correction="holm")
    check_laws(analysis, readings(300, seed=1), (2, 5, 17))


def test_moments_and_k2_are_those_of_scipy() -> None:
    table = readings(300, seed=2)
    columns = run(Moments(of=OF), split_unevenly(table, 5)).values["columns"]
    for name in OF:
        x = table.columns[name][~np.isnan(table.columns[name])]
        rel = 1e-8 if name == "near" else 1e-11
        found, k2 = columns[name], stats.normaltest(x)
        assert found["n"] == x.size == 300 - found["missing"]
        assert found["mean"] == pytest.approx(x.mean(), rel=1e-13)
        assert found["sd"] == pytest.approx(x.std(ddof=1), rel=rel)
        assert found["skewness"] == pytest.approx(stats.skew(x), rel=rel, abs=rel)
        assert found["excess_kurtosis"] == pytest.approx(stats.kurtosis(x), rel=rel, abs=rel)
        assert found["k_squared"] == pytest.approx(k2.statistic, rel=1e-7)
        assert found["p"] == pytest.approx(k2.pvalue, rel=1e-6)


def test_three_rounds() -> None:
    cost = Cost()
    run(Moments(of=OF), split_unevenly(readings(200, seed=3), 4), cost=cost)
    assert cost.rounds == 3


def test_correction_counts_the_tests() -> None:
    analysis = Moments(of=("age", "raw"), correction="bonferroni")
    for found in run(analysis, [readings(200, seed=4)]).values["columns"].values():
        assert found["p_adjusted"] == pytest.approx(min(1.0, 2 * found["p"]))


@pytest.mark.parametrize("n", [0, 1, 19])
def test_too_few_cases_have_no_test(n: int) -> None:
    table = readings(40, seed=5).rows(np.arange(40) < n)
    found = run(Moments(of=("raw",)), [table]).values["columns"]["raw"]
    assert (found["n"], found["p"]) == (None if n == 1 else n, None)
    assert (found["mean"] is None) == (found["sd"] is None) == (n < 5)


def test_constant_column_has_neither_shape_nor_test() -> None:
    found = run(Moments(of=("constant",)), split_unevenly(readings(90, seed=6), 4))
    column = found.values["columns"]["constant"]
    assert (column["sd"], column["skewness"], column["p"]) == (0.0, None, None)


def test_refuses_categories() -> None:
    with pytest.raises(ValueError, match="got categories"):
        run(Moments(of=("sex",)), [readings(50, seed=7)])
