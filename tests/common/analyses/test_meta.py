"""Meta-analysis over sites: that of statsmodels and PyMARE on the sites' own effects."""

import json
import warnings
from collections.abc import Sequence

import numpy as np
import pytest
from scipy.stats import ttest_ind
from sklearn.metrics import roc_auc_score
from statsmodels.stats.contingency_tables import Table2x2
from statsmodels.stats.meta_analysis import combine_effects, effectsize_smd

from common.analyses.meta import Meta
from common.analyses.outcome import complete
from common.analyses.random_effects import forest
from common.analyses.roc import Roc
from common.analyses.runner import Cost, run
from common.analyses.site_effect import effect_of
from common.table import Table
from tests.common.analyses.scored import scored

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from pymare import Dataset, meta_regression

STEPS = (
    Meta(effect="auc", of="new", outcome="response"),
    Meta(effect="mean", of="marker"),
    Meta(effect="mean_difference", of="days", outcome="response"),
    Meta(effect="standardised_difference", of="sum_score", outcome="response"),
    Meta(effect="log_odds_ratio", of="sex", outcome="response"),
    Meta(effect="proportion", outcome="response"),
)


def sites(shift: float = 0.0) -> list[Table]:
    """Return five uneven sites that differ by multiples of a shift."""
    tables = [scored(n, seed=n) for n in (151, 88, 57, 40, 230)]
    for i, table in enumerate(tables):
        table.columns["marker"][:] = np.clip(table.columns["marker"] + i * shift, 0, 100)
    return tables


def own_effects(step: Meta, tables: Sequence[Table]) -> tuple[list[float], list[float]]:
    """Return each site's effect and variance from its rows."""
    found = [step._effect(complete(t, step.columns())) for t in tables]
    scale = step._scale(tables[0].contract)
    kept = [f for f in found if f is not None]
    return [e * scale for e, _ in kept], [v * scale**2 for _, v in kept]


@pytest.mark.parametrize("step", STEPS, ids=lambda s: s.effect)
def test_pooled_effects_are_those_of_statsmodels_and_pymare(step: Meta) -> None:
    for shift in (0.0, 4.0):
        tables = sites(shift)
        effects, variances = own_effects(step, tables)
        answer = run(step, tables).values
        with np.errstate(invalid="ignore"):  # it lets tau2 fall below 0
            theirs = combine_effects(np.array(effects), np.array(variances), method_re="dl")
        assert answer["q"] == pytest.approx(theirs.q, rel=1e-9)
        assert answer["fixed"]["estimate"] == pytest.approx(theirs.mean_effect_fe, rel=1e-10)
        assert answer["fixed"]["se"] == pytest.approx(theirs.sd_eff_w_fe, rel=1e-10)
        data = Dataset(np.array(effects)[:, None], np.array(variances)[:, None])
        model = meta_regression(
            y=data.y, v=data.v, X=np.ones((len(effects), 1)), method="DL", add_intercept=False
        )
        tau2 = float(np.ravel(model.tau2)[0])
        assert answer["tau2"] == pytest.approx(tau2, rel=1e-8, abs=1e-12)
        estimate = float(np.ravel(model.fe_params)[0])
        assert answer["random"]["estimate"] == pytest.approx(estimate, rel=1e-10)
        if theirs.tau2 > 0:
            assert answer["random"]["se"] == pytest.approx(theirs.sd_eff_w_re, rel=1e-9)
            assert answer["hksj"]["se"] == pytest.approx(theirs.sd_eff_w_re_hksj, rel=1e-9)
            assert answer["i2"]["estimate"] == pytest.approx(theirs.i2, rel=1e-8)
        else:
            assert answer["tau2"] == answer["i2"]["estimate"] == 0.0
            assert answer["random"] == pytest.approx(answer["fixed"], rel=1e-12)


def test_sites_differ_and_are_found_to() -> None:
    answer = run(STEPS[1], sites(8.0)).values
    assert answer["p_heterogeneity"] < 1e-6
    assert answer["i2"]["ci_low"] > 0.5
    assert answer["hksj"]["se"] > answer["fixed"]["se"]
    assert answer["prediction"]["ci_low"] < answer["hksj"]["ci_low"]


def test_effects_of_a_site_are_those_of_libraries() -> None:
    table = scored(200, seed=1, missing=0.0)
    y, x = table.columns["response"], table.columns["sum_score"]
    found = effect_of("mean_difference", y, x, None)
    t = ttest_ind(x[y == 1], x[y == 0], equal_var=False).statistic
    assert found is not None
    assert found[0] / np.sqrt(found[1]) == pytest.approx(t, rel=1e-12)
    one, none = x[y == 1], x[y == 0]
    g, variance = effectsize_smd(
        one.mean(), one.std(ddof=1), one.size, none.mean(), none.std(ddof=1), none.size
    )
    found = effect_of("standardised_difference", y, x, None)
    assert found is not None
    assert found[0] == pytest.approx(g, rel=1e-12)
    assert found[1] == pytest.approx(variance, rel=0.02)  # theirs has g, not d, in it
    sex = table.columns["sex"]
    by = [[((sex == a) & (y == b)).sum() for b in (1, 0)] for a in (1, 0)]
    theirs = Table2x2(np.array(by))
    found = effect_of("log_odds_ratio", y, sex, None)
    assert found is not None
    assert found == pytest.approx((theirs.log_oddsratio, theirs.log_oddsratio_se**2))


