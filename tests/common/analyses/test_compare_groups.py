"""Group tests over sites: equal to the pooled ones, and to scipy."""

import numpy as np
import pytest
from scipy import stats

from common.analyses.compare_groups import CompareGroups
from common.analyses.runner import Cost, run
from common.cohort import Column
from common.table import Table
from tests.common.analyses.readings import (
    check_laws,
    close,
    groups_of,
    readings,
    with_columns,
)
from tests.common.analyses.tables import split_unevenly

OF = ("age", "marker", "raw", "huge", "tiny", "near")
TWO = ("t", "welch", "mann_whitney")
MANY = ("anova", "welch_anova", "levene", "brown_forsythe", "kruskal_wallis")


def scipys(test: str, parts: list[np.ndarray]) -> tuple[float, float]:
    found = {
        "t": lambda: stats.ttest_ind(parts[1], parts[0]),
        "welch": lambda: stats.ttest_ind(parts[1], parts[0], equal_var=False),
        "mann_whitney": lambda: stats.mannwhitneyu(parts[1], parts[0], method="asymptotic"),
        "anova": lambda: stats.f_oneway(*parts),
        "welch_anova": lambda: stats.f_oneway(*parts, equal_var=False),
        "levene": lambda: stats.levene(*parts, center="mean"),
        "brown_forsythe": lambda: stats.levene(*parts, center="median"),
        "kruskal_wallis": lambda: stats.kruskal(*parts),
    }[test]()
    return float(found.statistic), float(found.pvalue)


def grouping(test: str) -> tuple[str, int]:
    return ("sex", 2) if test in TWO else ("stage", 4)


@pytest.mark.parametrize("test", TWO + MANY)
def test_answer_does_not_depend_on_the_split(test: str) -> None:
    by, _ = grouping(test)
    analysis = CompareGroups(of=(*OF, "constant"), by=by, test=test, correction="fdr_bh")
    check_laws(analysis, readings(300, seed=3), (2, 5, 17))


@pytest.mark.parametrize("alone", [False, True])
@pytest.mark.parametrize("test", TWO + MANY)
def test_statistic_and_p_are_those_of_scipy(test: str, alone: bool) -> None:
    by, n_groups = grouping(test)
    table = readings(400, seed=4, smallest_cell=5 if alone else 0)
    analysis = CompareGroups(of=OF, by=by, test=test, exact_ranks=True)
    tables = [table] if alone else split_unevenly(table, 5)
    answer = run(analysis, tables, alone=alone).values["columns"]
    for name in OF:
        statistic, p = scipys(test, groups_of(table, name, by, n_groups))
        # Numbers 1e6 times their spread lose six digits before anything is summed.
        rel = 1e-7 if name == "near" else 1e-11
        assert answer[name]["statistic"] == pytest.approx(statistic, rel=rel)
        assert answer[name]["p"] == pytest.approx(p, rel=rel)
        assert answer[name]["mode"] == "exact"


@pytest.mark.parametrize("test", ["t", "welch"])
def test_difference_has_the_interval_of_scipy(test: str) -> None:
    table = readings(200, seed=5)
    answer = run(CompareGroups(of=("marker",), by="sex", test=test, level=0.9), [table])
    found = answer.values["columns"]["marker"]
    female, male = groups_of(table, "marker", "sex", 2)
    expected = stats.ttest_ind(male, female, equal_var=test == "t")
    low, high = expected.confidence_interval(0.9)
    assert found["estimate"] == pytest.approx(male.mean() - female.mean(), rel=1e-12)
    assert (found["ci_low"], found["ci_high"]) == pytest.approx((low, high), rel=1e-11)
    assert found["groups"]["f"]["mean"] == pytest.approx(female.mean(), rel=1e-13)
    assert found["groups"]["m"]["sd"] == pytest.approx(male.std(ddof=1), rel=1e-13)


