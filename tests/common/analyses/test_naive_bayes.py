"""Gaussian naive Bayes over sites: that of scikit-learn on the pooled rows."""

from typing import Any

import numpy as np
import pytest

from common.analyses.naive_bayes import NaiveBayes
from common.analyses.runner import run
from tests.common.analyses.classified import (
    OF,
    assert_classifier_laws,
    classified,
    only_masked,
    rounds_of,
    rows_of,
)
from tests.common.analyses.tables import split_unevenly

BAYES = NaiveBayes(outcome="response", of=OF, folds=4)


def test_federated_is_pooled() -> None:
    assert_classifier_laws(BAYES, classified(250, seed=1))


@pytest.mark.parametrize("smoothing", [1e-9, 0.3])
def test_probabilities_are_those_of_scikit_learn_on_standardised_columns(
    smoothing: float,
) -> None:
    from sklearn.naive_bayes import GaussianNB
    from sklearn.preprocessing import StandardScaler

    step = BAYES.model_copy(update={"smoothing": smoothing})
    table = classified(300, seed=2)
    rows, x, y = rows_of(table)
    made = step.columns_from(rows, run(step, split_unevenly(table, 4)))
    fold = rows.folds(4)
    for k in range(-1, 4):
        train, test = fold != k, (fold == k) | (k < 0)
        scaler = StandardScaler().fit(x[train])
        model = GaussianNB(var_smoothing=smoothing).fit(scaler.transform(x[train]), y[train])
        expected = model.predict_proba(scaler.transform(x[test]))[:, 1]
        name = "probability" if k < 0 else "probability_oof"
        np.testing.assert_allclose(made[name][test], expected, rtol=1e-9, atol=1e-12)


def test_terms_are_means_and_deviations_of_the_classes() -> None:
    table = classified(300, seed=3)
    rows, _, y = rows_of(table)
    terms: Any = run(BAYES, split_unevenly(table, 3)).values["terms"]
    x = rows.columns["volume"]
    assert terms["volume"]["mean_events"] == pytest.approx(x[y == 1].mean(), rel=1e-12)
    assert terms["volume"]["sd_non_events"] == pytest.approx(x[y == 0].std(), rel=1e-12)
    assert terms["flat"]["standardised_difference"] is None


def test_two_rounds_folds_included() -> None:
    assert rounds_of(BAYES, classified(300, seed=4)).rounds == 2


def test_classes_a_hundred_deviations_apart_take_a_third_round() -> None:
    table = classified(300, seed=4)
    y = table.columns["response"]
    table.columns["noise"][:] = 1e6 * y + np.random.default_rng(0).normal(size=table.n)
    table.columns["flat"][:] = 0.1 * y
    assert rounds_of(BAYES, table).rounds == 3
    _, x, y = rows_of(table)
    terms: Any = run(BAYES, split_unevenly(table, 3)).values["terms"]
    noise = x[:, OF.index("noise")]
    assert terms["noise"]["sd_events"] == pytest.approx(noise[y == 1].std(), rel=1e-9)
    assert terms["noise"]["sd_non_events"] == pytest.approx(noise[y == 0].std(), rel=1e-9)
    assert terms["flat"]["sd_events"] == terms["flat"]["sd_non_events"] == 0
    assert terms["flat"]["mean_events"] == 0.1


def test_positive_turns_the_probability() -> None:
    table = classified(200, seed=5)
    other = BAYES.model_copy(update={"positive": "no"})
    p, q = (s.columns_from(table, run(s, [table]))["probability"] for s in (BAYES, other))
    np.testing.assert_allclose(p, 1 - q, atol=1e-12)


def test_every_mean_of_a_site_alone_has_its_count_behind_it() -> None:
    table = classified(300, seed=6)
    assert only_masked(BAYES, table) == set()
    solving = BAYES.solve(table.contract, alone=True)
    schema = BAYES.schema(next(solving), table.contract)
    assert schema["classes"].alone == "cells"
    assert {schema[name].behind for name in schema if name.startswith("sum")} == {"valid"}
