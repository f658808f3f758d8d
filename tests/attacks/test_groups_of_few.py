"""Few deaths, survivors or positives of a group, had from the other groups' and the total."""

from collections.abc import Callable
from dataclasses import replace
from itertools import product
from typing import Any

import numpy as np
import pytest

from common.analyses import (
    compare_groups,
    group_ranks,
    group_spreads,
    missingness,
    survival_answer,
)
from common.analyses.analysis import Ask
from common.analyses.compare_groups import CompareGroups
from common.analyses.kaplan_meier import KaplanMeier
from common.analyses.missingness import Missingness
from common.analyses.publish import hidden_cells
from common.analyses.rank_cells import unpack, unpack_counts
from common.analyses.runner import Cost, exchange, run
from common.cohort import Column
from common.sums import Sums
from common.table import Table
from tests.attacks.test_small_cells import DAYS, SCORE, YES, _sites
from tests.common.analyses.readings import readings
from tests.common.analyses.tables import split_unevenly

GROUPS = ("a", "b", "c")
GROUP = Column(type="category", levels=GROUPS)
BINARY = Column(type="integer", range=(0, 1))


def _groups(few: str) -> list[Table]:
    """Return 90 patients, 30 in each group; in b two died, or two lived, or two lack a score."""
    group, days = np.repeat([0, 1, 2], 30), np.tile(np.linspace(10, 390, 30).astype(int), 3)
    died, score = np.arange(90) % 2, np.arange(90) / 90
    died[30:60] = (np.arange(30) % 15 == 0) == (few == "events")
    score[[1, 3, 5, 7, 9, 31, 33]] = np.nan
    columns = {"days": (DAYS, days), "died": (YES, died), "flag": (BINARY, died)}
    return _sites(group=(GROUP, group), score=(SCORE, score), **columns)


def _survival(few: str, group: str) -> dict[str, Any]:
    step = KaplanMeier(time="days", event="died", group=group)
    found: Any = run(step, _groups(few)).values["strata"]
    return dict(found["all"]["groups"])


def _deaths_of_b(few: str) -> int | None:
    """Return b's deaths or survivors: those of the step without groups less a's and c's."""
    told = [_survival(few, "")["all"], *(_survival(few, "group")[g] for g in "ac")]
    kinds = [of["events"] for of in told]
    if None in kinds:
        return None
    deaths = kinds[0] - kinds[1] - kinds[2]
    return int(deaths if few == "events" else 30 - deaths)


def _curves_of(few: str) -> list[list[int]]:
    """Return the days of the curves of all, a and c that are shown."""
    told = [_survival(few, "")["all"], *(_survival(few, "group")[g] for g in "ac")]
    return [of["curve"]["days"] for of in told if "curve" in of]


@pytest.mark.parametrize("few", ["events", "others"])
def test_without_the_rule_the_other_groups_tell_of_few_in_one(
    monkeypatch: pytest.MonkeyPatch, few: str
) -> None:
    def only_few(kinds: Any, smallest: int = 5) -> Any:
        return np.any([(of > 0) & (of < smallest) for of in kinds], axis=0)

    monkeypatch.setattr(survival_answer, "hidden_cells", only_few)
    assert _deaths_of_b(few) == 2
    assert len(_curves_of(few)) == 3


@pytest.mark.parametrize("few", ["events", "others"])
def test_few_deaths_or_survivors_hide_another_groups_and_its_curve(few: str) -> None:
    assert _deaths_of_b(few) is None
    assert len(_curves_of(few)) == 2
    found: Any = run(KaplanMeier(time="days", event="died", group="group"), _groups(few)).values
    picture = found["strata"]["all"]
    hidden = [g for g, of in picture["groups"].items() if of["events"] is None]
    assert [picture["groups"][g]["n"] for g in GROUPS] == [30, 30, 30]
    assert len(hidden) == 2
    for test in (picture["log_rank"], picture["log_rank_by_site"]):
        assert test["chi2"] is test["p"] is None
        assert test["p_below"] in (0.001, 0.05, None)
    for pair in picture["pairs"]:
        assert pair["chi2"] is None
        assert pair["restricted_mean_difference"] is None
        closed = {pair["a"], pair["b"]} & set(hidden)
        assert (pair["p"] is None) == (pair["p_adjusted"] is None) == bool(closed)
        assert not closed or pair["p_below"] in (0.001, 0.05, None)


def _by_rows_and_columns(hidden: np.ndarray, kinds: list[np.ndarray]) -> bool:
    """Tell whether a total and what is shown leave one hidden cell, or few in them."""
    for turned in (False, True):
        lines = hidden.T if turned else hidden
        for i, line in enumerate(lines):
            cells = [(of.T if turned else of)[i] for of in kinds]
            few = any(0 < of[line].sum() < 5 for of in cells)
            if cells[0][~line].any() and (few or line.sum() == 1):
                return True
    return False


def test_no_total_of_a_stratum_or_group_tells_a_hidden_cell() -> None:
    rng = np.random.default_rng(3)
    for shape in product((1, 2, 3), (1, 2, 4)):
        n = rng.integers(0, 30, shape)
        deaths = rng.binomial(n, 0.3)
        kinds = [n, deaths, n - deaths]
        hidden = hidden_cells(kinds)
        assert all(hidden[(of > 0) & (of < 5)].all() for of in kinds)
        assert not _by_rows_and_columns(hidden, kinds)
    assert not hidden_cells([np.array([[9, 0], [30, 7]])]).any()


