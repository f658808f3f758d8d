"""Forests over sites: the pooled forest bit by bit, as good as scikit-learn's."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from common.analyses.bins import codes_of
from common.analyses.forest import Forest
from common.analyses.runner import run
from common.analyses.trees import bootstrap, nodes_of, read_trees
from common.cohort import Column
from common.table import Table
from tests.common.analyses.classified import (
    OF,
    assert_classifier_laws,
    classified,
    only_masked,
    oof_auc,
    rounds_of,
    rows_of,
    sklearn_oof_auc,
)
from tests.common.analyses.tables import split_unevenly

FOREST = Forest(outcome="response", of=OF, trees=12, depth=4)
METHODS = ["random_forest", "extra_trees"]


def forest(**settings: Any) -> Forest:
    return FOREST.model_copy(update=settings)


@pytest.mark.parametrize("method", METHODS)
def test_forest_is_the_pooled_one_bit_by_bit(method: str) -> None:
    assert_classifier_laws(forest(method=method, folds=3), classified(260, seed=1), exact=True)


def test_cases_of_a_patient_are_drawn_alike_wherever_they_are() -> None:
    patients = np.array(["a", "b", "a", "c"])
    drawn = bootstrap(patients, ("key", 0), 3000)
    np.testing.assert_array_equal(drawn[0], drawn[2])
    np.testing.assert_array_equal(drawn[1:2], bootstrap(patients[1:2], ("key", 0), 3000))
    assert drawn.mean() == pytest.approx(1, abs=0.05)
    assert drawn.var() == pytest.approx(1, abs=0.1)
    assert (drawn[0] == 0).mean() == pytest.approx(np.exp(-1), abs=0.04)


@pytest.mark.parametrize("method", METHODS)
def test_leaves_hold_at_least_five_patients_in_bag_and_the_mean_of_the_outcome(
    method: str,
) -> None:
    step = forest(method=method, depth=6)
    table = classified(300, seed=2, per_patient=2)
    answer = run(step, [table])
    trees, (rows, x, y) = read_trees(dict(answer.arrays)), rows_of(table)
    codes = codes_of(x, answer.arrays["edges"])
    drawn = bootstrap(rows.patients, ("key", "forest", 0), step.trees)
    for t in range(step.trees):
        w = drawn[:, t] if method == "random_forest" else np.ones(len(y))
        node = nodes_of(codes, trees.feature[[t]], trees.cut[[t]])[0]
        for leaf in np.unique(node):
            here = (node == leaf) & (w > 0)
            assert len(np.unique(rows.patients[here])) >= 5
            expected = (w * y)[here].sum() / w[here].sum()
            assert trees.value[t, leaf] == pytest.approx(expected, rel=1e-14)


def test_root_split_is_the_best_of_all_edges() -> None:
    step = forest(trees=3, tried=len(OF), depth=1)
    table = classified(200, seed=3)
    answer = run(step, split_unevenly(table, 3))
    trees, (rows, x, y) = read_trees(dict(answer.arrays)), rows_of(table)
    drawn = bootstrap(rows.patients, ("key", "forest", 0), 3)
    for t in range(3):
        impurities = {
            (j, e): _impurity(y, drawn[:, t], x[:, j] <= edge)
            for j in range(len(OF))
            for e, edge in enumerate(answer.arrays["edges"][j])
            if min(((x[:, j] <= edge) * (drawn[:, t] > 0)).sum(), 200) >= 5
        }
        found = int(trees.feature[t, 0]), int(trees.cut[t, 0])
        assert impurities[found] == pytest.approx(min(impurities.values()), rel=1e-12)


def _impurity(y: Any, w: Any, left: Any) -> float:
    if ((~left) & (w > 0)).sum() < 5:
        return np.inf
    parts = [(w[s].sum(), (w * y)[s].sum() / w[s].sum()) for s in (left, ~left)]
    return float(sum(n * 2 * p * (1 - p) for n, p in parts))


@pytest.mark.parametrize("method", METHODS)
def test_as_good_as_scikit_learn_out_of_fold(method: str) -> None:
    from sklearn.ensemble import ExtraTreesClassifier, RandomForestClassifier

    table = classified(400, seed=4)
    of = {"random_forest": RandomForestClassifier, "extra_trees": ExtraTreesClassifier}[method]
    model = of(30, max_depth=5, min_samples_leaf=5, random_state=0)
    mine = oof_auc(forest(method=method, trees=30, depth=5, folds=3), table)
    assert mine == pytest.approx(sklearn_oof_auc(model, table, 3), abs=0.025)


def test_importance_finds_the_columns_that_matter() -> None:
    importance = run(forest(trees=40), [classified(300, seed=5)]).values["importance"]
    assert sum(importance.values()) == pytest.approx(1, rel=1e-12)
    assert set(list(importance)[:3]) == {"grey", "volume", "count"}
    assert importance["flat"] == 0


@pytest.mark.parametrize("method", METHODS)
def test_rounds_are_those_of_one_tree(method: str) -> None:
    table = classified(300, seed=6)
    cost = rounds_of(forest(method=method, folds=5), table)
    assert cost.rounds <= 4 + 3
    ranged = forest(method=method, folds=5, edges="range", of=("grey", "count"))
    assert rounds_of(ranged, table).rounds == 4 + 1


def test_extra_trees_need_a_small_message() -> None:
    table = classified(300, seed=6)
    sizes = [rounds_of(forest(method=m), table).bytes_up for m in METHODS]
    assert sizes[1] < sizes[0] / 3


def test_a_site_alone_lets_no_histogram_out() -> None:
    assert only_masked(FOREST, classified(200, seed=7)) == {"below", "histogram"}


def test_a_level_that_would_not_fit_is_said_before_any_tree() -> None:
    step = forest(trees=2000, depth=10, folds=20, bins=256, tried=6)
    cost = rounds_of(step, classified(700, seed=8))
    answer = run(step, [classified(700, seed=8)])
    assert "fewer trees" in str(answer.values["note"])
    assert cost.rounds <= 3


@pytest.mark.parametrize(
    "settings",
    [
        {"seed": 1},
        {"trees": 7},
        {"depth": 2},
        {"tried": 5},
        {"min_leaf": 20},
        {"bins": 8},
        {"method": "extra_trees"},
        {"positive": "no"},
    ],
)
def test_every_setting_changes_the_forest(settings: Any) -> None:
    table = classified(200, seed=9)
    other = run(forest(**settings), [table])
    assert not np.array_equal(run(FOREST, [table]).arrays["value"], other.arrays["value"])


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"of": ("response",)}, "is the outcome"),
        ({"of": ("grey", "grey")}, "distinct columns"),
        ({"of": ("grey",), "folds": 1}, "expected 0, or 2"),
        ({"of": ("grey",), "min_leaf": 2}, "greater than or equal to 5"),
    ],
)
def test_impossible_settings_are_refused(setting: Any, message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        Forest(outcome="response", **setting)


def test_columns_must_be_numbers_and_ranges_declared() -> None:
    table = classified(100, seed=10)
    with pytest.raises(ValueError, match="declared range, not"):
        run(forest(edges="range"), [table])
    with pytest.raises(ValueError, match="got categories"):
        run(Forest(outcome="count", positive="", of=("response",)), [_binary(table)])


def _binary(table: Table) -> Table:
    binary = Column(type="integer", range=(0, 1))
    return replace(table, contract={**table.contract, "count": binary})
