"""Decision curves over sites: equal to the pooled ones and to dcurves."""

import warnings

import numpy as np
import pandas as pd
import pytest
from dcurves import dca

from common.analyses.decision_curve import DecisionCurve
from common.analyses.outcome import ONE_CLASS, complete
from common.analyses.runner import Cost, run
from tests.common.analyses.scored import alone, assert_laws, scored
from tests.common.analyses.tables import split_unevenly

SCORES = ("old", "new", "fine")
STEP = DecisionCurve(outcome="response", scores=SCORES)


def test_federated_is_pooled_in_any_split_and_order() -> None:
    assert_laws(STEP, scored(330, seed=1))


def test_net_benefit_is_that_of_dcurves() -> None:
    table = scored(600, seed=2)
    rows = complete(table, STEP.columns())
    data = pd.DataFrame({c: rows.columns[c] for c in STEP.columns()})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = dca(
            data=data,
            outcome="response",
            modelnames=list(SCORES),
            thresholds=np.array(STEP.thresholds),
        )
    answer = run(STEP, split_unevenly(table, 4)).values
    curves = {**answer["scores"], "all": answer["all"], "none": answer["none"]}
    for name, curve in curves.items():
        of = theirs[theirs["model"] == name].set_index("threshold")["net_benefit"]
        for t, benefit in zip(curve["threshold"], curve["net_benefit"], strict=True):
            assert benefit == pytest.approx(of.loc[t], abs=1e-14)
        assert len(curve["threshold"]) > 25


def test_interval_and_interventions_avoided_are_those_of_rows() -> None:
    table = scored(400, seed=3, missing=0.0)
    curve = run(STEP, [table]).values["scores"]["new"]
    y, p = table.columns["response"], table.columns["new"]
    for i, t in enumerate(curve["threshold"]):
        terms = (p >= t) * (y - (1 - y) * t / (1 - t))
        reach = 1.959963984540054 * terms.std() / np.sqrt(table.n)
        assert curve["net_benefit"][i] == pytest.approx(terms.mean(), abs=1e-14)
        assert curve["ci_high"][i] - curve["net_benefit"][i] == pytest.approx(reach)
        spared = ((p < t) * ((1 - y) - y * (1 - t) / t)).mean()
        assert curve["interventions_avoided"][i] == pytest.approx(spared, abs=1e-12)


@pytest.mark.parametrize("by_itself", [False, True])
def test_nobody_or_five_lie_between_two_thresholds_shown(by_itself: bool) -> None:
    table = scored(200, seed=4, missing=0.0)
    used = alone(table) if by_itself else table
    answer = run(STEP, [used], alone=by_itself).values
    y = table.columns["response"]
    for name in SCORES:
        cuts = [-1, *answer["scores"][name]["threshold"], 2]
        sizes = [np.histogram(table.columns[name][y == c], cuts)[0] for c in (0, 1)]
        shown = np.array(sizes if by_itself else [sum(sizes)])
        assert not ((shown > 0) & (shown < 5)).any()
        assert len(cuts) > 8


def test_site_alone_shows_no_small_cell_and_is_exact() -> None:
    table = alone(scored(200, seed=5))
    ask = next(STEP.solve(table.contract, alone=True))
    between = np.asarray(STEP.summarise(table, ask)["between"])
    assert not ((between > 0) & (between < 5)).any()
    assert STEP.schema(ask, table.contract)["between"].alone == "cells"
    mine = run(STEP, [table], alone=True).values["scores"]["new"]
    pooled = run(STEP, [table]).values["scores"]["new"]
    exact = dict(zip(pooled["threshold"], pooled["net_benefit"], strict=True))
    both = [t for t in mine["threshold"] if t in exact]
    assert both
    for t in both:
        assert mine["net_benefit"][mine["threshold"].index(t)] == exact[t]


def test_one_round() -> None:
    cost = Cost()
    run(STEP, split_unevenly(scored(330, seed=1), 4), cost=cost)
    assert cost.rounds == 1


def test_too_few_events() -> None:
    table = scored(100, seed=6, missing=0.0)
    table.columns["response"][:] = 0.0
    answer = run(STEP, [table]).values
    assert (answer["scores"], answer["note"]) == ({}, f"{ONE_CLASS}: no case has the event")


def test_settings_change_the_answer() -> None:
    table = scored(330, seed=1)
    base = run(STEP, [table]).values
    for change in ({"positive": "no"}, {"thresholds": (0.2, 0.3)}, {"confidence": 0.9}):
        assert run(STEP.model_copy(update=change), [table]).values != base
