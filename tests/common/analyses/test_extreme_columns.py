"""Columns of 1e14: every site's sums fit the wire, and answers are those of a smaller unit."""

from typing import Any

import numpy as np
import pytest

from common.analyses.analysis import Analysis
from common.analyses.combat import Combat
from common.analyses.cox import Cox
from common.analyses.lasso import Lasso
from common.analyses.logistic import Logistic
from common.analyses.meta import Meta
from common.analyses.piecewise_exponential import PiecewiseExponential
from common.analyses.runner import run
from common.analyses.svm import Svm
from common.analyses.univariable_logistic import UnivariableLogistic
from common.cohort import Column
from common.table import Table
from tests.common.analyses.readings import close, with_columns
from tests.common.analyses.regression_tables import followed
from tests.common.analyses.tables import split_unevenly

_UNIT = 2.0**47  # dividing by it does not round
_MODELS = {"m": ("age", "far")}
_SCREEN = UnivariableLogistic(outcome="response", of=("age", "far"))
_COX = Cox(time="days", event="died", models=_MODELS)
_META = Meta(effect="mean_difference", of="far", outcome="response")


def sites(unit: float) -> list[Table]:
    """Return three sites whose column `far` is of 1e14, in units of `unit`."""
    table = followed(300, seed=3)
    rng = np.random.default_rng(4)
    far = 4e14 + 1e14 * np.clip(rng.normal(0, 1, 300) + table.columns["response"], -4, 4)
    column = Column(type="number", range=(0, 1e15 / unit))
    return split_unevenly(with_columns(table, {"far": column}, far=far / unit), 3)


def slopes(step: Analysis, unit: float) -> list[Any]:
    """Return n, and the row of `far` and that of `age` in units of the first."""
    answer: Any = run(step, sites(unit)).values
    found = answer.get("columns") or answer["models"]["m"]["terms"]
    far = found["far"]
    return [answer["n"], found["age"], far["estimate"] / unit * _UNIT, far["p"]]


@pytest.mark.parametrize(
    "step",
    [
        _SCREEN,
        Logistic(outcome="response", models=_MODELS, folds=3),
        _COX,
        PiecewiseExponential(time="days", event="died", models=_MODELS),
    ],
    ids=lambda step: step.kind,
)
def test_a_regression_on_a_column_of_1e14_takes_all_sites(step: Analysis) -> None:
    assert slopes(step, 1.0) == close(slopes(step, _UNIT), 1e-9)


def test_a_lasso_on_it_selects_the_same() -> None:
    step = Lasso(outcome="response", of=("age", "far", "adc"), folds=3, lambdas=5)
    mine, theirs = (run(step, sites(unit)) for unit in (1.0, _UNIT))
    beta, expected = mine.arrays["coefficients"], theirs.arrays["coefficients"]
    assert expected[0, 2] != 0
    np.testing.assert_allclose(beta[:, 2] * _UNIT, expected[:, 2], rtol=1e-9)
    np.testing.assert_allclose(beta[:, 3], expected[:, 3], rtol=1e-9)


def test_an_effect_over_sites_is_the_same() -> None:
    mine: Any = run(_META, 2 * sites(1.0)).values
    theirs: Any = run(_META, 2 * sites(_UNIT)).values
    for key in ("fixed", "random"):
        found = mine[key]["estimate"] / _UNIT
        assert found == pytest.approx(theirs[key]["estimate"], rel=1e-9)


def test_an_effect_of_hardly_any_variance_is_left_out_and_takes_no_site_with_it() -> None:
    tables = [with_columns(t, {}, far=4e14 + t.columns["days"] * 1e3) for t in sites(1.0)]
    assert run(_META, tables).values["left_out"] == 3


def test_features_are_harmonised_beside_such_a_covariate() -> None:
    step = Combat(of=("age",), covariates=("far",), fewest=10)
    mine, theirs = (run(step, sites(unit)).arrays for unit in (1.0, _UNIT))
    np.testing.assert_allclose(mine["beta"] * _UNIT, theirs["beta"], rtol=1e-9)
    np.testing.assert_allclose(mine["grand"], theirs["grand"], rtol=1e-9)


def test_one_case_far_from_all_others_does_not_stop_a_machine_without_it() -> None:
    tables = sites(1.0)
    for i, table in enumerate(tables):
        table.columns["far"][:] = table.columns["adc"]
        table.columns["far"][:1] = 1e14 if i == 0 else 1e-3
    assert run(Svm(outcome="response", of=("age", "far")), tables).values["n"] is not None
