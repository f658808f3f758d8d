"""ROC over sites: equal to the pooled one, to scikit-learn and to MLstatkit."""

import json
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from MLstatkit import Delong_test
from sklearn.metrics import average_precision_score, roc_auc_score

from common.analyses.analysis import Ask
from common.analyses.delong import bootstrap
from common.analyses.merging import run_sums, runs
from common.analyses.outcome import complete
from common.analyses.roc import Roc
from common.analyses.runner import Cost, run
from common.cohort import Column
from common.table import Table
from tests.common.analyses.scored import alone, assert_laws, scored
from tests.common.analyses.tables import split_unevenly

SCORES = ("old", "new", "sum_score")
STEP = Roc(outcome="response", scores=SCORES, bootstrap=50)


def test_federated_is_pooled_in_any_split_and_order() -> None:
    assert_laws(STEP, scored(330, seed=1))


def test_auc_and_precision_are_those_of_scikit_learn() -> None:
    table = scored(330, seed=2)
    answer = run(STEP, split_unevenly(table, 4)).values
    rows = complete(table, STEP.columns())
    assert (answer["n"], answer["missing"]) == (rows.n, table.n - rows.n)
    y = rows.columns["response"]
    for name in SCORES:
        score = answer["scores"][name]
        assert score["auc"] == pytest.approx(roc_auc_score(y, rows.columns[name]), abs=1e-15)
        expected = average_precision_score(y, rows.columns[name])
        assert score["average_precision"]["estimate"] == pytest.approx(expected, abs=1e-15)
        assert score["mode"] == "exact"


def test_pairs_are_those_of_mlstatkit() -> None:
    table = scored(330, seed=3)
    answer = run(STEP, split_unevenly(table, 4)).values
    rows = complete(table, STEP.columns())
    for pair in answer["pairs"]:
        a, b = rows.columns[pair["a"]], rows.columns[pair["b"]]
        _, p, ci_a, ci_b, *_ = Delong_test(rows.columns["response"], a, b, return_ci=True)
        assert pair["p"] == pytest.approx(p, rel=1e-10)
        for name, ci in ((pair["a"], ci_a), (pair["b"], ci_b)):
            score = answer["scores"][name]
            assert (score["ci_low"], score["ci_high"]) == pytest.approx(ci, abs=1e-12)
        assert pair["p_adjusted"] >= pair["p"]


def test_one_score_takes_one_round_and_several_two() -> None:
    tables = split_unevenly(scored(330, seed=1), 4)
    for scores, rounds in ((("new",), 1), (SCORES, 2)):
        cost = Cost()
        run(Roc(outcome="response", scores=scores), tables, cost=cost)
        assert cost.rounds == rounds


def test_one_score_has_the_interval_it_has_among_several() -> None:
    table = scored(330, seed=4, missing=0.0)
    single = run(Roc(outcome="response", scores=("new",)), [table]).values["scores"]["new"]
    among = run(STEP, [table]).values["scores"]["new"]
    assert single["se"] == pytest.approx(among["se"], rel=1e-12)


def test_scores_off_the_grid_come_with_a_bound_that_holds() -> None:
    table = scored(2000, seed=5)
    score = run(Roc(outcome="response", scores=("fine",)), [table]).values["scores"]["fine"]
    true = roc_auc_score(table.columns["response"], table.columns["fine"])
    assert score["mode"] == "binned"
    assert 0 < abs(score["auc"] - true) <= score["bound"] < 1e-3


def test_curve_holds_five_patients_a_step_and_bounds_its_area() -> None:
    table = scored(330, seed=6, missing=0.0)
    for name, score in run(STEP, [table]).values["scores"].items():
        curve = score["curve"]
        area = np.trapezoid(curve["tpr"], curve["fpr"])
        assert abs(area - score["auc"]) <= curve["bound"] + 1e-12
        cuts = [np.inf, *curve["threshold"][1:]]
        values = table.columns[name]
        inside = [((values < high) & (values >= low)).sum() for high, low in pairwise(cuts)]
        assert min(inside) >= 5
        assert sum(inside) == table.n
        assert (
            curve["tpr"][3]
            == ((values >= cuts[3]) & (table.columns["response"] == 1)).sum()
            / (table.columns["response"] == 1).sum()
        )


def test_no_published_threshold_is_a_score() -> None:
    table = scored(330, seed=6, missing=0.0)
    curve = run(STEP, [table]).values["scores"]["new"]["curve"]
    assert not set(curve["threshold"][1:]) & set(table.columns["new"])


def test_site_alone_finishes_the_work_itself() -> None:
    table = alone(scored(330, seed=7))
    cost = Cost()
    mine = run(STEP, [table], alone=True, cost=cost).values
    pooled = run(STEP, [table]).values
    assert cost.rounds == 1
    for name in SCORES:
        for key in ("auc", "se", "p", "bootstrap", "average_precision"):
            assert mine["scores"][name][key] == pooled["scores"][name][key]
    ask = next(STEP.solve(table.contract, alone=True))
    assert all(f.alone != "never" for f in STEP.schema(ask, table.contract).values())
    curve = np.asarray(STEP.summarise(table, ask)["curve"])[..., 1:]
    assert not ((curve > 0) & (curve < 5)).any()


