"""Cross tables over sites: equal to the pooled ones, and to scipy."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from statsmodels.stats.contingency_tables import Table2x2

from common.analyses.cross_tabulate import CrossTabulate
from common.analyses.runner import Cost, run
from common.analyses.two_way import printed
from common.table import Table
from tests.common.analyses.readings import check_laws, readings
from tests.common.analyses.tables import split_unevenly


def crossed(table: Table, a: str, b: str) -> np.ndarray:
    frame = pd.DataFrame({"a": table.columns[a], "b": table.columns[b]}).dropna()
    return pd.crosstab(frame["a"], frame["b"]).to_numpy()


@pytest.mark.parametrize("test", ["chi_square", "fisher"])
def test_answer_does_not_depend_on_the_split(test: str) -> None:
    of = ("sex",) if test == "fisher" else ("sex", "stage")
    analysis = CrossTabulate(of=of, by="died", test=test, correction="holm")
    check_laws(analysis, readings(300, seed=1), (2, 5, 17))


@pytest.mark.parametrize("yates", [False, True])
def test_chi_square_is_that_of_scipy(yates: bool) -> None:
    table = readings(300, seed=2)
    analysis = CrossTabulate(of=("sex", "stage"), by="died", yates=yates)
    answer = run(analysis, split_unevenly(table, 5)).values["columns"]
    for name in ("sex", "stage"):
        counts = crossed(table, name, "died")
        expected = stats.chi2_contingency(counts, correction=yates)
        found = answer[name]
        assert found["statistic"] == pytest.approx(expected.statistic, rel=1e-12)
        assert found["p"] == pytest.approx(expected.pvalue, rel=1e-12)
        assert found["df"] == expected.dof
        v = stats.contingency.association(counts, method="cramer")
        assert found["cramers_v"] == pytest.approx(v)
        assert found["smallest_expected"] == pytest.approx(expected.expected_freq.min())
        shown = [list(row.values()) for row in found["counts"].values()]
        assert shown == counts.tolist()
        assert found["n"] == counts.sum() == 300 - found["missing"]


def test_fisher_and_odds_ratio_are_those_of_scipy_and_statsmodels() -> None:
    table = readings(80, seed=3)
    analysis = CrossTabulate(of=("sex",), by="died", test="fisher", level=0.9)
    found = run(analysis, split_unevenly(table, 3)).values["columns"]["sex"]
    counts = crossed(table, "sex", "died")
    assert found["p"] == pytest.approx(stats.fisher_exact(counts).pvalue, rel=1e-12)
    expected = Table2x2(counts.astype(float))
    ratio = found["odds_ratio"]
    assert ratio["estimate"] == pytest.approx(expected.oddsratio)
    interval = expected.oddsratio_confint(alpha=0.1)
    assert (ratio["ci_low"], ratio["ci_high"]) == pytest.approx(interval)


def test_corrects_for_the_number_of_columns() -> None:
    analysis = CrossTabulate(of=("sex", "stage"), by="died", correction="bonferroni")
    answer = run(analysis, [readings(200, seed=3)]).values["columns"]
    for found in answer.values():
        assert found["p_adjusted"] == pytest.approx(min(1, 2 * found["p"]))


def test_zero_cell_has_an_odds_ratio_with_a_half_added() -> None:
    table = readings(60, seed=4)
    table.columns["died"][table.columns["sex"] == 1] = 1.0
    found = run(CrossTabulate(of=("sex",), by="died"), [table]).values["columns"]["sex"]
    expected = Table2x2(crossed(table, "sex", "died") + 0.5)
    assert found["odds_ratio"]["estimate"] == pytest.approx(expected.oddsratio)


def test_one_round() -> None:
    cost = Cost()
    tables = split_unevenly(readings(200, seed=5), 4)
    run(CrossTabulate(of=("sex", "stage"), by="died"), tables, cost=cost)
    assert cost.rounds == 1


def test_no_small_cell_is_printed_nor_given_away_by_a_total() -> None:
    rng = np.random.default_rng(0)
    for _ in range(300):
        counts = rng.integers(0, 12, (rng.integers(2, 5), rng.integers(2, 5)))
        names = tuple("abcd")
        shown = printed(counts, names[: counts.shape[0]], names[: counts.shape[1]])
        cells = np.array([[c is None for c in row.values()] for row in shown.values()])
        assert cells[(counts > 0) & (counts < 5)].all()
        for hidden in (cells, cells.T):
            assert (hidden.sum(axis=1) != 1).all()
        assert cells.any() == ((counts > 0) & (counts < 5)).any()


def test_site_alone_shows_no_table_with_a_small_cell() -> None:
    table = readings(60, seed=6, smallest_cell=5)
    answer = run(CrossTabulate(of=("sex", "stage"), by="died"), [table], alone=True)
    assert answer.values["columns"]["sex"]["p"] is not None
    table.columns["sex"][:] = 0.0
    table.columns["sex"][:3] = 1.0
    answer = run(CrossTabulate(of=("sex",), by="died"), [table], alone=True)
    found = answer.values["columns"]["sex"]
    assert found == {
        "n": None,
        "p": None,
        "note": "a cell below five",
        "p_adjusted": None,
    }


def test_column_of_one_level_has_a_note() -> None:
    table = readings(60, seed=7)
    table.columns["sex"][:] = 0.0
    for test in ("chi_square", "fisher"):
        analysis = CrossTabulate(of=("sex",), by="died", test=test)
        found = run(analysis, split_unevenly(table, 3)).values["columns"]["sex"]
        assert found["p"] is None
        assert "fewer than two levels" in found["note"]
        assert found["odds_ratio"]["estimate"] is None


def test_refuses_fisher_for_more_than_two_by_two() -> None:
    with pytest.raises(ValueError, match="two by two"):
        run(
            CrossTabulate(of=("stage",), by="died", test="fisher"),
            [readings(60, seed=8)],
        )
