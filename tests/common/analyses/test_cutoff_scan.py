"""Scans of cut-offs over sites: the pooled ones, those of statsmodels, honest p."""

import json

import numpy as np
import pytest
from statsmodels.duration.survfunc import survdiff

from common.analyses.cutoff_scan import CutoffScan
from common.analyses.max_selected import (
    contal_o_quigley,
    death_scores,
    improved_bonferroni,
    lausen_schumacher,
)
from common.analyses.outcome import complete
from common.analyses.runner import Cost, run
from tests.common.analyses.scored import alone, scored
from tests.common.analyses.tables import split_unevenly

CUTS = tuple(float(c) for c in range(30, 71, 2))
STEP = CutoffScan(time="days", event="died", marker="marker", cutoffs=CUTS, by="sex")


def test_tests_are_those_of_statsmodels_stratified_by_site() -> None:
    tables = split_unevenly(scored(400, seed=1), 4)
    answer = run(STEP, tables).values["strata"]
    parts = [complete(t, STEP.columns()) for t in tables]
    site = np.repeat(np.arange(4), [t.n for t in parts])
    days, died, marker, sex = (
        np.concatenate([t.columns[c] for t in parts]) for c in ("days", "died", "marker", "sex")
    )
    for i, level in enumerate(("f", "m")):
        of = sex == i
        assert answer[level]["n"] == of.sum()
        assert answer[level]["events"] == died[of].sum()
        assert len(answer[level]["cutoffs"]) > 8
        for test in answer[level]["cutoffs"]:
            above = marker[of] >= test["cutoff"]
            chi2, p = survdiff(days[of], died[of], above, strata=site[of])
            assert test["chi2"] == pytest.approx(chi2, rel=1e-10, abs=1e-12)
            assert test["p"] == pytest.approx(p, rel=1e-9)
            assert test["n_above"] == above.sum()
        best = max(answer[level]["cutoffs"], key=lambda t: t["chi2"])
        assert answer[level]["best"]["cutoff"] == best["cutoff"]


def test_sites_that_stay_whole_give_the_same_in_any_order() -> None:
    tables = split_unevenly(scored(400, seed=2), 5)
    assert run(STEP, tables).values == run(STEP, tables[::-1]).values


def test_a_site_without_cases_changes_nothing() -> None:
    tables = split_unevenly(scored(400, seed=2), 3)
    nobody = tables[0].rows(np.zeros(tables[0].n, np.bool_))
    assert run(STEP, [*tables, nobody]).values == run(STEP, tables).values


def test_one_round_for_all_cutoffs_and_strata() -> None:
    cost = Cost()
    run(STEP, split_unevenly(scored(400, seed=1), 4), cost=cost)
    assert (cost.rounds, cost.bytes_up < 3000) == (1, True)


def test_direction_of_the_marker_is_that_of_the_hazard() -> None:
    best = run(STEP, [scored(2000, seed=3)]).values["strata"]["f"]["best"]
    assert best["hazard_ratio"] > 1
    assert best["p"] <= best["p_improved_bonferroni"] <= best["p_lausen_schumacher"] * 1.5


def test_best_of_many_is_not_called_significant_too_often() -> None:
    """Under no effect, corrected p below 0.1 in about a tenth of studies; plain p in more."""
    step = STEP.model_copy(update={"by": ""})
    found = []
    for seed in range(150):
        table = scored(150, seed=1000 + seed, missing=0.0)
        rng = np.random.default_rng(seed)
        rng.shuffle(table.columns["marker"])
        found.append(run(step, split_unevenly(table, 2)).values["strata"]["all"]["best"])
    share = {k: np.mean([f[k] < 0.1 for f in found]) for k in found[0] if k.startswith("p")}
    assert share["p"] > 0.25
    for name in ("p_lausen_schumacher", "p_improved_bonferroni", "p_contal_o_quigley"):
        assert 0.02 <= share[name] <= 0.17


def test_formulas_by_hand() -> None:
    b = 3.0
    density = np.exp(-4.5) / np.sqrt(2 * np.pi)
    expected = density * (3 - 1 / 3) * np.log(81) + 4 * density / 3
    assert lausen_schumacher(b, 0.1, 0.9) == pytest.approx(expected, rel=1e-14)
    assert lausen_schumacher(0.5, 0.1, 0.9) == 1.0
    single = 0.0026997960632601866
    assert improved_bonferroni(b, np.array([50]), 100) == pytest.approx(single)
    assert single < improved_bonferroni(b, np.array([40, 50, 60]), 100) < 3 * single
    assert death_scores(3).tolist() == pytest.approx([2 / 3, 1 / 6, -5 / 6])
    # The Kolmogorov distribution's 95 % point is 1.358.
    assert contal_o_quigley(1.3581, 1.0) == pytest.approx(0.05, abs=1e-4)
    assert contal_o_quigley(0.0, 1.0) == contal_o_quigley(1.0, 0.0) == 1.0


@pytest.mark.parametrize("by_itself", [False, True])
def test_nobody_or_five_lie_between_two_cutoffs(by_itself: bool) -> None:
    table = scored(120, seed=4, missing=0.0)
    step = STEP.model_copy(update={"cutoffs": tuple(np.linspace(20, 80, 100).tolist())})
    used = alone(table) if by_itself else table
    answer = run(step, [used], alone=by_itself).values["strata"]
    for i, level in enumerate(("f", "m")):
        of = table.columns["sex"] == i
        cuts = [-1.0, *(t["cutoff"] for t in answer[level]["cutoffs"]), 101.0]
        sizes = np.histogram(table.columns["marker"][of], cuts)[0]
        assert not ((sizes > 0) & (sizes < 5)).any()
        assert len(cuts) > 5


def test_site_alone_sends_no_small_cell_and_no_number_of_a_hidden_cutoff() -> None:
    table = alone(scored(80, seed=5, missing=0.0))
    table.columns["sex"][:] = 0.0
    table.columns["sex"][:3] = 1.0
    ask = next(STEP.solve(table.contract, alone=True))
    sums = {k: np.asarray(v) for k, v in STEP.summarise(table, ask).items()}
    assert not ((sums["between"] > 0) & (sums["between"] < 5)).any()
    assert (sums["off"][sums["shown"] == 0] == 0).all()
    assert not sums["shown"].any()  # three follow from all and the other stratum
    assert not sums["between"].any()
    assert (sums["events"][1], sums["squares"][1]) == (0, 0)
    assert all(f.alone != "never" for f in STEP.schema(ask, table.contract).values())
    strata = run(STEP, [table], alone=True).values["strata"]
    assert strata["m"]["best"] is None
    assert strata["f"]["best"] is None


def test_nothing_to_look_at() -> None:
    table = scored(60, seed=6, missing=0.0)
    table.columns["died"][:] = 0.0
    answer = run(STEP, [table]).values
    json.dumps(answer, allow_nan=False)
    assert answer["strata"]["f"]["note"] == "there are no events"


def test_settings_change_the_answer() -> None:
    table = scored(400, seed=1)
    base = run(STEP, [table]).values
    for change in (
        {"by": ""},
        {"least_share": 0.3},
        {"cutoffs": (40.0, 50.0)},
        {"marker": "sum_score", "cutoffs": (5.0, 8.0)},
        {"event": "response"},
        {"event": "response", "positive": "no"},
    ):
        assert run(STEP.model_copy(update=change), [table]).values != base
