"""Support vector machines over sites: scikit-learn's LinearSVC on the pooled rows."""

from typing import Any

import numpy as np
import pytest

from common.analyses.runner import run
from common.analyses.svm import Svm
from common.table import Table
from tests.common.analyses.classified import (
    OF,
    assert_classifier_laws,
    auc,
    classified,
    only_masked,
    oof_auc,
    rounds_of,
    rows_of,
    sklearn_oof_auc,
)
from tests.common.analyses.tables import split_unevenly

SVM = Svm(outcome="response", of=OF, folds=3)
RADIAL = SVM.model_copy(update={"kernel": "rbf_features", "features": 40})


def ring(n: int, seed: int) -> Table:
    """Return cases whose outcome a line cannot tell: events lie inside a circle."""
    table = classified(n, seed=seed, missing=0)
    inside = table.columns["response"] == 1
    rng = np.random.default_rng(seed)
    radius, angle = np.where(inside, 1.0, 3.0) + 0.4 * rng.normal(size=n), 7 * rng.random(n)
    table.columns["grey"][:] = radius * np.cos(angle)
    table.columns["volume"][:] = radius * np.sin(angle)
    return table


@pytest.mark.parametrize("step", [SVM, RADIAL, SVM.model_copy(update={"folds": 0})])
def test_federated_is_pooled(step: Svm) -> None:
    assert_classifier_laws(step, classified(250, seed=1))


@pytest.mark.parametrize("penalty", [0.1, 1.0])
def test_weights_are_those_of_linear_svc(penalty: float) -> None:
    from sklearn.preprocessing import StandardScaler
    from sklearn.svm import LinearSVC

    table = classified(300, seed=2)
    step = SVM.model_copy(update={"penalty": penalty})
    answer = run(step, split_unevenly(table, 4))
    rows, x, y = rows_of(table)
    fold = rows.folds(3)
    for k in range(-1, 3):
        z = StandardScaler().fit_transform(x[fold != k])
        model = LinearSVC(C=penalty, dual=False, tol=1e-9).fit(z, y[fold != k])
        expected = np.append(model.intercept_, model.coef_[0])
        np.testing.assert_allclose(answer.arrays["weights"][k + 1], expected, atol=1e-8)


def test_gradient_on_the_pooled_rows_is_zero() -> None:
    table = classified(300, seed=2)
    answer = run(SVM, split_unevenly(table, 4))
    _, x, y = rows_of(table)
    z = np.column_stack([np.ones(len(y)), (x - x.mean(0)) / np.where(np.ptp(x, 0), x.std(0), 1)])
    w, t = answer.arrays["weights"][0], 2 * y - 1
    gap = np.maximum(1 - t * (z @ w), 0)
    np.testing.assert_allclose(w, 2 * 0.1 * z.T @ (t * gap), atol=1e-12)
    assert answer.values["objective"] == pytest.approx(w @ w / 2 + 0.1 * (gap**2).sum(), rel=1e-12)


def test_probability_is_platts_sigmoid_of_the_decisions_out_of_fold() -> None:
    from sklearn.calibration import _SigmoidCalibration

    table = classified(300, seed=3)
    answer = run(SVM, split_unevenly(table, 4))
    rows, x, y = rows_of(table)
    fold, f = rows.folds(3), np.empty(rows.n)
    arrays = answer.arrays
    decision = [
        np.column_stack([np.ones(len(y)), (x - arrays["centre"][i]) / arrays["unit"][i]])
        @ arrays["weights"][i]
        for i in range(4)
    ]
    for k in range(3):
        f[fold == k] = decision[k + 1][fold == k]
    made = SVM.columns_from(rows, answer)
    expected = _SigmoidCalibration().fit(f, y).predict(decision[0])
    np.testing.assert_allclose(made["probability"], expected, atol=1e-5)
    for k in range(3):
        here = fold == k
        fit = _SigmoidCalibration().fit(f[~here], y[~here])
        np.testing.assert_allclose(made["probability_oof"][here], fit.predict(f[here]), atol=1e-5)


def test_random_features_see_what_a_line_cannot() -> None:
    from sklearn.calibration import CalibratedClassifierCV
    from sklearn.svm import SVC

    table = ring(300, seed=4)
    expected = sklearn_oof_auc(CalibratedClassifierCV(SVC(), ensemble=False), table, 3)
    wide = RADIAL.model_copy(update={"features": 80, "penalty": 1.0})
    assert oof_auc(wide, table) > expected - 0.03
    assert oof_auc(SVM, table) < expected - 0.2


def test_linear_is_as_good_as_a_linear_kernel_machine() -> None:
    from sklearn.calibration import CalibratedClassifierCV
    from sklearn.svm import SVC

    table = classified(300, seed=5)
    model = CalibratedClassifierCV(SVC(kernel="linear"), ensemble=False)
    expected = sklearn_oof_auc(model, table, 3)
    assert oof_auc(SVM, table) == pytest.approx(expected, abs=0.02)


def test_eighteen_rounds_are_enough_folds_included() -> None:
    table = classified(300, seed=6)
    assert rounds_of(SVM, table).rounds <= 18
    assert rounds_of(RADIAL, table).rounds <= 18


def test_separated_classes_have_a_finite_answer() -> None:
    table = classified(200, seed=7, missing=0)
    table.columns["noise"][:] = table.columns["response"] + 1e-9 * table.columns["grey"]
    answer = run(SVM, split_unevenly(table, 3))
    assert answer.values["converged"]
    p = SVM.columns_from(table, answer)["probability"]
    assert auc(table.columns["response"], p) == 1
    assert p.max() < 1


def test_a_site_alone_lets_no_curvature_out() -> None:
    never = only_masked(SVM, classified(200, seed=8))
    assert never == {"value", "gradient", "curvature"}


def test_more_coefficients_than_a_third_of_the_cases_are_refused() -> None:
    step = RADIAL.model_copy(update={"features": 100})
    answer = run(step, [classified(200, seed=9)])
    assert "more than a third" in str(answer.values["note"])


@pytest.mark.parametrize(
    "settings",
    [{"penalty": 0.01}, {"features": 20}, {"gamma": 1.0}, {"seed": 3}, {"positive": "no"}],
)
def test_every_setting_changes_the_machine(settings: Any) -> None:
    table = classified(200, seed=10)
    other = RADIAL.model_copy(update=settings)
    made = [s.columns_from(table, run(s, [table]))["probability"] for s in (RADIAL, other)]
    assert not np.allclose(*made, equal_nan=True)


def test_importance_and_terms_name_the_columns() -> None:
    table = classified(300, seed=11)
    linear: Any = run(SVM, [table]).values
    assert linear["terms"]["flat"]["estimate"] == pytest.approx(0, abs=1e-20)
    for found in (linear, run(RADIAL, [table]).values):
        assert sum(found["importance"].values()) == pytest.approx(1, rel=1e-12)
    assert set(list(linear["importance"])[:3]) == {"grey", "volume", "count"}
