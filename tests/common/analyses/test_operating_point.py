"""Operating points over sites: equal to the pooled ones, scikit-learn, statsmodels."""

import json
import re

import numpy as np
import pytest
from sklearn.metrics import (
    balanced_accuracy_score,
    confusion_matrix,
    f1_score,
    roc_curve,
)
from statsmodels.stats.proportion import proportion_confint

from common.analyses.operating_point import AtLeast, OperatingPoint
from common.analyses.outcome import complete
from common.analyses.runner import Cost, run
from tests.common.analyses.scored import alone, assert_laws, scored
from tests.common.analyses.tables import split_unevenly

SCORES = ("old", "new")
RULES = ("youden", 0.35, AtLeast(sensitivity=0.9), AtLeast(specificity=0.8))
STEP = OperatingPoint(outcome="response", scores=SCORES, at=RULES, bootstrap=100)


def test_federated_is_pooled_in_any_split_and_order() -> None:
    assert_laws(STEP, scored(330, seed=1))


@pytest.mark.parametrize(("how", "theirs"), [("wilson", "wilson"), ("clopper_pearson", "beta")])
def test_measures_are_those_of_scikit_learn_and_statsmodels(how: str, theirs: str) -> None:
    table = scored(330, seed=2)
    step = STEP.model_copy(update={"interval": how})
    rows = complete(table, step.columns())
    y = rows.columns["response"]
    scores = run(step, split_unevenly(table, 4)).values["scores"]
    n_shown = 0
    for name in SCORES:
        for point in scores[name]["points"]:
            call = rows.columns[name] >= point["threshold"]
            tn, fp, fn, tp = confusion_matrix(y, call).ravel()
            if "tp" not in point:
                if any(0 < k < 5 for k in (tn, fp, fn, tp)):
                    rate = point["sensitivity"]
                    assert rate["at_least"] <= tp / (tp + fn) <= rate["at_most"]
                continue
            n_shown += 1
            assert (point["tp"], point["fp"], point["fn"], point["tn"]) == (
                tp,
                fp,
                fn,
                tn,
            )
            assert point["f1"]["estimate"] == pytest.approx(f1_score(y, call), abs=1e-15)
            expected = balanced_accuracy_score(y, call)
            assert point["balanced_accuracy"]["estimate"] == pytest.approx(expected, abs=1e-15)
            for measure, hits, n in (
                ("sensitivity", tp, tp + fn),
                ("specificity", tn, tn + fp),
                ("ppv", tp, tp + fp),
                ("npv", tn, tn + fn),
                ("accuracy", tp + tn, rows.n),
            ):
                found = point[measure]
                ci = proportion_confint(hits, n, method=theirs)
                assert found["estimate"] == hits / n
                assert (found["ci_low"], found["ci_high"]) == pytest.approx(ci, abs=1e-10)
    assert n_shown >= 4


def test_rules_keep_their_word_and_come_near_the_best_on_rows() -> None:
    table = scored(2000, seed=3, missing=0.0)
    youden, _, sensitive, specific = run(STEP, [table]).values["scores"]["new"]["points"]
    fpr, tpr, _ = roc_curve(table.columns["response"], table.columns["new"])
    assert sensitive["sensitivity"]["estimate"] >= 0.9
    best = (1 - fpr)[tpr >= 0.9].max()
    assert best - 0.01 <= sensitive["specificity"]["estimate"] <= best + 1e-12
    assert specific["specificity"]["estimate"] >= 0.8
    best = (tpr - fpr).max()
    assert best - 0.01 <= youden["youden"]["estimate"] <= best + 1e-12


def test_external_sites_are_tested_at_the_thresholds_of_the_developing_ones() -> None:
    developing = run(STEP, split_unevenly(scored(330, seed=4), 3))
    later = OperatingPoint(outcome="response", scores=SCORES, chosen_in="dev")
    assert later.needs() == ("dev",)
    cost = Cost()
    external = scored(200, seed=5)
    points = run(later.given({"dev": developing}), [external], cost=cost).values["scores"]
    for name in SCORES:
        expected = [p["threshold"] for p in developing.values["scores"][name]["points"]]
        assert [p["threshold"] for p in points[name]["points"]] == expected
    assert cost.rounds == 1


def test_thresholds_that_were_not_given_are_missed() -> None:
    step = OperatingPoint(outcome="response", scores=SCORES, chosen_in="dev")
    with pytest.raises(ValueError, match="not given"):
        run(step, [scored(50, seed=1)])
    with pytest.raises(ValueError, match='no threshold of "old"'):
        step.given({"dev": run(STEP.model_copy(update={"scores": ("new",)}), [scored(99, seed=1)])})


def test_rounds() -> None:
    table = scored(330, seed=1)
    for at, rounds in ((("youden",), 2), ((0.5, 0.7), 1)):
        cost = Cost()
        run(STEP.model_copy(update={"at": at}), [table], cost=cost)
        assert cost.rounds == rounds


def test_site_alone_shows_no_small_cell_in_its_sums() -> None:
    table = alone(scored(150, seed=6))
    step = STEP.model_copy(update={"at": tuple(np.linspace(0.05, 0.95, 19).tolist())})
    solving = step.solve(table.contract, alone=True)
    ask = next(solving)
    sums = step.summarise(table, ask)
    for s in SCORES:
        between = np.asarray(sums[f"between.{s}"])
        assert not ((between > 0) & (between < 5)).any()
    schema = step.schema(ask, table.contract)
    assert all(f.alone != "never" for f in schema.values())
    with pytest.raises(StopIteration) as stop:
        solving.send(sums)
    points = stop.value.value.values["scores"]["new"]["points"]
    assert any("note" in p for p in points)
    rows = complete(table, step.columns())
    events = rows.columns["new"][rows.columns["response"] == 1]
    shown = [p for p in points if "tp" in p]
    assert len(shown) > 3
    assert all(p["tp"] == (events >= p["threshold"]).sum() for p in shown)


