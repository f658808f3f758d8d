"""Boosting over sites: the pooled trees bit by bit, those of scikit-learn on the same bins."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from common.analyses.analysis import Analysis, Ask
from common.analyses.bins import codes_of
from common.analyses.boosting import Boosting
from common.analyses.runner import Cost, exchange, run
from common.known import KNOWN
from common.sums import Sums
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

BOOSTING = Boosting(outcome="response", of=OF, steps=4, parallel=3, depth=3)
CLASSIC = {"parallel": 1, "learning_rate": 0.1, "min_leaf": 20}


def boosting(**settings: Any) -> Boosting:
    return BOOSTING.model_copy(update=settings)


def test_trees_are_the_pooled_ones_bit_by_bit() -> None:
    assert_classifier_laws(boosting(folds=3), classified(250, seed=1), exact=True)


def test_site_that_remembers_nothing_grows_the_same_trees() -> None:
    def forgetful(step: Analysis, tables: Sequence[Table], ask: Ask, cost: Cost) -> Sums:
        KNOWN.forget()
        return exchange(step, tables, ask, cost)

    tables = split_unevenly(classified(250, seed=1), 3)
    step = boosting(folds=2)
    mine, theirs = run(step, tables), run(step, tables, by=forgetful)
    assert mine.values == theirs.values
    assert all(mine.arrays[a].tobytes() == theirs.arrays[a].tobytes() for a in mine.arrays)


@pytest.mark.parametrize("l2", [0.0, 2.0])
def test_one_tree_a_step_is_scikit_learn_on_the_same_bins(l2: float) -> None:
    from sklearn.ensemble import HistGradientBoostingClassifier
    from threadpoolctl import threadpool_limits

    step = boosting(steps=15, l2=l2, **CLASSIC)
    table = classified(350, seed=2)
    answer = run(step, split_unevenly(table, 4))
    rows, x, y = rows_of(table)
    codes = codes_of(x, answer.arrays["edges"])
    model = HistGradientBoostingClassifier(
        max_iter=15,
        max_depth=3,
        max_leaf_nodes=None,
        learning_rate=0.1,
        l2_regularization=l2,
        early_stopping=False,
    )
    with threadpool_limits(1):
        model.fit(codes, y)
    mine = step.columns_from(rows, answer)["probability"]
    # scikit-learn keeps derivatives in single precision.
    np.testing.assert_allclose(mine, model.predict_proba(codes)[:, 1], rtol=0, atol=3e-7)


def test_as_good_as_scikit_learn_out_of_fold() -> None:
    from sklearn.ensemble import HistGradientBoostingClassifier

    table = classified(400, seed=3)
    model = HistGradientBoostingClassifier(max_iter=30, max_depth=3, early_stopping=False)
    expected = sklearn_oof_auc(model, table, 3)
    assert oof_auc(boosting(steps=10, parallel=5, folds=3), table) > expected - 0.02


def test_path_is_the_deviance_of_the_predictions() -> None:
    step = boosting(folds=3)
    table = classified(300, seed=4)
    answer = run(step, split_unevenly(table, 3))
    rows, _, y = rows_of(table)
    made, last = step.columns_from(rows, answer), answer.values["path"][-1]
    for name, column in (("deviance", "probability"), ("deviance_held_out", "probability_oof")):
        p = made[column]
        expected = -2 * np.mean(y * np.log(p) + (1 - y) * np.log(1 - p))
        assert last[name] == pytest.approx(expected, abs=1e-8)
    falling = [row["deviance"] for row in answer.values["path"]]
    assert falling == sorted(falling, reverse=True)
    assert [row["steps"] for row in answer.values["path"]] == [0, 1, 2, 3, 4]


def test_parallel_trees_and_folds_cost_no_round() -> None:
    table = classified(300, seed=5)
    assert rounds_of(boosting(parallel=8, folds=4), table).rounds <= 4 * 3 + 4
    ranged = boosting(of=("grey", "count"), edges="range")
    assert rounds_of(ranged, table).rounds == 4 * 3 + 2


def test_importance_finds_the_columns_that_matter() -> None:
    importance = run(BOOSTING, [classified(300, seed=6)]).values["importance"]
    assert sum(importance.values()) == pytest.approx(1, rel=1e-12)
    assert set(list(importance)[:3]) == {"grey", "volume", "count"}
    assert importance["flat"] == 0


def test_a_site_alone_lets_no_sum_of_slopes_out() -> None:
    never = only_masked(BOOSTING, classified(200, seed=7))
    assert never == {"below", "histogram", "loss"}


@pytest.mark.parametrize(
    "settings",
    [
        {"seed": 1},
        {"steps": 2},
        {"parallel": 1},
        {"depth": 1},
        {"learning_rate": 0.1},
        {"l2": 5.0},
        {"share": 0.5},
        {"min_leaf": 40},
        {"bins": 6},
        {"positive": "no"},
    ],
)
def test_every_setting_changes_the_trees(settings: Any) -> None:
    table = classified(200, seed=8)
    made = [s.columns_from(table, run(s, [table])) for s in (BOOSTING, boosting(**settings))]
    assert not np.allclose(made[0]["probability"], made[1]["probability"], equal_nan=True)


def test_a_level_that_would_not_fit_is_said_before_any_tree() -> None:
    step = boosting(parallel=100, depth=8, folds=20, bins=256)
    note = run(step, [classified(4000, seed=9)]).values["note"]
    assert "fewer parallel trees" in str(note)