@pytest.mark.parametrize("seed", range(5))
def test_binned_ranks_lie_within_their_bound(seed: int) -> None:
    table = readings(500, seed=seed)
    analysis = CompareGroups(of=("marker", "raw"), by="sex", test="mann_whitney")
    for name, found in run(analysis, [table]).values["columns"].items():
        parts = groups_of(table, name, "sex", 2)
        auc = scipys("mann_whitney", parts)[0] / (len(parts[0]) * len(parts[1]))
        assert found["mode"] == "binned"
        assert abs(found["auc"] - auc) <= found["bound"] < 0.005
    analysis = CompareGroups(of=("marker", "raw"), by="stage", test="kruskal_wallis")
    for name, found in run(analysis, [table]).values["columns"].items():
        h, _ = scipys("kruskal_wallis", groups_of(table, name, "stage", 4))
        assert abs(found["statistic"] - h) <= found["bound"]


def test_resolution_rounds_before_ranking_and_is_then_exact() -> None:
    table = readings(400, seed=6)
    analysis = CompareGroups(of=("marker",), by="sex", test="mann_whitney", resolution=0.1)
    found = run(analysis, split_unevenly(table, 4)).values["columns"]["marker"]
    parts = [np.rint(x / 0.1) for x in groups_of(table, "marker", "sex", 2)]
    assert found["mode"] == "exact"
    assert found["p"] == pytest.approx(scipys("mann_whitney", parts)[1], rel=1e-12)


@pytest.mark.parametrize(
    ("correction", "name"),
    [("bonferroni", "bonferroni"), ("holm", "holm"), ("fdr_bh", "fdr_bh")],
)
def test_corrected_p_is_that_of_statsmodels(correction: str, name: str) -> None:
    from statsmodels.stats.multitest import multipletests

    table = readings(200, seed=7)
    analysis = CompareGroups(of=OF, by="died", test="welch", correction=correction)
    columns = run(analysis, [table]).values["columns"].values()
    p = [c["p"] for c in columns]
    expected = multipletests(p, method=name)[1]
    assert [c["p_adjusted"] for c in columns] == pytest.approx(list(expected))


@pytest.mark.parametrize(
    ("test", "rounds"),
    [("t", 2), ("levene", 3), ("brown_forsythe", 7), ("mann_whitney", 2)],
)
def test_rounds(test: str, rounds: int) -> None:
    cost = Cost()
    by, _ = grouping(test)
    tables = split_unevenly(readings(300, seed=3), 4)
    run(CompareGroups(of=("age", "marker"), by=by, test=test), tables, cost=cost)
    assert cost.rounds == rounds


def test_whole_numbers_are_ranked_in_two_rounds() -> None:
    cost = Cost()
    analysis = CompareGroups(of=("age",), by="sex", test="mann_whitney")
    answer = run(analysis, [readings(300, seed=3)], cost=cost)
    assert (cost.rounds, answer.values["columns"]["age"]["mode"]) == (2, "exact")


@pytest.mark.parametrize("test", ["mann_whitney", "kruskal_wallis"])
def test_a_column_with_few_in_a_group_is_not_ranked_and_the_others_are(test: str) -> None:
    by, n_groups = grouping(test)
    table = readings(300, seed=3)
    last = np.flatnonzero((table.columns[by] == n_groups - 1) & ~np.isnan(table.columns["raw"]))
    for name in ("raw", "age"):
        table.columns[name][last[3:]] = np.nan
    analysis = CompareGroups(of=("raw", "age", "marker"), by=by, test=test, exact_ranks=True)
    columns = run(analysis, split_unevenly(table, 4)).values["columns"]
    assert {c: of["statistic"] for c, of in columns.items() if c != "marker"} == {
        "raw": None,
        "age": None,
    }
    alone = run(analysis.model_copy(update={"of": ("marker",)}), [table]).values["columns"]
    statistic, _ = scipys(test, groups_of(table, "marker", by, n_groups))
    assert columns["marker"]["statistic"] == pytest.approx(statistic, rel=1e-11)
    assert {**columns["marker"], "p_adjusted": 0} == {**alone["marker"], "p_adjusted": 0}


