"""Survival over sites: equal to the pooled one, to lifelines and to statsmodels."""

import json
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from lifelines import KaplanMeierFitter
from lifelines.statistics import multivariate_logrank_test, pairwise_logrank_test
from lifelines.utils import restricted_mean_survival_time
from statsmodels.duration.survfunc import survdiff

from common.analyses.cutoff_scan import CutoffScan
from common.analyses.kaplan_meier import KaplanMeier
from common.analyses.runner import Cost, run
from common.analyses.survival import kaplan_meier, leaving, restricted_mean
from common.cohort import Column
from tests.common.analyses.scored import alone, assert_laws, scored
from tests.common.analyses.tables import split_unevenly

STEP = KaplanMeier(time="days", event="died", group="arm", at=(0, 100, 365, 730))
ARMS = ("a", "b", "c")


def test_federated_is_pooled_in_any_split_and_order() -> None:
    assert_laws(STEP, scored(330, seed=1), without="by_site")


def test_curve_and_interval_are_those_of_lifelines() -> None:
    table = scored(330, seed=2)
    groups = run(STEP, split_unevenly(table, 4)).values["strata"]["all"]["groups"]
    for g, name in enumerate(ARMS):
        of = table.columns["arm"] == g
        days, died = table.columns["days"][of], table.columns["died"][of]
        fitted = KaplanMeierFitter().fit(days, died)
        curve = groups[name]["curve"]
        times = curve["days"][1:]
        theirs = fitted.survival_function_at_times(times).to_numpy()
        assert curve["survival"][1:] == pytest.approx(theirs, abs=1e-14)
        at = np.searchsorted(fitted.timeline, times, side="right") - 1
        ci = fitted.confidence_interval_.to_numpy()[at]
        assert curve["ci_low"][1:] == pytest.approx(ci[:, 0], abs=1e-12)
        assert curve["ci_high"][1:] == pytest.approx(ci[:, 1], abs=1e-12)
        assert curve["at_risk"][1:] == [(days > t).sum() for t in times]
        assert groups[name]["n"] == of.sum()
        assert groups[name]["events"] == died.sum()


def test_median_lies_in_its_window() -> None:
    table = scored(900, seed=3)
    groups = run(STEP, [table]).values["strata"]["all"]["groups"]
    for g, name in enumerate(ARMS):
        of = table.columns["arm"] == g
        fitted = KaplanMeierFitter().fit(table.columns["days"][of], table.columns["died"][of])
        median = groups[name]["median"]
        assert median["low"] < fitted.median_survival_time_ <= median["high"]
        assert median["low"] <= median["estimate"] <= median["high"]
        assert median["ci_low"] < median["estimate"] < median["ci_high"]


def test_restricted_mean_is_that_of_lifelines_and_its_variance_that_of_draws() -> None:
    table = scored(400, seed=4)
    step = STEP.model_copy(update={"group": "", "tau": 300})
    mean = run(step, split_unevenly(table, 3)).values["strata"]["all"]["groups"]["all"]
    days, died = table.columns["days"], table.columns["died"]
    fitted = KaplanMeierFitter().fit(days, died)
    expected = restricted_mean_survival_time(fitted, t=300)
    assert mean["restricted_mean"]["estimate"] == pytest.approx(expected, rel=1e-12)
    rng = np.random.default_rng(0)
    drawn = [
        restricted_mean(leaving(days[i], died[i], 1501), 300)[0]
        for i in rng.integers(0, table.n, (300, table.n))
    ]
    assert mean["restricted_mean"]["se"] == pytest.approx(np.std(drawn), rel=0.1)


def test_log_rank_is_that_of_lifelines() -> None:
    table = scored(330, seed=5)
    picture = run(STEP, split_unevenly(table, 4)).values["strata"]["all"]
    args = (table.columns["days"], table.columns["arm"], table.columns["died"])
    theirs = multivariate_logrank_test(*args)
    assert picture["log_rank"]["chi2"] == pytest.approx(theirs.test_statistic, rel=1e-11)
    assert picture["log_rank"]["p"] == pytest.approx(theirs.p_value, rel=1e-9)
    pairs = pairwise_logrank_test(*args)
    for pair, chi2, p in zip(picture["pairs"], pairs.test_statistic, pairs.p_value, strict=True):
        assert pair["chi2"] == pytest.approx(chi2, rel=1e-11)
        assert pair["p"] == pytest.approx(p, rel=1e-9)
        assert pair["p_adjusted"] >= pair["p"]


