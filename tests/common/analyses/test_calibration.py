"""Calibration over sites: equal to the pooled one, statsmodels and scikit-learn."""

import json
from dataclasses import replace

import numpy as np
import pytest
import statsmodels.api as sm
from scipy.stats import chi2
from sklearn.metrics import brier_score_loss

from common.analyses.calibration import Calibration
from common.analyses.outcome import complete
from common.analyses.runner import Cost, run
from common.cohort import Column
from tests.common.analyses.scored import alone, assert_laws, scored
from tests.common.analyses.tables import split_unevenly

SCORES = ("old", "new", "fine")
STEP = Calibration(outcome="response", scores=SCORES)


def test_federated_is_pooled_in_any_split_and_order() -> None:
    assert_laws(STEP, scored(330, seed=1))


def test_recalibration_is_that_of_statsmodels() -> None:
    table = scored(330, seed=2)
    rows = complete(table, STEP.columns())
    y = rows.columns["response"]
    scores = run(STEP, split_unevenly(table, 4)).values["scores"]
    for name in SCORES:
        p = np.clip(rows.columns[name], 1e-6, 1 - 1e-6)
        logit = np.log(p / (1 - p))
        theirs = sm.Logit(y, sm.add_constant(logit)).fit(disp=0, tol=1e-12)
        for i, term in enumerate(("intercept", "slope")):
            found = scores[name][term]
            assert found["estimate"] == pytest.approx(theirs.params[i], abs=1e-9)
            assert found["se"] == pytest.approx(theirs.bse[i], abs=1e-9)
            ci = theirs.conf_int()[i]
            assert (found["ci_low"], found["ci_high"]) == pytest.approx(ci, abs=1e-9)
        assert scores[name]["intercept"]["p"] == pytest.approx(theirs.pvalues[0], rel=1e-7)
        slope_is_one = theirs.t_test("x1 = 1").pvalue
        assert scores[name]["slope"]["p"] == pytest.approx(float(slope_is_one), rel=1e-7)
        family = sm.families.Binomial()
        large = sm.GLM(y, np.ones(rows.n), family=family, offset=logit).fit(tol=1e-14)
        found = scores[name]["in_the_large"]
        assert found["estimate"] == pytest.approx(large.params[0], abs=1e-9)
        assert found["se"] == pytest.approx(large.bse[0], abs=1e-7)


def test_brier_and_bins_are_those_of_rows() -> None:
    table = scored(330, seed=3)
    rows = complete(table, STEP.columns())
    y = rows.columns["response"]
    scores = run(STEP, split_unevenly(table, 4)).values["scores"]
    for name in SCORES:
        p, score = rows.columns[name], scores[name]
        assert score["brier"]["estimate"] == pytest.approx(brier_score_loss(y, p), abs=1e-14)
        assert score["expected"] == pytest.approx(p.sum())
        assert sum(score["bins"]["n"]) == rows.n
        assert min(score["bins"]["n"]) >= 5
        order = np.argsort(p)
        parts = np.split(order, np.cumsum(score["bins"]["n"])[:-1])
        observed = [y[i].mean() for i in parts]
        predicted = [p[i].mean() for i in parts]
        assert score["bins"]["observed"] == pytest.approx(observed)
        assert score["bins"]["predicted"] == pytest.approx(predicted)
        statistic = sum(
            (y[i].sum() - p[i].sum()) ** 2 / (p[i].sum() * (1 - p[i].mean())) for i in parts
        )
        found = score["hosmer_lemeshow"]
        assert found["chi2"] == pytest.approx(statistic, rel=1e-10)
        assert found["p"] == pytest.approx(chi2.sf(statistic, len(parts) - 2), rel=1e-10)


def test_bins_hold_a_tenth_each() -> None:
    table = scored(1000, seed=4, missing=0.0)
    sizes = run(STEP, [table]).values["scores"]["fine"]["bins"]["n"]
    assert len(sizes) == 10
    assert max(sizes) - min(sizes) <= 4


