"""A column that nobody has: the answer says so, and blames neither outcome nor events."""

from typing import Any

import numpy as np
import pytest

from common.analyses.cox import Cox
from common.analyses.lasso import Lasso
from common.analyses.logistic import Logistic
from common.analyses.outcome import NO_CASE
from common.analyses.runner import run
from common.analyses.svm import Svm
from common.analyses.univariable_logistic import UnivariableLogistic
from common.cohort import Column
from common.step import Step
from common.table import Table

CONTRACT = {
    "y": Column(type="category", levels=["no", "yes"]),
    "days": Column(type="integer", range=(0, 500)),
    "empty": Column(type="number", range=(0, 1)),
    "x": Column(type="number", range=(0, 1)),
}


def rows() -> Table:
    rng = np.random.default_rng(1)
    columns = {
        "y": np.arange(60.0) % 2,
        "days": np.floor(rng.uniform(1, 500, 60)),
        "empty": np.full(60, np.nan),
        "x": rng.random(60),
    }
    return Table(columns, CONTRACT, np.array([f"p{i}" for i in range(60)]))


STEPS = (
    Logistic(outcome="y", models={"m": ("empty", "x")}),
    Cox(time="days", event="y", models={"m": ("empty", "x")}),
    Lasso(outcome="y", of=("empty", "x"), folds=3),
    Svm(outcome="y", of=("empty", "x"), folds=3),
)


@pytest.mark.parametrize("step", STEPS, ids=lambda step: str(getattr(step, "kind", "")))
def test_a_column_nobody_has_is_the_reason_given(step: Step) -> None:
    values: Any = run(step, [rows()]).values
    found = values["models"]["m"] if "models" in values else values
    assert found["note"] == NO_CASE


def test_a_column_screened_that_nobody_has_says_so() -> None:
    values: Any = run(UnivariableLogistic(outcome="y", of=("empty", "x")), [rows()]).values
    assert values["columns"]["empty"]["note"] == "no case has the column"
    assert values["columns"]["x"]["note"] is None or values["columns"]["x"].get("p") is not None


@pytest.mark.parametrize(("n", "mend"), [(60, "to 18 or fewer"), (24, "fewest `features`")])
def test_too_many_radial_features_says_what_to_lower(n: int, mend: str) -> None:
    step = Svm(outcome="y", of=("x",), kernel="rbf_features", folds=0)
    note = run(step, [rows().rows(np.arange(60) < n)]).values["note"]
    assert mend in str(note)
