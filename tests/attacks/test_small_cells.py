"""Cells of one to four patients, worked out of what is printed: each attack with its rule."""

from collections import Counter
from dataclasses import replace
from functools import partial
from itertools import product
from typing import Any

import numpy as np
import pytest

from common.analyses import (
    cross_tabulate,
    cutoff_scan,
    describe_answer,
    reclassification,
    survival_table,
    two_way,
)
from common.analyses.cross_tabulate import CrossTabulate
from common.analyses.cutoff_scan import CutoffScan
from common.analyses.describe import Describe
from common.analyses.kaplan_meier import KaplanMeier
from common.analyses.operating_point import OperatingPoint
from common.analyses.roc import Roc
from common.analyses.runner import run
from common.cohort import Column
from common.errors import Refused
from common.table import Table
from tests.attacks.coordinator import cohorts, coordinator
from tests.common.analyses.tables import clinical, split_unevenly

YES = Column(type="category", levels=("n", "y"))
SCORE = Column(type="number", range=(0, 1))


def _sites(n: int = 90, **columns: tuple[Column, np.ndarray]) -> list[Table]:
    table = clinical(n, seed=4)
    contract = {name: column for name, (column, _) in columns.items()}
    values = {name: value.astype(np.float64) for name, (_, value) in columns.items()}
    return split_unevenly(replace(table, columns=values, contract=contract), 4)


def _two_by_two() -> list[Table]:
    """Return 90 patients of whom 3 have both the marker and the outcome."""
    a, b = np.zeros(90), np.zeros(90)
    a[:20], b[17:50] = 1, 1
    return _sites(a=(YES, a), b=(YES, b))


def _fitting(answer: dict[str, float]) -> list[int]:
    """Return the cells (y, y) of all tables with this n, chi-square and odds ratio."""
    n = int(answer["n"])
    found = []
    for a, b, c in product(range(51), repeat=3):
        d = n - a - b - c
        rows, columns = (a + b) * (c + d), (a + c) * (b + d)
        if d < 0 or not rows * columns or not b * c or not a * d:
            continue
        chi = n * (a * d - b * c) ** 2 / (rows * columns)
        if abs(chi - answer["statistic"]) < 1e-9 and abs(a * d / (b * c) - answer["odds"]) < 1e-9:
            found.append(min(a, b, c, d))
    return found


