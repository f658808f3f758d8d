"""Piecewise-exponential models: split invariance, statsmodels' GLM, nearness to Cox."""

from typing import Any

import numpy as np
import pytest

from common.analyses.person_time import cut_days
from common.analyses.piecewise_exponential import PiecewiseExponential
from common.analyses.runner import Cost, run
from common.cohort import Column
from common.table import Floats, Table
from tests.common.analyses.regression_tables import assert_same, complete, followed
from tests.common.analyses.tables import split_unevenly

MODELS = {"clinical": ("age",), "combined": ("age", "adc")}
STEP = PiecewiseExponential(time="days", event="died", models=MODELS)


def standardised(rows: Table) -> tuple[Floats, Floats]:
    x = np.column_stack([rows.columns["age"], rows.columns["adc"]])
    return (x - x.mean(0)) / x.std(0), x.std(0)


def estimates(answer: dict[str, Any], key: str = "estimate") -> Floats:
    terms = answer["models"]["combined"]["terms"]
    return np.array([term[key] for term in terms.values()])


@pytest.mark.parametrize("n_sites", [1, 2, 5, 17])
def test_answer_does_not_depend_on_the_split(n_sites: int) -> None:
    table = followed(400, seed=1)
    found = run(STEP, split_unevenly(table, n_sites)).values
    assert_same(found, run(STEP, [table]).values)


def test_answer_is_bit_identical_in_any_order_of_sites() -> None:
    tables = split_unevenly(followed(300, seed=2), 5)
    assert run(STEP, tables).values == run(STEP, tables[::-1]).values


def test_hazard_ratios_are_those_of_statsmodels_poisson_model() -> None:
    import statsmodels.api as sm

    table = followed(300, seed=3)
    rows = complete(table, "age")
    answer = run(STEP, split_unevenly(table, 4)).values
    days, died = rows.columns["days"], rows.columns["died"]
    z, sd = standardised(rows)
    per_day = np.bincount(days[died == 1].astype(int), minlength=3001)
    cuts = cut_days(per_day, 20)
    edges = np.concatenate([[0.0], cuts, [np.inf]])
    parts, d, e = [], [], []
    for j in range(len(edges) - 1):
        here = days > edges[j]
        dummy = np.zeros((here.sum(), len(edges) - 1))
        dummy[:, j] = 1.0
        parts.append(np.hstack([dummy, z[here]]))
        d.append(died[here] * (days[here] <= edges[j + 1]))
        e.append(np.minimum(days[here], edges[j + 1]) - edges[j])
    poisson = sm.families.Poisson()
    model = sm.GLM(np.concatenate(d), np.vstack(parts), poisson, offset=np.log(np.concatenate(e)))
    fit = model.fit(tol=1e-14, maxiter=100)
    np.testing.assert_allclose(estimates(answer), fit.params[-2:] / sd, rtol=1e-9)
    np.testing.assert_allclose(estimates(answer, "se"), fit.bse[-2:] / sd, rtol=1e-8)
    assert answer["n_intervals"] == len(cuts) + 1


def test_twenty_intervals_are_near_the_unstratified_cox_model() -> None:
    from statsmodels.duration.hazard_regression import PHReg

    table = followed(400, seed=4)
    rows = complete(table, "age")
    z, sd = standardised(rows)
    model = PHReg(rows.columns["days"], z, rows.columns["died"], ties="efron")
    fit = model.fit()
    answer = run(STEP, split_unevenly(table, 4)).values
    off = np.abs(estimates(answer) * sd - fit.params) / fit.bse
    assert off.max() < 0.1


def test_more_intervals_change_the_answer_and_never_hold_fewer_than_five_events() -> None:
    table = followed(300, seed=5)
    few = STEP.model_copy(update={"intervals": 3})
    assert run(few, [table]).values["n_intervals"] == 3
    many = STEP.model_copy(update={"intervals": 100})
    n = run(many, [table]).values["n_intervals"]
    assert 3 < n <= table.columns["died"].sum() / 5


def test_nine_rounds() -> None:
    cost = Cost()
    run(STEP, split_unevenly(followed(300, seed=3), 4), cost=cost)
    assert cost.rounds <= 9


def test_events_a_day_leave_in_masked_sums_only() -> None:
    table = followed(100, seed=6)
    schema = STEP.schema(next(STEP.solve(table.contract)), table.contract)
    assert schema["events"].alone == "never"


def test_nobody_with_an_event_in_a_group_is_said_clearly() -> None:
    table = followed(300, seed=7)
    table.columns["adc"][:] = (np.arange(300) < 40) & (table.columns["died"] == 0)
    models = run(STEP, split_unevenly(table, 3)).values["models"]
    assert "separated" in models["combined"]["note"]
    assert models["clinical"]["converged"]


def test_too_few_events_are_said_clearly() -> None:
    table = followed(100, seed=8)
    table.columns["died"][:] = 0.0
    answer = run(STEP, [table]).values
    assert answer["models"]["clinical"]["note"] == "there are no events"
    assert answer["events"] is None


def test_time_needs_a_range_of_whole_days() -> None:
    table = followed(50, seed=9)
    contract = {**table.contract, "days": Column(type="number")}
    with pytest.raises(ValueError, match="whole days"):
        next(STEP.solve(contract))