@pytest.mark.parametrize("test", TWO + MANY)
def test_constant_column_and_empty_group_have_no_p_but_a_note(test: str) -> None:
    table = readings(100, seed=8)
    table.columns["sex"][:] = 0.0
    table.columns["stage"][:] = 0.0
    analysis = CompareGroups(of=("constant", "raw"), by=grouping(test)[0], test=test)
    for found in run(analysis, split_unevenly(table, 3)).values["columns"].values():
        assert found["p"] is None
        assert found["note"]


@pytest.mark.parametrize("test", MANY)
def test_empty_level_is_left_out(test: str) -> None:
    table = readings(300, seed=9)
    table.columns["stage"][table.columns["stage"] == 2] = np.nan
    analysis = CompareGroups(of=("raw",), by="stage", test=test, exact_ranks=True)
    found = run(analysis, split_unevenly(table, 5)).values["columns"]["raw"]
    parts = [p for p in groups_of(table, "raw", "stage", 4) if p.size]
    assert found["p"] == pytest.approx(scipys(test, parts)[1], rel=1e-10)


def test_small_group_shows_neither_count_nor_mean() -> None:
    table = readings(100, seed=10)
    table.columns["sex"][:] = 0.0
    table.columns["sex"][:3] = 1.0
    analysis = CompareGroups(of=("raw",), by="sex", test="t")
    groups = run(analysis, [table]).values["columns"]["raw"]["groups"]
    assert groups["m"] == {"n": None, "mean": None, "sd": None}
    assert groups["f"]["n"] is None


def test_refuses_two_group_tests_of_more_groups_and_categories() -> None:
    table = readings(50, seed=11)
    with pytest.raises(ValueError, match='"stage" has 4'):
        run(CompareGroups(of=("raw",), by="stage", test="t"), [table])
    with pytest.raises(ValueError, match="got categories"):
        run(CompareGroups(of=("sex",), by="stage", test="anova"), [table])
    with pytest.raises(ValueError, match="expected groups"):
        run(CompareGroups(of=("raw",), by="marker", test="anova"), [table])


@pytest.mark.parametrize("test", TWO + MANY)
def test_site_alone_sends_no_count_on_a_fine_grid(test: str) -> None:
    table = readings(200, seed=12, smallest_cell=5)
    analysis = CompareGroups(of=("age", "marker"), by=grouping(test)[0], test=test)
    assert never_alone(analysis, table) == set()


def never_alone(analysis: CompareGroups, table: Table) -> set[str]:
    solving = analysis.solve(table.contract, alone=True)
    ask, found = next(solving), set()
    while True:
        schema = analysis.schema(ask, table.contract)
        found |= {name for name, field in schema.items() if field.alone == "never"}
        try:
            ask = solving.send(analysis.summarise(table, ask))
        except StopIteration:
            return found


def test_medians_of_many_columns_fit_one_message() -> None:
    rng, cost = np.random.default_rng(0), Cost()
    names = tuple(f"f{i}" for i in range(600))
    table = with_columns(
        readings(60, seed=14),
        dict.fromkeys(names, Column(type="number")),
        **{name: rng.lognormal(0, 2, 60) for name in names},
    )
    analysis = CompareGroups(of=names, by="sex", test="brown_forsythe")
    answer = run(analysis, [table], cost=cost).values["columns"]
    _, p = scipys("brown_forsythe", groups_of(table, "f7", "sex", 2))
    assert answer["f7"]["p"] == close(p)
    assert cost.rounds <= 11
    assert cost.bytes_up / cost.rounds < 10e6


def test_many_columns_at_once() -> None:
    rng = np.random.default_rng(0)
    names = tuple(f"f{i}" for i in range(200))
    table = with_columns(
        readings(120, seed=13),
        dict.fromkeys(names, Column(type="number")),
        **{name: rng.lognormal(0, 2, 120) for name in names},
    )
    analysis = CompareGroups(of=("f*",), by="sex", test="mann_whitney", exact_ranks=True)
    analysis = analysis.expand(tuple(table.contract))
    assert analysis.of == names
    answer = run(analysis, split_unevenly(table, 4)).values["columns"]
    for name in names[::40]:
        _, p = scipys("mann_whitney", groups_of(table, name, "sex", 2))
        assert answer[name]["p"] == close(p, 1e-12)
