"""Levels that one to four cases have: no model holds them, no page shows them."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from common.analyses.analysis import Analysis, Ask
from common.analyses.cox import Cox
from common.analyses.describe import Describe
from common.analyses.lasso import Lasso
from common.analyses.logistic import Logistic
from common.analyses.moments import Moments
from common.analyses.piecewise_exponential import PiecewiseExponential
from common.analyses.runner import run
from common.analyses.univariable_logistic import UnivariableLogistic
from common.cohort import Column
from common.table import Table
from tests.common.analyses.regression_tables import assert_same
from tests.common.analyses.tables import split_unevenly

N = 120
LEFT_OUT = (
    "left out, as fewer than 5 cases (or nobody) have the level or the one it is compared with: "
)
STAGES = ("I", "II", "III")


def _table(stage: dict[int, int], *, smallest_cell: int = 0) -> Table:
    """Return cases of which so many as `stage` says have stages II and III."""
    rng = np.random.default_rng(3)
    codes = np.zeros(N)
    codes[: stage[1]] = 1.0
    codes[stage[1] : stage[1] + stage[2]] = 2.0
    flag = (np.arange(N) < 3).astype(np.float64)
    columns = {
        "age": rng.normal(60, 9, N),
        "stage": rng.permutation(codes),
        "flag": rng.permutation(flag),
        "days": rng.integers(1, 800, N).astype(np.float64),
        "died": (rng.random(N) < 0.6).astype(np.float64),
    }
    contract = {
        "age": Column(type="number"),
        "stage": Column(type="category", levels=STAGES),
        "flag": Column(type="integer", range=(0, 1)),
        "days": Column(type="integer", range=(0, 1000)),
        "died": Column(type="integer", range=(0, 1)),
    }
    return Table(columns, contract, np.array([f"p{i:03d}" for i in range(N)]), smallest_cell)


MODELS = {"of": ("age", "stage")}
KINDS: list[Any] = [
    Logistic(outcome="died", models=MODELS),
    Cox(time="days", event="died", models=MODELS),
    PiecewiseExponential(time="days", event="died", models=MODELS),
]


def _model(analysis: Analysis, table: Table) -> Any:
    values: Any = run(analysis, split_unevenly(table, 3)).values
    return values["models"]["of"]


@pytest.mark.parametrize("analysis", KINDS, ids=lambda a: a.kind)
def test_a_rare_level_is_one_with_the_level_it_is_compared_with(analysis: Analysis) -> None:
    table = _table({1: 40, 2: 4})
    found = _model(analysis, table)
    assert set(found["terms"]["stage[III]"].values()) == {None}
    assert found["terms"]["stage[II]"]["estimate"] is not None
    assert found["note"] == f"{LEFT_OUT}stage[III]"
    merged = np.where(table.columns["stage"] == 2, 0.0, table.columns["stage"])
    without = _model(analysis, replace(table, columns={**table.columns, "stage": merged}))
    assert_same(found, without)


@pytest.mark.parametrize("analysis", KINDS, ids=lambda a: a.kind)
def test_a_rare_level_to_compare_with_becomes_one_with_the_largest(analysis: Analysis) -> None:
    found = _model(analysis, _table({1: 60, 2: 57}))
    assert set(found["terms"]["stage[II]"].values()) == {None}
    assert found["terms"]["stage[III]"]["estimate"] is not None
    assert found["note"] == f"{LEFT_OUT}stage[II]"


@pytest.mark.parametrize("analysis", [KINDS[0], KINDS[2]], ids=lambda a: a.kind)
def test_sites_together_leave_out_what_one_table_does(analysis: Any) -> None:
    table = _table({1: 40, 2: 4})
    one, several = run(analysis, [table]), run(analysis, split_unevenly(table, 4))
    assert_same(several.values, one.values)


@pytest.mark.parametrize("analysis", KINDS, ids=lambda a: a.kind)
def test_five_cases_are_enough(analysis: Analysis) -> None:
    found = _model(analysis, _table({1: 40, 2: 5}))
    assert found["terms"]["stage[III]"]["estimate"] is not None
    assert not found["note"]


@pytest.mark.parametrize("analysis", KINDS, ids=lambda a: a.kind)
@pytest.mark.parametrize(
    ("stage", "sums"),
    [({1: 40, 2: 4}, [40, 0]), ({1: 60, 2: 57}, [0, 57]), ({1: 4, 2: 4}, [0, 0])],
)
def test_a_site_alone_merges_rare_levels(
    analysis: Any, stage: dict[int, int], sums: list[int]
) -> None:
    table = _table(stage, smallest_cell=5)
    assert analysis.summarise(table, Ask("scale"))["sum"][1:].tolist() == sums
    values: Any = run(analysis, [table], alone=True).values
    assert values["models"]["of"]["converged"]
    gone = [name for name, n in zip(("stage[II]", "stage[III]"), sums, strict=True) if not n]
    for name in gone:
        assert values["models"]["of"]["terms"][name]["estimate"] is None
        assert name in values["models"]["of"]["note"]


@pytest.mark.parametrize("analysis", KINDS, ids=lambda a: a.kind)
def test_few_events_give_no_model(analysis: Analysis) -> None:
    table = _table({1: 40, 2: 30})
    died = np.zeros(N)
    died[[5, 60, 90]] = 1.0
    table = replace(table, columns={**table.columns, "died": died})
    values: Any = run(analysis, split_unevenly(table, 3)).values
    assert values["events"] is None
    assert values["models"]["of"]["converged"] is False
    assert "few" in values["models"]["of"]["note"]


def test_a_screen_does_not_test_a_column_that_is_one_of_few() -> None:
    screen = UnivariableLogistic(of=("age", "flag"), outcome="died")
    found: Any = run(screen, split_unevenly(_table({1: 40, 2: 30}), 3)).values["columns"]
    assert found["age"]["p"] is not None
    assert found["flag"]["p"] is None
    assert found["flag"]["estimate"] is None
    assert "one of the column's two values" in found["flag"]["note"]


def test_a_screen_of_a_site_alone_sends_nothing_of_such_a_column() -> None:
    screen = UnivariableLogistic(of=("age", "flag"), outcome="died")
    table = _table({1: 40, 2: 30}, smallest_cell=5)
    ask = next(screen.solve(table.contract, alone=True))
    sums = screen.summarise(table, ask)
    assert sums["sum"][1] == 0
    assert sums["classes"][1].sum() == 0
    assert sums["classes"][0].sum() == N


def _found(analysis: Analysis, tables: list[Table], *, alone: bool = False) -> Any:
    values: Any = run(analysis, tables, alone=alone).values
    return values["columns"]["flag"]


def _flagged(n_flagged: int, smallest_cell: int) -> Table:
    flag = np.zeros(60)
    flag[:n_flagged] = 1.0
    contract = {"flag": Column(type="integer", range=(0, 1))}
    patients = np.array([f"p{i:03d}" for i in range(60)])
    return Table({"flag": flag}, contract, patients, smallest_cell)


@pytest.mark.parametrize("analysis", [Describe(of=("flag",)), Moments(of=("flag",))])
def test_a_mean_does_not_count_the_few_of_whom_something_is_true(analysis: Analysis) -> None:
    """Three of sixty: a mean of 0.05 says so."""
    few = _found(analysis, split_unevenly(_flagged(3, 0), 3))
    assert few["mean"] is None
    assert few["sd"] is None
    enough = _found(analysis, split_unevenly(_flagged(5, 0), 3))
    assert enough["mean"] == pytest.approx(5 / 60)


@pytest.mark.parametrize("analysis", [Describe(of=("flag",)), Moments(of=("flag",))])
@pytest.mark.parametrize("n_flagged", [3, 57])
def test_a_site_alone_sends_no_such_mean(analysis: Analysis, n_flagged: int) -> None:
    few = _found(analysis, [_flagged(n_flagged, 5)], alone=True)
    assert few["mean"] is None
    enough = _found(analysis, [_flagged(6, 5)], alone=True)
    assert enough["mean"] == pytest.approx(0.1)


@pytest.mark.parametrize("analysis", KINDS, ids=lambda a: a.kind)
def test_a_site_alone_says_that_a_level_is_merged_and_a_total_that_few_have_it(
    analysis: Any,
) -> None:
    values: Any = run(analysis, [_table({1: 40, 2: 4}, smallest_cell=5)], alone=True).values
    note = values["models"]["of"]["note"]
    assert note.startswith("not told apart from another level, as nobody or fewer patients")
    assert note.endswith(": stage[III]")
    for n in (0, 4):
        assert _model(analysis, _table({1: 40, 2: n}))["note"] == f"{LEFT_OUT}stage[III]"


def test_a_model_without_the_column_is_not_touched() -> None:
    analysis = Logistic(outcome="died", models={"of": ("age", "stage"), "alone": ("age",)})
    values: Any = run(analysis, split_unevenly(_table({1: 40, 2: 4}), 3)).values
    assert values["models"]["alone"]["terms"]["(intercept)"]["estimate"] is not None
    assert not values["models"]["alone"]["note"]


def test_a_screen_is_not_adjusted_for_it() -> None:
    table = _table({1: 40, 2: 4})
    screen = UnivariableLogistic(of=("age",), adjust=("stage",), outcome="died")
    found: Any = run(screen, split_unevenly(table, 3)).values["columns"]
    assert found["age"]["note"] == f"adjusted for the others: {LEFT_OUT}stage[III]"
    merged = np.where(table.columns["stage"] == 2, 0.0, table.columns["stage"])
    alike = replace(table, columns={**table.columns, "stage": merged})
    assert_same(found, run(screen, split_unevenly(alike, 3)).values["columns"])


LASSOS = [
    Lasso(outcome="died", of=("age", "stage", "flag", "days"), folds=3, lambdas=6),
    Lasso(outcome="died", of=("age", "stage", "flag", "days"), folds=3, lambdas=6, alpha=0.0),
    Lasso(outcome="age", family="linear", of=("stage", "flag", "days"), folds=3, lambdas=6),
]


@pytest.mark.parametrize("analysis", LASSOS, ids=lambda a: f"{a.family}-{a.alpha:g}")
def test_a_lasso_is_that_without_such_columns(analysis: Lasso) -> None:
    table = replace(_table({1: 40, 2: 4}), fold_key="key")
    answer = run(analysis, split_unevenly(table, 3))
    values: Any = answer.values
    assert values["converged"]
    assert f"{LEFT_OUT}stage[III], flag" in values["note"]
    for row in values["path"]:
        assert not {"stage[III]", "flag"} & set(row["estimates_per_sd"])
    second = (table.columns["stage"] == 1).astype(np.float64)
    contract = {**table.contract, "II": Column(type="integer", range=(0, 1))}
    without = replace(table, columns={**table.columns, "II": second}, contract=contract)
    others = tuple("II" if name == "stage" else name for name in analysis.of if name != "flag")
    plain: Any = run(analysis.model_copy(update={"of": others}), split_unevenly(without, 3)).values
    for name in ("lambda_min", "lambda_1se", "intercept", "n_selected"):
        assert values[name] == pytest.approx(plain[name], rel=1e-7)
    for column in analysis.columns_from(table, answer).values():
        assert np.isfinite(column).all()


def test_a_lasso_of_nothing_but_such_columns_says_so() -> None:
    table = replace(_table({1: 40, 2: 4}), fold_key="key")
    for family, outcome in (("linear", "age"), ("logistic", "died")):
        lasso = Lasso(outcome=outcome, family=family, of=("flag",), folds=3, lambdas=6)
        values: Any = run(lasso, split_unevenly(table, 3)).values
        assert not values["converged"]
        assert values["note"].endswith(f"{LEFT_OUT}flag")
