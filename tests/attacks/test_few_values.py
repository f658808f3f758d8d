"""Columns that few patients have a value of: of one site alone, and as printed (R2, R3)."""

import numpy as np
import pytest

from common.analyses import compare_groups, group_spreads, univariable_logistic
from common.analyses.compare_groups import CompareGroups
from common.analyses.compare_paired import ComparePaired
from common.analyses.icc import Icc
from common.analyses.moments import Moments
from common.analyses.runner import run
from common.analyses.standardise import Standardise
from common.analyses.univariable_logistic import UnivariableLogistic
from common.cohort import Column
from common.table import Table

NUMBER = Column(type="number", range=(0, 50))
KINDS = [
    Moments(of=("marker", "age")),
    Standardise(of=("marker", "age")),
    ComparePaired(pairs=(("marker", "age"), ("age", "age2"))),
    Icc(raters=(("marker", "age"), ("age", "age2"))),
    CompareGroups(of=("marker", "age"), by="sex", test="welch"),
    CompareGroups(of=("marker", "age"), by="sex", test="mann_whitney"),
]


def _alone() -> Table:
    """Return a site of 30 patients; three of them have a marker, at two examinations each."""
    rng = np.random.default_rng(2)
    patients = np.array([f"p{i % 30:02d}" for i in range(60)])
    marker = np.full(60, np.nan)
    for i in (3, 4, 5, 33, 34, 35):
        marker[i] = 37.125 + i
    columns = {
        "marker": marker,
        "age": rng.uniform(20, 40, 60),
        "age2": rng.uniform(20, 40, 60),
        "sex": np.arange(60.0) // 30 % 2,
    }
    contract = dict.fromkeys(("marker", "age", "age2"), NUMBER)
    contract["sex"] = Column(type="category", levels=("f", "m"))
    return Table(columns, contract, patients, smallest_cell=5)


def _counts(step: object, table: Table) -> np.ndarray:
    """Return how many values of each column the site lets out, by its first ask that counts."""
    solving = step.solve(table.contract, alone=True)  # type: ignore[attr-defined]
    sums = step.summarise(table, next(solving))  # type: ignore[attr-defined]
    while "valid" not in sums:
        sums = step.summarise(table, solving.send(sums))  # type: ignore[attr-defined]
    return np.asarray(sums["valid"])


@pytest.mark.parametrize("step", KINDS, ids=lambda s: f"{s.kind}")
def test_three_patients_with_six_values_do_not_show(step: object) -> None:
    counts = _counts(step, _alone()).reshape(-1, 2)
    assert not counts[:, 0].any()
    assert (counts[:, 1] >= 5).all()


@pytest.mark.parametrize("step", KINDS, ids=lambda s: f"{s.kind}")
def test_without_the_rule_they_do(step: object) -> None:
    """Six cases pass for enough where only cases are counted."""
    table = _alone()
    counts = _counts(step, Table(table.columns, table.contract, table.patients))
    assert counts.reshape(-1, 2)[:, 0].sum() == 6


def test_the_mean_of_three_is_not_printed_and_the_others_are_as_they_were() -> None:
    table = _alone()
    answer = run(Moments(of=("marker", "age")), [table], alone=True).values["columns"]
    assert answer["marker"]["mean"] is None  # type: ignore[index,call-overload]
    assert answer["age"]["mean"] == pytest.approx(table.columns["age"].mean())  # type: ignore[index,call-overload]


def test_with_a_group_of_few_the_others_are_hidden_too() -> None:
    """The sums of all cases, of another step, less the other group's would be theirs."""
    table = _alone()
    table.columns["age"][:27] = np.nan  # of the first group three are left
    step = CompareGroups(of=("age",), by="sex", test="welch")
    counts = _counts(step, table)
    assert counts.ravel().tolist() == [0, 0]


def _three_of_a_group() -> list[Table]:
    """Return four sites' 60 cases, of whose men three have a marker, around 40."""
    rng = np.random.default_rng(4)
    sex = np.arange(60.0) // 30 % 2
    marker = rng.uniform(5, 25, 60)
    marker[sex == 1] = np.nan
    marker[[31, 41, 51]] = 39.0, 40.0, 41.5
    contract = {"marker": NUMBER, "sex": Column(type="category", levels=("f", "m"))}
    patients = np.array([f"p{i}" for i in range(60)])
    table = Table({"marker": marker, "sex": sex}, contract, patients)
    return [table.rows(np.arange(60) % 4 == site) for site in range(4)]


def _mean_of_three(tables: list[Table]) -> float | None:
    """Return the men's mean: the women's, which is printed, and the difference."""
    step = CompareGroups(of=("marker",), by="sex", test="welch")
    found = run(step, tables).values["columns"]["marker"]  # type: ignore[index,call-overload]
    assert found["groups"]["m"]["mean"] is None
    if "estimate" not in found:
        assert found["groups"]["f"]["mean"] is None  # less it, the mean of all is theirs
        return None
    return float(found["groups"]["f"]["mean"] + found["estimate"])


def test_without_the_rule_a_difference_tells_the_mean_of_three(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(compare_groups, "_tested", lambda found, *_: found)
    monkeypatch.setattr(compare_groups, "shown_counts", list)
    monkeypatch.setattr(group_spreads, "_told", lambda valid: np.ones_like(valid))
    assert _mean_of_three(_three_of_a_group()) == pytest.approx(120.5 / 3)


def test_a_group_of_three_is_not_tested() -> None:
    assert _mean_of_three(_three_of_a_group()) is None


def _odds(tables: list[Table]) -> object:
    step = UnivariableLogistic(outcome="sex", of=("marker",))
    return run(step, tables).values["columns"]["marker"]["odds_ratio"]  # type: ignore[index,call-overload]


def test_three_of_a_class_are_not_modelled(monkeypatch: pytest.MonkeyPatch) -> None:
    assert _odds(_three_of_a_group()) is None
    monkeypatch.setattr(univariable_logistic, "SMALLEST_CELL", 1)
    assert _odds(_three_of_a_group()) is not None


@pytest.mark.parametrize("test", ["welch", "mann_whitney"])
@pytest.mark.parametrize("n", [2, 5])
def test_a_mean_of_zeros_and_ones_does_not_count_three_of_a_group(test: str, n: int) -> None:
    """A mean of zeros and ones times n is a cell that a cross table hides."""
    flag, sex = np.zeros(60), np.arange(60.0) // 30 % 2
    flag[: 2 * n] = flag[30 : 30 + n] = 1.0
    contract = {
        "flag": Column(type="integer", range=(0, 1)),
        "sex": Column(type="category", levels=("f", "m")),
    }
    table = Table({"flag": flag, "sex": sex}, contract, np.array([f"p{i}" for i in range(60)]))
    step = CompareGroups(of=("flag",), by="sex", test=test)
    found = run(step, [table]).values["columns"]["flag"]  # type: ignore[index,call-overload]
    assert (found["p"] is None) == (n == 2)
    assert (found["groups"]["m"].get("mean") is None) == (n == 2 or test == "mann_whitney")