def test_perfectly_calibrated_scores_are_found_so() -> None:
    rng = np.random.default_rng(5)
    table = scored(20_000, seed=5, missing=0.0)
    table.columns["new"][:] = rng.uniform(0.02, 0.98, table.n)
    table.columns["response"][:] = rng.random(table.n) < table.columns["new"]
    score = run(STEP.model_copy(update={"scores": ("new",)}), [table]).values["scores"]["new"]
    assert score["slope"]["estimate"] == pytest.approx(1, abs=0.05)
    assert score["intercept"]["estimate"] == pytest.approx(0, abs=0.05)
    assert score["observed_to_expected"]["ci_low"] < 1 < score["observed_to_expected"]["ci_high"]
    assert score["hosmer_lemeshow"]["p"] > 0.01
    assert score["spiegelhalter"]["p"] > 0.01
    assert score["calibration_error"] < 0.02


def test_rounds_are_those_of_newton_and_bytes_are_few() -> None:
    cost = Cost()
    run(STEP, split_unevenly(scored(330, seed=1), 4), cost=cost)
    assert cost.rounds <= 8


def test_site_alone_bins_itself() -> None:
    table = alone(scored(330, seed=6))
    mine = run(STEP, [table], alone=True).values["scores"]
    pooled = run(STEP, [table]).values["scores"]
    for name in SCORES:
        for key in ("brier", "slope", "intercept", "in_the_large", "spiegelhalter"):
            assert mine[name][key] == pooled[name][key]
        bins = mine[name]["bins"]
        events = np.rint(np.multiply(bins["n"], bins["observed"]))
        rest = np.array(bins["n"]) - events
        for cells in (events, rest):
            assert not ((cells > 0) & (cells < 5)).any()
    ask = next(STEP.solve(table.contract, alone=True))
    assert all(f.alone != "never" for f in STEP.schema(ask, table.contract).values())


def test_constant_and_separating_scores_say_so() -> None:
    table = scored(200, seed=7, missing=0.0)
    table.columns["old"][:] = 0.3
    table.columns["new"][:] = np.where(table.columns["response"] == 1, 0.9, 0.1)
    answer = run(STEP, [table]).values
    json.dumps(answer, allow_nan=False)
    assert answer["scores"]["old"]["slope"]["estimate"] is None
    assert "constant" in answer["scores"]["old"]["note"]
    assert answer["scores"]["old"]["in_the_large"]["estimate"] is not None
    assert "separates" in answer["scores"]["new"]["note"]
    assert answer["scores"]["fine"]["slope"]["estimate"] is not None


def test_zero_and_one_are_probabilities_too() -> None:
    table = scored(200, seed=8, missing=0.0)
    table.columns["new"][:20] = 0.0
    table.columns["new"][20:40] = 1.0
    json.dumps(run(STEP, [table]).values, allow_nan=False)


@pytest.mark.parametrize("n_events", [0, 3])
def test_too_few_of_a_class(n_events: int) -> None:
    table = scored(100, seed=9, missing=0.0)
    table.columns["response"][:] = 0.0
    table.columns["response"][:n_events] = 1.0
    cost = Cost()
    answer = run(STEP, [table], cost=cost).values
    assert (answer["scores"], cost.rounds) == ({}, 1)
    assert ("fewer than 5" if n_events else "no case has the event") in answer["note"]


def test_settings_change_the_answer() -> None:
    table = scored(330, seed=1)
    base = run(STEP, [table]).values
    for change in ({"positive": "no"}, {"bins": 5}, {"lost_df": 0}, {"confidence": 0.9}):
        assert run(STEP.model_copy(update=change), [table]).values != base


def test_a_score_that_is_no_probability_is_refused() -> None:
    table = scored(50, seed=1)
    wide = {**table.contract, "new": Column(type="number", range=(0, 3))}
    with pytest.raises(ValueError, match=r'"new": expected a range within \[0, 1\]'):
        run(STEP, [replace(table, contract=wide)])


def test_bins_come_even_where_newton_is_there_at_once() -> None:
    table = scored(200, seed=7, missing=0.0)
    table.columns["response"][:] = np.arange(200) % 2
    table.columns["new"][:] = 0.5
    score = run(STEP.model_copy(update={"scores": ("new",)}), [table]).values["scores"]["new"]
    assert score["bins"]["n"] == [200]
    assert score["in_the_large"]["estimate"] == pytest.approx(0, abs=1e-12)