@pytest.mark.parametrize("n_sites", [1, 4])
def test_log_rank_by_site_is_that_of_statsmodels(n_sites: int) -> None:
    tables = split_unevenly(scored(330, seed=6), n_sites)
    picture = run(STEP, tables).values["strata"]["all"]
    days, died, arm = (
        np.concatenate([t.columns[c] for t in tables]) for c in ("days", "died", "arm")
    )
    site = np.repeat(np.arange(n_sites), [t.n for t in tables])
    chi2, p = survdiff(days, died, arm, strata=site)
    assert picture["log_rank_by_site"]["chi2"] == pytest.approx(chi2, rel=1e-11)
    assert picture["log_rank_by_site"]["p"] == pytest.approx(p, rel=1e-9)
    two = arm != 2
    chi2, _ = survdiff(days[two], died[two], arm[two], strata=site[two])
    assert picture["pairs"][0]["chi2_by_site"] == pytest.approx(chi2, rel=1e-11)


def test_five_leave_between_two_published_days_and_ten_are_left() -> None:
    table = scored(330, seed=7)
    for site, step in ((False, STEP), (True, STEP)):
        used = alone(table) if site else table
        groups = run(step, [used], alone=site).values["strata"]["all"]["groups"]
        for group in groups.values():
            left = group["curve"]["at_risk"]
            assert all(a - b == 0 or a - b >= 5 for a, b in pairwise(left))
            assert left[-1] >= 10
            days = group["curve"]["days"]
            marks = {row["day"] for row in group["at_risk"] if row["at_risk"] is not None}
            assert marks <= set(days)
            assert 0 in marks


def test_strata_are_pictures_of_their_own() -> None:
    table = scored(330, seed=8)
    both = run(STEP.model_copy(update={"by": "sex"}), [table]).values["strata"]
    for i, level in enumerate(("f", "m")):
        part = table.rows(table.columns["sex"] == i)
        assert both[level] == run(STEP, [part]).values["strata"]["all"]


def test_a_number_is_parted_at_its_cut_in_each_stratum() -> None:
    table = scored(330, seed=9)
    step = KaplanMeier(time="days", event="died", group="marker", cut={"f": 45, "m": 55}, by="sex")
    answer = run(step, [table]).values
    assert answer["missing"] == np.isnan(table.columns["marker"]).sum()
    for i, (level, cut) in enumerate((("f", 45), ("m", 55))):
        of = table.columns["sex"] == i
        groups = answer["strata"][level]["groups"]
        assert groups["at or above"]["n"] == (table.columns["marker"][of] >= cut).sum()
    one = run(step.model_copy(update={"cut": 45.0}), [table]).values
    assert one["strata"]["f"] == answer["strata"]["f"]
    assert one["strata"]["m"] != answer["strata"]["m"]


def test_cuts_of_a_scan_on_developing_sites_part_external_ones() -> None:
    scan = CutoffScan(
        time="days", event="died", marker="marker", by="sex", cutoffs=(40, 45, 50, 55, 60)
    )
    found = run(scan, [scored(600, seed=14)])
    best = {level: s["best"]["cutoff"] for level, s in found.values["strata"].items()}
    settings = {"time": "days", "event": "died", "group": "marker", "by": "sex"}
    step = KaplanMeier(**settings, cut_chosen_in="scan")
    assert step.needs() == ("scan",)
    external = split_unevenly(scored(300, seed=15), 3)
    expected = run(KaplanMeier(**settings, cut=best), external).values
    assert run(step.given({"scan": found}), external).values == expected
    with pytest.raises(ValueError, match="cut: none for f, m"):
        run(step, external)


def test_one_round() -> None:
    cost = Cost()
    run(STEP, split_unevenly(scored(330, seed=1), 4), cost=cost)
    assert cost.rounds == 1


def test_site_alone_sends_finished_curves_only() -> None:
    table = alone(scored(330, seed=10))
    mine = run(STEP, [table], alone=True).values["strata"]["all"]
    pooled = run(STEP, [table]).values["strata"]["all"]
    assert mine["log_rank"] == pooled["log_rank"]
    for name in ARMS:
        assert mine["groups"][name]["n"] == pooled["groups"][name]["n"]
        assert len(mine["groups"][name]["curve"]["days"]) > 3
    ask = next(STEP.solve(table.contract, alone=True))
    assert all(f.alone != "never" for f in STEP.schema(ask, table.contract).values())


def test_site_alone_hides_a_group_of_three() -> None:
    table = alone(scored(100, seed=11))
    table.columns["arm"][:] = 0.0
    table.columns["arm"][:3] = 1.0
    picture = run(STEP, [table], alone=True).values["strata"]["all"]
    assert picture["log_rank"]["chi2"] is None
    for group in picture["groups"].values():
        assert group == {"n": None, "note": "nobody, or fewer than 5 of a kind"}