@pytest.mark.parametrize("n_events", [0, 3])
def test_a_class_too_small_is_said_not_computed(n_events: int) -> None:
    table = scored(60, seed=8)
    table.columns["response"][:] = 0.0
    table.columns["response"][np.flatnonzero(~np.isnan(table.columns["old"]))[:n_events]] = 1.0
    for answer in (run(STEP, [table]), run(STEP, [alone(table)], alone=True)):
        assert answer.values["scores"] == {}
        assert "event" in str(answer.values["note"]) or "class" in str(answer.values["note"])


def test_nobody_with_a_score_is_said_so() -> None:
    table = scored(40, seed=3)
    table.columns["new"][:] = np.nan
    answer = run(Roc(outcome="response", scores=("new",), bootstrap=0), [table]).values
    assert answer["note"] == "no case has the outcome and all scores"


def test_perfect_and_constant_scores() -> None:
    table = scored(100, seed=9, missing=0.0)
    table.columns["new"][:] = table.columns["response"]
    table.columns["sum_score"][:] = 3.0
    answer = run(STEP, [table]).values
    assert answer["scores"]["new"]["auc"] == 1.0
    assert answer["scores"]["new"]["p"] is None
    assert answer["scores"]["sum_score"]["auc"] == 0.5
    json.dumps(answer, allow_nan=False)


def test_a_score_twice_differs_by_nothing() -> None:
    table = scored(100, seed=9, missing=0.0)
    table.columns["old"][:] = table.columns["new"]
    pair = run(STEP, [table]).values["pairs"][0]
    assert (pair["difference"], pair["p"]) == (0.0, None)


def test_bootstrap_on_counts_is_the_bootstrap_of_patients() -> None:
    rng = np.random.default_rng(0)
    counts = np.array([rng.multinomial(90, [0.1] * 10), rng.multinomial(60, np.arange(1, 11) / 55)])
    scores = [np.repeat(np.arange(10), c) for c in counts]
    y = np.repeat([0, 1], [90, 60])
    areas = [
        roc_auc_score(y, np.concatenate([rng.choice(s, s.size) for s in scores]))
        for _ in range(500)
    ]
    drawn = bootstrap(counts, 5000, 1)[0]
    assert drawn.mean() == pytest.approx(np.mean(areas), abs=0.01)
    assert drawn.std() == pytest.approx(np.std(areas), rel=0.15)


def test_settings_change_the_answer() -> None:
    table = scored(330, seed=1)
    base = run(STEP, [table]).values
    for change in (
        {"positive": "no"},
        {"confidence": 0.9},
        {"bootstrap": 0},
        {"seed": 1},
        {"correction": "bonferroni"},
    ):
        assert run(STEP.model_copy(update=change), [table]).values != base


def test_mistakes_are_named() -> None:
    table = scored(50, seed=1)
    with pytest.raises(ValueError, match='no level "maybe", but no, yes'):
        run(STEP.model_copy(update={"positive": "maybe"}), [table])
    with pytest.raises(ValueError, match="say which of its levels"):
        run(Roc(outcome="arm", scores=("new",)), [table])
    bare = {**table.contract, "new": Column(type="number")}
    with pytest.raises(ValueError, match='"new": expected a number with a declared range'):
        run(STEP, [replace(table, contract=bare)])


def test_patterns_of_scores() -> None:
    step = Roc(outcome="response", scores=("s*",)).expand(tuple(scored(5, seed=1).columns))
    assert step.scores == ("sum_score", "sex")


def test_runs_hold_enough_of_everything_and_lose_nobody() -> None:
    rng = np.random.default_rng(2)
    for _ in range(200):
        counts = rng.poisson(rng.uniform(0, 3), (2, rng.integers(1, 60)))
        for each in (False, True):
            for empty in (False, True):
                ends = runs(counts, 5, each=each, empty=empty)
                cells = run_sums(counts, ends)
                assert (cells.sum(axis=1) == counts.sum(axis=1)).all()
                assert ends[-1] == counts.shape[1]
                assert (np.diff(ends) > 0).all()
                if len(ends) > 1:
                    shown = cells if each else cells.sum(axis=0)
                    assert not ((shown > 0) & (shown < 5)).any()
                    assert empty or (cells.sum(axis=0) > 0).all()


def test_sites_with_one_class_or_nobody_count_as_they_are() -> None:
    table = scored(200, seed=10)
    y = table.columns["response"]
    nobody: Table = table.rows(np.zeros(table.n, np.bool_))
    parts = [table.rows(y == 0), table.rows(y == 1), nobody]
    assert run(STEP, parts).values == run(STEP, [table]).values


def test_sums_the_coordinator_chooses_leave_no_site_in_clear() -> None:
    schema = STEP.schema(Ask("placements"), scored(5, seed=1).contract)
    assert schema["squares"].alone == "never"