def test_without_the_rule_a_hidden_cell_follows_from_its_statistics(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(cross_tabulate, "without_hidden", lambda test, counts: test(counts))
    found = run(CrossTabulate(of=("a",), by="b"), _two_by_two()).values["columns"]["a"]  # type: ignore[index,call-overload]
    assert found["counts"] == {"n": {"n": None, "y": None}, "y": {"n": None, "y": None}}
    told = {"n": found["n"], "statistic": found["statistic"]}
    assert set(_fitting({**told, "odds": found["odds_ratio"]["estimate"]})) == {3}


def test_a_table_with_a_hidden_cell_keeps_its_statistics_to_itself() -> None:
    found = run(CrossTabulate(of=("a",), by="b"), _two_by_two()).values["columns"]["a"]  # type: ignore[index,call-overload]
    assert not {"statistic", "odds_ratio", "cramers_v", "smallest_expected"} & set(found)
    assert found["p"] is None
    assert "below five" in found["hidden"]


def _missing() -> list[Table]:
    marker = np.arange(90.0)
    marker[[5, 50]] = np.nan
    return _sites(marker=(Column(type="number"), marker))


def test_without_the_rule_table_one_counts_the_two_without_a_value(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(describe_answer, "shown_counts", list)
    column = run(Describe(of=("marker",)), _missing()).values["columns"]["marker"]  # type: ignore[index,call-overload]
    assert column["missing"] == 2


def test_few_without_a_value_are_not_counted() -> None:
    column = run(Describe(of=("marker",)), _missing()).values["columns"]["marker"]  # type: ignore[index,call-overload]
    assert (column["n"], column["missing"]) == (None, None)
    assert column["mean"] == pytest.approx(np.nanmean(np.arange(90.0)), abs=1.0)


DAYS = Column(type="integer", range=(0, 400))


def _survival() -> list[Table]:
    """Return 90 patients; two deaths among many who leave in the first 100 days."""
    days, died = np.linspace(10, 390, 90).astype(int), np.zeros(90)
    died[[3, 9]] = 1
    died[40:] = np.arange(50) % 2
    return _sites(days=(DAYS, days), died=(YES, died))


def _deaths_between(tables: list[Table]) -> list[float]:
    """Return the deaths between neighbouring published days, as survival tells them."""
    answer = run(KaplanMeier(time="days", event="died"), tables).values["strata"]
    curve = answer["all"]["groups"]["all"]["curve"]  # type: ignore[index,call-overload]
    hazard = -np.diff(np.log(curve["survival"]))  # a death among r at risk lowers log S by 1/r
    return list(np.rint(hazard * np.array(curve["at_risk"][:-1])))


def test_without_the_rule_a_curve_tells_of_two_deaths(monkeypatch: pytest.MonkeyPatch) -> None:
    real = survival_table.runs
    monkeypatch.setattr(
        survival_table, "runs", lambda counts, least, **_: real(counts, least, each=False)
    )
    assert any(0 < k < 5 for k in _deaths_between(_survival()))


def test_a_curve_has_nobody_or_five_deaths_between_two_days() -> None:
    assert all(k == 0 or k >= 4 for k in _deaths_between(_survival()))  # to its rounding


def _strata(few: str) -> list[Table]:
    """Return 90 patients in strata a, b, c; b has three, or thirty of whom two died, or lived."""
    died, stratum = np.arange(90) % 2, np.zeros(90)
    stratum[40:70] = 2
    stratum[[0, 44, 88] if few == "n" else slice(30)] = 1
    if few != "n":
        died[:30] = (np.arange(30) < 2) == (few == "events")
    days = np.linspace(10, 390, 90).astype(int)
    columns = {"days": (DAYS, days), "died": (YES, died), "score": (SCORE, np.arange(90) / 90)}
    return _sites(stratum=(Column(type="category", levels=("a", "b", "c")), stratum), **columns)


def _told_of_b(few: str) -> int | None:
    """Return b's patients, deaths or survivors: all, as a step beside tells, less the others'."""
    tables = _strata(few)
    step = CutoffScan(time="days", event="died", marker="score", cutoffs=(0.5,), by="stratum")
    strata: Any = run(step, tables).values["strata"]
    found = strata["b"]
    if found["n"] is None:
        if None in (strata["a"]["n"], strata["c"]["n"]):
            return None
        everyone = {"n": 90, "events": int(sum(t.columns["died"].sum() for t in tables))}
        found = {k: v - strata["a"][k] - strata["c"][k] for k, v in everyone.items()}
    return int(found["n"] - found["events"] if few == "others" else found[few])


FEW = {"n": 3, "events": 2, "others": 2}


@pytest.mark.parametrize("rule", ["_hidden_strata", "with_another"])
@pytest.mark.parametrize("few", FEW)
def test_without_the_rule_a_scan_tells_of_few_in_a_stratum(
    monkeypatch: pytest.MonkeyPatch, rule: str, few: str
) -> None:
    bare = {
        "_hidden_strata": lambda n, *_: np.zeros(n.shape, np.bool_),
        "with_another": lambda hidden, *_: hidden,
    }
    monkeypatch.setattr(cutoff_scan, rule, bare[rule])
    assert _told_of_b(few) == FEW[few]


@pytest.mark.parametrize("few", FEW)
def test_a_scan_hides_a_stratum_of_few_and_what_it_follows_from(few: str) -> None:
    assert _told_of_b(few) is None


def _scores() -> list[Table]:
    rng = np.random.default_rng(8)
    y = (np.arange(90) % 2).astype(float)
    score = np.clip(0.3 * y + rng.uniform(0, 0.7, 90), 0, 1)
    return _sites(y=(YES, y), score=(SCORE, np.round(score, 4)))


def test_points_of_a_roc_curve_are_tables_without_a_small_cell() -> None:
    roc = run(Roc(outcome="y", scores=("score",), bootstrap=0), _scores()).values["scores"]
    curve = roc["score"]["curve"]  # type: ignore[index,call-overload]
    for rate in ("fpr", "tpr"):
        steps = np.rint(np.diff(curve[rate]) * 45)
        assert all(k == 0 or k >= 5 for k in steps)
    assert len(curve["tpr"]) > 4


def test_a_call_that_misses_few_is_told_as_bounds() -> None:
    step = OperatingPoint(outcome="y", scores=("score",), at=(0.34,))
    (point,) = run(step, _scores()).values["scores"]["score"]["points"]  # type: ignore[index,call-overload]
    tables = _scores()
    y = np.concatenate([t.columns["y"] for t in tables])
    missed = int(((np.concatenate([t.columns["score"] for t in tables]) < 0.34) & (y == 1)).sum())
    assert 0 < missed < 5
    assert not {"tp", "fn", "f1", "lr_negative"} & set(point)
    rate = point["sensitivity"]
    assert (rate["at_least"], rate["at_most"]) == pytest.approx((41 / 45, 44 / 45))
    assert rate["estimate"] is None


STEPS = "  table1: {kind: describe, of: [code]}\n"
DEVELOPING = ("east", "north", "south")


def _hidden_cell(attacker: object) -> int:
    """Return west's patients of each code: all sites less the developing ones."""
    everyone = attacker.total("table1", part="all")["levels.code"]  # type: ignore[attr-defined]
    others = attacker.total("table1", group=DEVELOPING)["levels.code"]  # type: ignore[attr-defined]
    return int((everyone - others)[2])


def _with_a_rare_one() -> dict[str, list[dict[str, object]]]:
    patients = cohorts()
    patients["west"][0]["code"] = "c"
    return patients


def test_without_the_rule_all_less_developing_sites_is_the_external_cell(
    tmp_path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("client.ledger.Ledger._check_sites", lambda *_: None)
    attacker = coordinator(tmp_path, STEPS, _with_a_rare_one(), per_site=True)
    assert _hidden_cell(attacker) == 1


def test_cells_over_all_and_over_developing_sites_are_refused(tmp_path) -> None:
    """Even where the policy lets a site's own sums out: no site shows small cells alone."""
    attacker = coordinator(tmp_path, STEPS, _with_a_rare_one(), per_site=True)
    with pytest.raises(Refused, match="differencing"):
        _hidden_cell(attacker)


def test_columns_of_any_magnitude_are_described() -> None:
    raw = np.linspace(1e14, 3e16, 90)
    tables = _sites(raw=(Column(type="number"), raw))
    column = run(Describe(of=("raw",)), tables).values["columns"]["raw"]  # type: ignore[index,call-overload]
    assert column["mean"] == pytest.approx(raw.mean(), rel=1e-12)
    assert column["sd"] == pytest.approx(raw.std(ddof=1), rel=1e-12)


@pytest.mark.parametrize(
    ("margins", "test"),
    [
        *(((n, 160 - n), "fisher") for n in (84, 47, 6)),
        *(((n, 160 - n), "chi_square") for n in (84, 47, 6)),
        ((60, 45, 31, 24), "chi_square"),
    ],
)
def test_p_beside_hidden_cells_leaves_more_than_one_table(
    margins: tuple[int, ...], test: str
) -> None:
    """Of one to four flagged among groups of known size, all tables are tried (R11)."""
    told: dict[tuple[int, ...], Any] = {}
    one = partial(two_way.chi_square, yates=False) if test == "chi_square" else two_way.fisher
    for flagged in product(range(5), repeat=len(margins)):
        if 0 < sum(flagged) < 5:
            table = np.array([np.subtract(margins, flagged), flagged])
            told[flagged] = str(two_way.without_hidden(one, table))
    same = Counter(told.values())
    assert min(same.values()) > 1


def test_without_the_rule_p_in_two_digits_tells_the_table() -> None:
    p = {
        flagged: f"{two_way.chi_square(table, yates=False)['p']:.1e}"
        for flagged in product(range(5), repeat=2)
        if 0 < sum(flagged) < 5
        for table in [np.array([np.subtract((84, 76), flagged), flagged])]
    }
    assert list(p.values()).count(p[1, 3]) == 1


def _fits(table: list[list[int | None]], moved: tuple[int, int, int]) -> list[set[int]]:
    """Return what each hidden cell may hold, given how many moved down, not, and up."""
    at = [(i, j) for i, row in enumerate(table) for j, x in enumerate(row) if x is None]
    rest = np.array(moved)
    for i, j in product(range(len(table)), repeat=2):
        rest[np.sign(j - i) + 1] -= table[i][j] or 0
    found: list[set[int]] = [set() for _ in at]
    for guess in product(range(1, 13), repeat=len(at)):
        sums = np.zeros(3, int)
        np.add.at(sums, [np.sign(j - i) + 1 for i, j in at], guess)
        if (sums == rest).all() and min(guess, default=0) < 5:
            for cell, x in zip(found, guess, strict=True):
                cell.add(x)
    return found


@pytest.mark.parametrize("up", [(3, 9, 12), (4, 4, 7), (1, 1, 6)])
def test_a_hidden_move_does_not_follow_from_the_index(up: tuple[int, ...]) -> None:
    table = np.diag([40, 30, 20])
    table[np.triu_indices(3, 1)] = up
    table[np.tril_indices(3, -1)] = 8, 0, 5
    whole_table = reclassification._shown(table)
    found = _fits(whole_table, (13, 90, sum(up)))  # type: ignore[arg-type]
    assert found
    assert all(len(values) > 1 for values in found)