def test_site_alone_chooses_its_own_threshold() -> None:
    points = run(STEP, [alone(scored(300, seed=7))], alone=True).values["scores"]["new"]["points"]
    assert points[2]["sensitivity"]["estimate"] >= 0.9


def test_nobody_called_is_hidden_or_none() -> None:
    table = scored(100, seed=8, missing=0.0)
    table.columns["new"][:] = 0.2
    high, low = run(STEP.model_copy(update={"at": (0.9, 0.1)}), [table]).values["scores"]["new"][
        "points"
    ]
    assert high["ppv"]["estimate"] is None
    assert low["npv"]["estimate"] is None
    assert low["sensitivity"]["estimate"] == 1.0
    youden = run(STEP, [table]).values["scores"]["new"]["points"][0]
    assert youden["threshold"] is None
    json.dumps([high, low, youden], allow_nan=False)


def test_a_side_with_three_patients_is_not_shown() -> None:
    table = scored(100, seed=8, missing=0.0)
    table.columns["new"][:] = 0.2
    table.columns["new"][:3] = 0.8
    (point,) = run(STEP.model_copy(update={"at": (0.5,)}), [table]).values["scores"]["new"][
        "points"
    ]
    assert "tp" not in point


@pytest.mark.parametrize("n_events", [0, 3])
def test_too_few_events_choose_nothing(n_events: int) -> None:
    table = scored(100, seed=9, missing=0.0)
    table.columns["response"][:] = 0.0
    table.columns["response"][:n_events] = 1.0
    answer = run(STEP, [table]).values
    assert answer["scores"] == {}
    assert ("fewer than 5" if n_events else "no case has the event") in answer["note"]


def test_settings_change_the_answer() -> None:
    table = scored(330, seed=1)
    base = run(STEP, [table]).values
    for change in (
        {"positive": "no"},
        {"interval": "clopper_pearson"},
        {"confidence": 0.9},
        {"bootstrap": 0},
        {"seed": 1},
        {"at": (0.5,)},
    ):
        assert run(STEP.model_copy(update=change), [table]).values != base


def test_a_rule_names_one_rate() -> None:
    with pytest.raises(ValueError, match="either sensitivity or specificity"):
        AtLeast(sensitivity=0.9, specificity=0.9)


def test_interval_of_f1_is_that_of_drawn_patients() -> None:
    table = scored(300, seed=3, missing=0.0)
    step = STEP.model_copy(update={"at": (0.4,), "bootstrap": 5000})
    found = run(step, [table]).values["scores"]["new"]["points"][0]["f1"]
    y, call = table.columns["response"], table.columns["new"] >= 0.4
    rng = np.random.default_rng(0)
    drawn = [f1_score(y[i], call[i]) for i in rng.integers(0, 300, (400, 300))]
    low, high = np.quantile(drawn, [0.025, 0.975])
    assert (found["ci_low"], found["ci_high"]) == pytest.approx((low, high), abs=0.02)


def test_a_rate_far_above_the_one_asked_for_says_what_could_not_be_judged() -> None:
    table = scored(190, seed=4, missing=0.0)
    rows = np.random.default_rng(2)
    table.columns["response"][:] = 0.0
    table.columns["response"][:32] = 1.0
    table.columns["new"][:] = np.round(rows.uniform(0.0, 1.0, 190), 3)
    table.columns["new"][:4] = 0.2  # of the events, four lie low: none may be told of alone
    table.columns["new"][4:32] = np.round(rows.uniform(0.6, 1.0, 28), 3)
    step = STEP.model_copy(update={"scores": ("new",), "at": (AtLeast(sensitivity=0.9),)})
    (point,) = run(step, split_unevenly(table, 3)).values["scores"]["new"]["points"]
    assert point["sensitivity"]["estimate"] == 1.0
    low, high = map(float, re.findall(r"between (\S+) and (\S+),", point["note"])[0])
    assert low == pytest.approx(point["threshold"], abs=1e-3)
    score, event = table.columns["new"], table.columns["response"] == 1
    inside = int(((score >= low) & (score < high)).sum())
    assert f"where {inside} cases lie" in point["note"]
    at_high = (score[event] >= high).mean(), (score[~event] < high).mean()
    assert f"sensitivity is {at_high[0]:.2f} and specificity {at_high[1]:.2f}" in point["note"]
    assert at_high[0] < 0.9
    assert point["judged"] >= 3
    fixed = step.model_copy(update={"at": (AtLeast(sensitivity=0.9), 0.5)})
    said = run(fixed, [table]).values["scores"]["new"]["points"][0]["note"]
    assert "cases lie" not in said  # beside a table at 0.5 they might tell of few
    assert "specificity" not in said


def test_a_rate_close_to_the_one_asked_for_needs_no_words() -> None:
    points = run(STEP, [scored(3000, seed=4)]).values["scores"]["new"]["points"]
    assert all("note" not in point for point in points)
    assert points[0]["judged"] > 50
    assert "judged" not in points[1]  # a threshold that was given