def test_small_group_over_sites_is_not_shown_nor_what_it_would_follow_from() -> None:
    table = scored(100, seed=11)
    table.columns["arm"][:] = 0.0
    table.columns["arm"][:3] = 1.0
    table.columns["arm"][3:20] = 2.0
    answer = run(STEP, [table]).values
    found = answer["strata"]["all"]
    assert [found["groups"][g]["n"] for g in "abc"] == [80, None, None]
    assert set(found["groups"]["c"]) == {"n", "note"}  # 17: n of all less 80 is 20, not 3
    assert found["log_rank"]["p"] is None
    assert found["log_rank_by_site"]["p"] is None
    assert all(pair["p"] is None for pair in found["pairs"])


def test_a_group_of_nobody_hides_nothing() -> None:
    table = scored(100, seed=11)
    table.columns["arm"][:] = np.arange(100) % 2
    found = run(STEP, [table]).values["strata"]["all"]
    assert [found["groups"][g]["n"] for g in "abc"] == [50, 50, None]
    assert found["log_rank"]["p"] is not None


def test_a_site_alone_sends_no_stratum_that_another_would_follow_from() -> None:
    table = alone(scored(100, seed=11))
    table.columns["sex"][:] = 0.0
    table.columns["sex"][:3] = 1.0
    step = STEP.model_copy(update={"by": "sex", "group": ""})
    ask = next(step.solve(table.contract, alone=True))
    assert step.summarise(table, ask)["sizes"].sum() == 0


def test_no_event_everybody_dead_and_one_day() -> None:
    for days, died in ((None, 0.0), (None, 1.0), (7.0, 1.0)):
        table = scored(60, seed=12)
        table.columns["died"][:] = died
        if days is not None:
            table.columns["days"][:] = days
        answer = run(STEP, [table]).values
        json.dumps(answer, allow_nan=False)
        assert (answer["strata"]["all"]["log_rank"]["p"] is None) == (died == 0 or days == 7)


def test_reverse_curve_measures_follow_up() -> None:
    table = scored(900, seed=13)
    step = STEP.model_copy(update={"group": ""})
    found = run(step, [table]).values["strata"]["all"]["groups"]["all"]["median_follow_up"]
    fitted = KaplanMeierFitter().fit(table.columns["days"], 1 - table.columns["died"])
    assert found["low"] < fitted.median_survival_time_ <= found["high"]


def test_settings_change_the_answer() -> None:
    table = scored(330, seed=1)
    base = run(STEP, [table]).values
    for change in (
        {"by": "sex"},
        {"group": ""},
        {"at": (0, 50)},
        {"tau": 100},
        {"confidence": 0.9},
        {"correction": "bonferroni"},
    ):
        assert run(STEP.model_copy(update=change), [table]).values != base
    assert run(STEP.model_copy(update={"event": "response"}), [table]).values != base
    swapped = STEP.model_copy(update={"event": "response", "positive": "no"})
    assert run(swapped, [table]).values != base


def test_mistakes_are_named() -> None:
    table = scored(50, seed=1)
    with pytest.raises(ValueError, match="a group that it parts"):
        KaplanMeier(time="days", event="died", cut=3.0)
    with pytest.raises(ValueError, match="there is no `by`"):
        KaplanMeier(time="days", event="died", group="marker", cut={"f": 3.0})
    with pytest.raises(ValueError, match="cut: none for m"):
        run(
            KaplanMeier(time="days", event="died", group="marker", by="sex", cut={"f": 3.0}),
            [table],
        )
    with pytest.raises(ValueError, match="expected a category, or a cut"):
        run(KaplanMeier(time="days", event="died", group="marker"), [table])
    bare = {**table.contract, "days": Column(type="number", range=(0, 1500))}
    with pytest.raises(ValueError, match='"days": expected whole days'):
        run(STEP, [replace(table, contract=bare)])


def test_greenwood_on_a_textbook_table() -> None:
    """Freireich's 6-MP arm: Klein, Moeschberger, Survival Analysis, 2nd ed., table 4.1."""
    days = [6, 6, 6, 6, 7, 9, 10, 10, 11, 13, 16, 17, 19, 20, 22, 23, 25, 32, 32, 34, 35]
    died = [1, 1, 1, 0, 1, 0, 1, 0, 0, 1, 1, 0, 0, 0, 1, 1, 0, 0, 0, 0, 0]
    curve = kaplan_meier(leaving(np.array(days, float), np.array(died, float), 40))
    se = curve.survival * np.sqrt(curve.hazard_variance)
    assert np.round(curve.survival[[6, 10, 23]], 3).tolist() == [0.857, 0.753, 0.448]
    assert np.round(se[[6, 10, 23]], 3).tolist() == [0.076, 0.096, 0.135]
