"""Agreement of categories over sites: equal to the pooled one, and to statsmodels."""

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import cohen_kappa_score
from statsmodels.stats.contingency_tables import SquareTable, mcnemar
from statsmodels.stats.inter_rater import cohens_kappa

from common.analyses.agreement_of_categories import AgreementOfCategories
from common.analyses.category_agreement import compared, kappa, symmetry
from common.analyses.hidden_cells import alike
from common.analyses.runner import Cost, run
from common.table import Table
from tests.common.analyses.readings import check_laws, readings
from tests.common.analyses.tables import split_unevenly

PAIRS = (("stage", "stage_b"), ("died", "died_b"))


def both(table: Table, pair: tuple[str, str]) -> np.ndarray:
    x = table.matrix(pair)
    return x[~np.isnan(x).any(axis=1)].astype(int).T


def crossed(table: Table, pair: tuple[str, str]) -> np.ndarray:
    return pd.crosstab(*both(table, pair)).to_numpy()


@pytest.mark.parametrize("weights", ["none", "linear", "quadratic"])
def test_answer_does_not_depend_on_the_split(weights: str) -> None:
    analysis = AgreementOfCategories(pairs=PAIRS, weights=weights)
    check_laws(analysis, readings(300, seed=1), (2, 5, 17))


@pytest.mark.parametrize("weights", ["none", "linear", "quadratic"])
def test_kappa_is_that_of_sklearn_and_statsmodels(weights: str) -> None:
    table = readings(300, seed=2)
    analysis = AgreementOfCategories(pairs=PAIRS, weights=weights, level=0.95)
    answer = run(analysis, split_unevenly(table, 5)).values
    for pair, found in zip(PAIRS, answer["pairs"], strict=True):
        kind = None if weights == "none" else weights
        kappa = found["kappa"]
        assert kappa["estimate"] == pytest.approx(
            cohen_kappa_score(*both(table, pair), weights=kind), rel=1e-12
        )
        expected = cohens_kappa(crossed(table, pair), wt=kind)
        assert kappa["se"] == pytest.approx(expected.std_kappa, rel=1e-10)
        interval = (expected.kappa_low, expected.kappa_upp)
        assert (kappa["ci_low"], kappa["ci_high"]) == pytest.approx(interval)
        assert kappa["p"] == pytest.approx(expected.pvalue_two_sided, abs=1e-12)
        assert kappa["n"] == both(table, pair).shape[1] == 300 - found["missing"]


def test_mcnemar_and_bowker_are_those_of_statsmodels() -> None:
    table = readings(300, seed=3)
    answer = run(AgreementOfCategories(pairs=PAIRS), split_unevenly(table, 4)).values
    stages, deaths = (pair["symmetry"] for pair in answer["pairs"])
    counts = crossed(table, PAIRS[1])
    assert deaths["p"] == pytest.approx(mcnemar(counts, exact=True).pvalue)
    expected = mcnemar(counts, exact=False, correction=True)
    assert deaths["statistic"] == pytest.approx(expected.statistic)
    assert deaths["p_chi_square"] == pytest.approx(expected.pvalue)
    bowker = SquareTable(crossed(table, PAIRS[0]), shift_zeros=False).symmetry()
    assert stages["statistic"] == pytest.approx(bowker.statistic)
    assert (stages["df"], stages["p"]) == (bowker.df, pytest.approx(bowker.pvalue))


def test_level_widens_the_interval() -> None:
    width = []
    for level in (0.8, 0.99):
        analysis = AgreementOfCategories(pairs=PAIRS, level=level)
        kappa = run(analysis, [readings(200, seed=4)]).values["pairs"][0]["kappa"]
        width.append(kappa["ci_high"] - kappa["ci_low"])
    assert 0 < width[0] < width[1]


def test_one_round_for_all_pairs() -> None:
    cost = Cost()
    tables = split_unevenly(readings(200, seed=4), 4)
    run(AgreementOfCategories(pairs=PAIRS), tables, cost=cost)
    assert cost.rounds == 1


