"""What a site alone does not tell is said to be hidden, not to be nothing."""

from typing import Any

import numpy as np
import pytest

from common.analyses.analysis import Analysis
from common.analyses.compare_groups import CompareGroups
from common.analyses.compare_paired import ComparePaired
from common.analyses.cutoff_scan import CutoffScan
from common.analyses.few import HIDDEN_ALONE
from common.analyses.icc import Icc
from common.analyses.moments import Moments
from common.analyses.runner import run
from common.analyses.standardise import Standardise
from common.analyses.univariable_logistic import UnivariableLogistic
from common.cohort import Column
from common.table import Table
from tests.common.analyses.readings import with_columns
from tests.common.analyses.regression_tables import followed

_COLUMNS = {
    "few": Column(type="number", range=(0, 1)),
    "flag": Column(type="integer", range=(0, 1)),
    "group": Column(type="category", levels=("a", "b")),
}


def site() -> Table:
    """Return a site of 60, three of whom have `few`, a `flag`, and are in group b."""
    three = np.arange(60) < 3
    table = followed(60, seed=2, smallest_cell=5)
    few = np.where(three, 0.5, np.nan)
    return with_columns(table, _COLUMNS, few=few, flag=three, group=three)


def columns_of(step: Analysis) -> Any:
    """Return the answer's table of columns, features or pairs."""
    values: Any = run(step, [site()], alone=True).values
    table = values.get("columns") or values.get("features") or values["pairs"]
    return table if isinstance(table, dict) else dict(enumerate(table))


@pytest.mark.parametrize(
    "step",
    [
        CompareGroups(of=("adc",), by="group", test="welch"),
        CompareGroups(of=("adc",), by="group", test="mann_whitney"),
        CompareGroups(of=("adc",), by="group", test="levene"),
        UnivariableLogistic(outcome="response", of=("flag", "adc")),
        Moments(of=("few", "adc")),
        Standardise(of=("few", "adc")),
        ComparePaired(pairs=(("few", "adc"),)),
        Icc(raters=(("few",), ("adc",))),
    ],
    ids=lambda step: f"{step.kind} {getattr(step, 'test', '')}",
)
def test_a_column_that_few_have_is_hidden_not_empty(step: Analysis) -> None:
    one, *others = columns_of(step).values()
    assert one["n"] is None
    assert one.get("missing") is None
    assert one["note"] == HIDDEN_ALONE
    assert {group["n"] for group in one.get("groups", {}).values()} <= {None}
    assert all(other["n"] for other in others)


def test_a_stratum_of_few_is_not_shown() -> None:
    step = CutoffScan(time="days", event="died", marker="adc", cutoffs=(1e-3,), by="group")
    values: Any = run(step, [site()], alone=True).values
    assert values["strata"]["b"]["n"] is None
    assert values["strata"]["b"]["note"].startswith("not shown: nobody or too few")