def test_auc_of_a_site_is_that_of_the_roc_step() -> None:
    table = scored(200, seed=2)
    found = own_effects(STEPS[0], [table])
    roc = run(Roc(outcome="response", scores=("new",)), [table]).values["scores"]["new"]
    theirs = roc_auc_score(table.columns["response"], table.columns["new"])
    assert found[0][0] == roc["auc"] == pytest.approx(theirs, abs=1e-15)
    assert np.sqrt(found[1][0]) == pytest.approx(roc["se"], rel=1e-12)


def test_bit_identical_in_any_order_of_sites() -> None:
    for step in STEPS:
        assert run(step, sites(3.0)).values == run(step, sites(3.0)[::-1]).values


def test_a_site_with_one_class_is_left_out_and_counted() -> None:
    tables = sites()
    tables[2].columns["response"][:] = 1.0
    answer = run(STEPS[0], tables).values
    assert (answer["k"], answer["left_out"]) == (4, 1)
    without = run(STEPS[0], [t for i, t in enumerate(tables) if i != 2]).values
    assert answer == {**without, "left_out": 1}


@pytest.mark.parametrize("k", [1, 2])
def test_two_sites_have_too_little_to_be_put_together(k: int) -> None:
    answer = run(STEPS[0], sites()[:k]).values
    assert "three sites" in answer["note"]
    assert not {"fixed", "random", "q"} & answer.keys()


@pytest.mark.parametrize("step", STEPS, ids=lambda s: s.effect)
def test_of_three_sites_is_told_the_random_mean_to_a_tenth_of_its_error(step: Meta) -> None:
    tables = sites(4.0)[:3]
    effects, variances = own_effects(step, tables)
    answer = run(step, tables).values
    theirs = forest(effects, list(np.sqrt(variances)), 0.95)["random"]
    assert not {"fixed", "hksj", "q", "tau2", "prediction"} & answer.keys()
    for name in ("estimate", "ci_low", "ci_high"):
        assert answer["random"][name] == pytest.approx(theirs[name], abs=0.2 * theirs["se"])
        assert answer["random"][name] != theirs[name]
        ticks = answer["random"][name] / answer["rounded_to"]
        assert ticks == pytest.approx(round(ticks), abs=1e-6)
    assert answer["random"]["p"] is None
    level = {True: 0.001, False: 0.05 if theirs["p"] < 0.05 else None}[theirs["p"] < 0.001]
    assert answer["random"].get("p_below", level) == level


def test_two_rounds() -> None:
    cost = Cost()
    run(STEPS[0], sites(), cost=cost)
    assert cost.rounds == 2


def test_forest_shows_weights_and_what_each_site_does() -> None:
    effects, variances = own_effects(STEPS[1], sites(4.0))
    errors = list(np.sqrt(variances))
    found = forest(effects, errors, 0.95)
    json.dumps(found, allow_nan=False)
    assert sum(s["weight"] for s in found["sites"]) == pytest.approx(1.0)
    rest = combine_effects(np.array(effects[1:]), np.array(variances[1:]), method_re="dl")
    assert found["sites"][0]["without"]["estimate"] == pytest.approx(rest.mean_effect_re)
    by_sums = run(STEPS[1], sites(4.0)).values
    assert found["random"] == pytest.approx(by_sums["random"], rel=1e-9)
    assert forest(effects[:2], errors[:2], 0.95)["sites"][0]["without"] is None
    with pytest.raises(ValueError, match="above 0"):
        forest([1.0, 2.0], [0.0, 1.0], 0.95)


def test_equal_sites_do_not_differ() -> None:
    answer = run(STEPS[1], [scored(100, seed=1)] * 5).values
    assert (answer["tau2"], answer["i2"]["estimate"]) == (0.0, 0.0)
    json.dumps(answer, allow_nan=False)


def test_settings_change_the_answer_and_mistakes_are_named() -> None:
    base = run(STEPS[0], sites()).values
    for change in ({"of": "old"}, {"positive": "no"}, {"confidence": 0.9}):
        assert run(STEPS[0].model_copy(update=change), sites()).values != base
    with pytest.raises(ValueError, match="of: expected a column for a mean"):
        Meta(effect="mean")
    with pytest.raises(ValueError, match="outcome: expected none for a mean"):
        Meta(effect="mean", of="marker", outcome="response")
    with pytest.raises(ValueError, match="expected two levels for an odds ratio"):
        run(Meta(effect="log_odds_ratio", of="arm", outcome="response"), sites())
