"""Prototypes over sites: k-means of the pooled rows of each class."""

from typing import Any

import numpy as np
import pytest

from common.analyses.prototypes import Prototypes
from common.analyses.runner import run
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

PROTOTYPES = Prototypes(outcome="response", of=OF, prototypes=4, rounds=80)


def test_federated_is_pooled() -> None:
    step = PROTOTYPES.model_copy(update={"folds": 3})
    assert_classifier_laws(step, classified(250, seed=1))


def test_prototypes_are_centres_that_k_means_of_the_class_does_not_move() -> None:
    from sklearn.cluster import KMeans

    table = classified(300, seed=2)
    arrays = run(PROTOTYPES, split_unevenly(table, 4)).arrays
    _, x, y = rows_of(table)
    z = (x - arrays["centre"][0]) / arrays["unit"][0]
    for class_ in (0, 1):
        there = arrays["n"][class_] > 0
        start = arrays["centres"][class_][there]
        model = KMeans(len(start), init=start, n_init=1, tol=0).fit(z[y == class_])
        np.testing.assert_allclose(model.cluster_centers_, start, atol=1e-10)
        counts = np.bincount(model.labels_)
        np.testing.assert_array_equal(counts, arrays["n"][class_][there])
        assert counts.min() >= 5


def test_nearly_as_good_as_neighbours_out_of_fold() -> None:
    from sklearn.neighbors import KNeighborsClassifier

    table = classified(400, seed=3)
    step = PROTOTYPES.model_copy(update={"folds": 3})
    expected = sklearn_oof_auc(KNeighborsClassifier(15), table, 3)
    assert oof_auc(step, table) > expected - 0.03


def test_probability_is_the_vote_of_all_prototypes() -> None:
    table = classified(200, seed=4)
    answer = run(PROTOTYPES, split_unevenly(table, 3))
    rows, x, _ = rows_of(table)
    a = answer.arrays
    z, h2 = (x[0] - a["centre"][0]) / a["unit"][0], a["width"][0]
    votes = [(a["n"][c] * np.exp(-((z - a["centres"][c]) ** 2).sum(1) / (2 * h2))) for c in (0, 1)]
    mine = PROTOTYPES.columns_from(rows, answer)["probability"][0]
    assert mine == pytest.approx(votes[1].sum() / (votes[0].sum() + votes[1].sum()), rel=1e-10)


def test_rounds_are_those_of_the_slowest_fold() -> None:
    table = classified(300, seed=5)
    step = PROTOTYPES.model_copy(update={"folds": 4})
    assert rounds_of(step, table).rounds <= 4 + 40
    short = step.model_copy(update={"rounds": 7})
    assert rounds_of(short, table).rounds == 4 + 7
    answer = run(short, [table])
    assert not answer.values["converged"]
    assert answer.arrays["n"][answer.arrays["n"] > 0].min() >= 5


def test_small_prototypes_are_dissolved() -> None:
    step = PROTOTYPES.model_copy(update={"prototypes": 20})
    values: Any = run(step, split_unevenly(classified(150, seed=6), 3)).values
    assert values["converged"]
    for name in ("events", "non_events"):
        sizes = values[f"prototypes_{name}"]
        assert min(sizes) >= 5
        assert sum(sizes) == values[name]
        assert len(sizes) < 20


def test_a_site_alone_lets_no_sum_of_a_round_out() -> None:
    never = only_masked(PROTOTYPES, classified(200, seed=7))
    assert never == {"sketch", "cluster", "off", "inertia"}


def test_explained_is_a_share_of_variance() -> None:
    values: Any = run(PROTOTYPES, [classified(300, seed=8)]).values
    explained = values["explained"]
    assert all(0 <= share <= 1 for share in explained.values())
    assert explained["flat"] == pytest.approx(0, abs=1e-20)


@pytest.mark.parametrize("settings", [{"prototypes": 1}, {"rounds": 1}, {"positive": "no"}])
def test_every_setting_changes_the_prediction(settings: Any) -> None:
    table = classified(200, seed=9)
    other = PROTOTYPES.model_copy(update=settings)
    made = [s.columns_from(table, run(s, [table]))["probability"] for s in (PROTOTYPES, other)]
    assert not np.allclose(*made, equal_nan=True)