def test_complete_agreement_and_a_single_level() -> None:
    table = readings(100, seed=5)
    analysis = AgreementOfCategories(pairs=(("died", "died"),))
    (found,) = run(analysis, split_unevenly(table, 3)).values["pairs"]
    assert found["kappa"]["estimate"] == pytest.approx(1.0)
    assert found["symmetry"]["p"] is None
    table.columns["died"][:] = 1.0
    (found,) = run(analysis, split_unevenly(table, 3)).values["pairs"]
    assert found["kappa"]["estimate"] is None
    assert "single level" in found["kappa"]["note"]


def test_small_cells_are_not_printed() -> None:
    table = readings(60, seed=6)
    (found, _) = run(AgreementOfCategories(pairs=PAIRS), [table]).values["pairs"]
    counts = crossed(table, PAIRS[0])
    shown = [list(row.values()) for row in found["counts"].values()]
    for row, true in zip(shown, counts.tolist(), strict=True):
        assert all(s is None or s == t for s, t in zip(row, true, strict=True))
        assert all(s is None for s, t in zip(row, true, strict=True) if 0 < t < 5)


def test_site_alone_shows_no_table_with_a_small_cell() -> None:
    table = readings(60, seed=7, smallest_cell=5)
    answer = run(AgreementOfCategories(pairs=PAIRS), [table], alone=True).values
    assert answer["pairs"][0]["kappa"] is None


def test_refuses_columns_of_different_levels() -> None:
    with pytest.raises(ValueError, match="same levels"):
        run(AgreementOfCategories(pairs=(("sex", "died"),)), [readings(50, seed=8)])


def _fitting(true: list[list[int]], told: Callable[[np.ndarray], object]) -> set[int]:
    """Return the small cells of all tables of 300 that would give the same answer."""
    cells, answer = set(), told(np.array(true))
    for apart in range(12, 19):
        for b in range(1, apart):
            for a in range(190, 211):
                table = [[a, b], [apart - b, 300 - apart - a]]
                if min(b, apart - b) < 5 and told(np.array(table)) == answer:
                    cells.add(min(b, apart - b))
    return cells


def test_a_hidden_cell_cannot_be_worked_out_of_what_is_told() -> None:
    def in_full(counts: np.ndarray) -> object:
        return kappa(counts, "none", 0.95)["estimate"], symmetry(counts)["p"]

    def told(counts: np.ndarray) -> object:
        return compared(counts, "none", 0.95)

    true = [[200, 3], [12, 85]]
    assert _fitting(true, in_full) == {3}
    assert len(_fitting(true, told)) > 1
    found = compared(np.array(true), "none", 0.95)
    assert "se" not in found["kappa"]
    assert "statistic" not in found["symmetry"]


@pytest.mark.parametrize(
    "true",
    [
        *([[200, 3], [12, 85]], [[40, 2], [1, 30]], [[90, 4], [0, 20]], [[1500, 3], [30, 900]]),
        [[123, 16, 14], [4, 60, 4], [12, 6, 111]],
    ],
)
def test_with_both_margins_known_another_table_is_told_alike(true: list[list[int]]) -> None:
    told = compared(np.array(true), "none", 0.95)
    others = alike(np.array(true))[1:]
    assert any(compared(other, "none", 0.95) == told for other in others)


def test_kappa_is_told_around_an_open_diagonal() -> None:
    """No two cases can change places there, three can: and kappa does not tell of it."""
    counts = np.array([[123, 16, 14], [4, 60, 4], [12, 6, 111]])
    found = compared(counts, "none", 0.95)["kappa"]
    assert (found["estimate"], found["ci_low"], found["ci_high"]) == (0.75, 0.69, 0.81)
    assert found["p"] is None


def test_kappa_is_told_in_as_wide_a_range_as_another_table_needs() -> None:
    rng, ranges = np.random.default_rng(4), 0
    for _ in range(60):
        share = np.full((3, 3), 0.02) + np.diag([0.3, 0.3, 0.28])
        counts = rng.multinomial(60, (share / share.sum()).ravel()).reshape(3, 3)
        found = compared(counts, "none", 0.95)["kappa"]
        ranges += "between" in found
        assert found["estimate"] is not None or "between" in found or len(alike(counts)) == 1
    assert ranges > 20