def _flags_of_b(test: str) -> int | None:
    """Return the ones of b, by means or by ranks of a and b, in which 17 are ones."""
    tables = [t.rows(t.columns["group"] < 2) for t in _groups("events")]
    two = Column(type="category", levels=("a", "b"))
    tables = [replace(t, contract={**t.contract, "group": two}) for t in tables]
    step = CompareGroups(of=("flag",), by="group", test=test)  # type: ignore[arg-type]
    found: Any = run(step, tables).values["columns"]["flag"]
    if test == "welch":
        mean = found["groups"]["b"].get("mean")
        return None if mean is None else round(30 * mean)
    if "auc" not in found:
        return None  # auc: 1/2 + (share of b - share of a) / 2
    return round((17 / 30 + 2 * found["auc"] - 1) * 15)


@pytest.mark.parametrize("test", ["welch", "mann_whitney"])
def test_a_mean_or_rank_of_a_yes_or_no_does_not_count_few_in_a_group(
    monkeypatch: pytest.MonkeyPatch, test: str
) -> None:
    assert _flags_of_b(test) is None
    monkeypatch.setattr(compare_groups, "is_binary", lambda *_: False)
    assert _flags_of_b(test) == 2


def _missing_of_b() -> int | None:
    """Return b's missing values: those of the patterns less the other groups'."""
    found = run(Missingness(of=("score",), by="group"), _groups("events")).values
    groups: Any = found["columns"]["score"]  # type: ignore[index,call-overload]
    patterns: Any = found["patterns"]
    if None in (groups["a"]["missing"], groups["c"]["missing"]):
        return None
    lacking = next(p["n"] for p in patterns if p["missing"] == ["score"])
    return int(lacking - groups["a"]["missing"] - groups["c"]["missing"])


def test_missing_values_of_few_in_a_group_are_not_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    assert _missing_of_b() is None
    monkeypatch.setattr(missingness, "with_another", lambda hidden, *_: hidden)
    assert _missing_of_b() == 2


TESTS = ("t", "welch", "levene", "brown_forsythe", "anova")


def _one_alone() -> list[Table]:
    """Return three sites' patients; the first of the first site is the only man."""
    tables = split_unevenly(readings(200, seed=5), 3)
    for table in tables:
        table.columns["sex"][:] = 0.0
        table.columns["sex"][::2] = np.nan
    tables[0].columns["sex"][:9] = [1.0, *[np.nan] * 8]
    return tables


def _seen_of_the_one(test: str) -> bool:
    """Tell whether a total that the coordinator sees is the row of the one of its group."""
    tables = _one_alone()
    mine = {float(tables[0].columns[c][0]) for c in ("raw", "near")}
    seen: list[float] = []

    def watching(analysis: Any, tables: Any, ask: Ask, cost: Cost) -> Sums:
        total = exchange(analysis, tables, ask, cost)
        centre = np.asarray(ask.arrays.get("centre", 0.0), np.float64)
        n, scale = np.asarray(total.get("valid", 1)), np.asarray(ask.arrays.get("scale", 1.0))
        for name in ("sum", "sum_high", "d"):
            if name in total:
                of = np.asarray(total[name], np.float64)
                seen.extend((of * scale + n * centre if name == "d" else of).ravel().tolist())
        return total

    by: Callable[..., Sums] = watching
    run(CompareGroups(of=("raw", "near"), by="sex", test=test), tables, by=by)
    return any(abs(one - other) < 1e-6 for one in seen for other in mine)


@pytest.mark.parametrize("test", TESTS)
def test_no_total_is_the_row_of_one_alone_in_a_group(test: str) -> None:
    assert not _seen_of_the_one(test)


@pytest.mark.parametrize("test", TESTS)
def test_without_the_rule_it_is(test: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(group_spreads, "_told", lambda valid: np.ones_like(valid))
    assert _seen_of_the_one(test)


RANK_TESTS = [
    ("mann_whitney", False),
    ("mann_whitney", True),
    ("kruskal_wallis", False),
    ("kruskal_wallis", True),
]
RANKED = ("raw", "age", "near")


def _cells_of_the_one(test: str, *, exact: bool) -> dict[int, tuple[float, float]]:
    """Return between which numbers the totals put the only man, by column; the last of each."""
    tables, found = _one_alone(), {}

    def watching(analysis: Any, tables: Any, ask: Ask, cost: Cost) -> Sums:
        total = exchange(analysis, tables, ask, cost)
        edges = unpack(ask.arrays)
        for i, of in unpack_counts(edges, total["cells"]).items():
            cell = np.flatnonzero(of[1]) if len(of) == 2 else np.zeros(0)
            if cell.size:
                ends = [-np.inf, *edges[i], np.inf]
                found[i] = ends[cell[0]], ends[cell[0] + 1]
        return total

    step = CompareGroups(of=RANKED, by="sex", test=test, exact_ranks=exact)  # type: ignore[arg-type]
    answer: Any = run(step, tables, by=watching).values["columns"]
    assert all(of["statistic"] is of["p"] is None for of in answer.values())
    return found


@pytest.mark.parametrize(("test", "exact"), RANK_TESTS)
def test_no_total_holds_a_cell_of_one_alone_in_a_group(test: str, exact: bool) -> None:
    assert not _cells_of_the_one(test, exact=exact)


@pytest.mark.parametrize(("test", "exact"), RANK_TESTS)
def test_without_the_rule_cells_are_the_row_of_the_one(
    test: str, exact: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(group_ranks, "_told", lambda valid: np.ones(valid.shape[1], np.bool_))
    found, columns = _cells_of_the_one(test, exact=exact), _one_alone()[0].columns
    for i, name in enumerate(RANKED):
        low, high = found[i]
        assert low < columns[name][0] <= high
        assert high - low < np.nanstd(columns[name]) / (5 if exact else 1)
