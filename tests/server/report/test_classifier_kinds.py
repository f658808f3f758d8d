"""Pages of classifiers and of what a paper prints beside them, from the analyses' own answers."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from common.analyses.agreement_of_categories import AgreementOfCategories
from common.analyses.decision_curve import DecisionCurve
from common.analyses.forest import Forest
from common.analyses.lasso import Lasso
from common.analyses.moments import Moments
from common.analyses.naive_bayes import NaiveBayes
from common.analyses.prototypes import Prototypes
from common.analyses.reclassification import Reclassification
from common.analyses.runner import run
from common.analyses.standardise import Standardise
from common.analyses.svm import Svm
from common.step import Step
from server.report.headings import heading_of
from server.report.numbers import p_value
from server.report.record import read_record
from server.report.view import StepView
from tests.server.report.folders import SITES, write_run
from tests.server.report.test_kinds import CONTRACT, STUDY, patients, shown

_OF = ("age", "days", "reader_a", "reader_b")
_RAW = ("ci_low", "n_patients", "non_events", "mean events", "excess_kurtosis", "idi")
"""Words of an answer's file, which no page of a paper has."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("run")


def answer(step: Step) -> Any:
    return run(step, [patients(300)]).values


def test_reclassification_prints_nri_idi_and_who_moved(folder: Path) -> None:
    step = Reclassification(outcome="response", old="old", new=("new",), categories=(0.2, 0.5))
    rows = patients(300)
    rows.columns["new"][:] += 1e-4  # so that the probability of nobody stays the same
    values: Any = run(step, [rows]).values
    found, page = values["models"]["new"], shown(folder, step, {"development": values})
    for key in ("continuous_nri", "idi"):
        one = found[key]
        line = f"{one['estimate']:.3f} | {one['ci_low']:.3f} to {one['ci_high']:.3f}"
        assert f"{line} | {p_value(one['p'])}".replace("-", "\N{MINUS SIGN}") in page.text
    assert "New score: 0.2 to below 0.5" in page.text
    line = found["table"]["non_events"][1]
    assert f"{line[0]} ({100 * line[0] / sum(line):.0f} %)" in page.text
    assert "What New score adds to Old score for Response" in page.sentence


def test_hidden_moves_are_called_so(folder: Path) -> None:
    step = Reclassification(outcome="response", old="old", new=("new",), categories=(0.2, 0.5))
    values = answer(step)
    values["models"]["new"] |= {
        "categorical_nri": None,
        "table": {"events": [[None] * 3] * 3, "non_events": [[9] * 3] * 3},
        "note": "cells of fewer than 5 patients are not shown",
    }
    text = shown(folder, step, {"development": values}).text
    assert "NRI over categories of risk | hidden" in text
    assert "Hidden: fewer than five patients" in text


def test_kappa_stands_with_interval_and_its_table(folder: Path) -> None:
    step = AgreementOfCategories(pairs=(("response", "died"),))
    table = patients(300)
    table.columns["died"][:250] = table.columns["response"][:250]
    same = dict.fromkeys(("response", "died"), CONTRACT["response"])
    table = replace(table, contract=same)
    values: Any = run(step, [table]).values
    kappa = values["pairs"][0]["kappa"]
    text = shown(folder, step, {"development": values}).text
    ends = f"({kappa['ci_low']:.2f} to {kappa['ci_high']:.2f})"
    assert f"300 | 0 | {100 * kappa['agreement']:.1f} % | {kappa['estimate']:.2f} {ends}" in text
    assert "McNemar, exact" in text
    assert "Response, below; Death, across" in text


def test_moments_are_a_line_a_column(folder: Path) -> None:
    step = Moments(of=("age", "days"), correction="holm")
    one, text = answer(step)["columns"]["days"], shown(folder, step).text
    assert f"Follow-up, days | 300 | 0 | {one['mean']:.0f} ({one['sd']:.0f})" in text
    assert f"{one['skewness']:.2f}" in text
    assert "p adjusted (Holm)" in text
    assert "D'Agostino" in text


def test_standardise_says_the_scale_and_what_has_none(folder: Path) -> None:
    step = Standardise(of=("age", "reader_a"), folds=5)
    values = answer(step)
    values["columns"]["reader_a"]["sd"] = 0.0
    page = shown(folder, step, {"development": values})
    assert f"Age, years | 300 | {values['columns']['age']['mean']:.2f}" in page.text
    assert "every z-score is 0: Reader A" in page.text
    assert "each of 5 folds" in page.sentence


@pytest.mark.parametrize(
    ("step", "figure", "said"),
    [
        (NaiveBayes(outcome="response", of=_OF), "standardised-difference", "Events, mean (SD)"),
        (Svm(outcome="response", of=_OF), "weight-per-standard-deviation", "Weight per unit"),
        (
            Svm(outcome="response", of=_OF, kernel="rbf_features", features=12),
            "importance",
            "radial kernel",
        ),
        (Prototypes(outcome="response", of=_OF), "variance-explained", "Cases each stands for"),
    ],
    ids=lambda value: getattr(value, "kind", None),
)
def test_a_classifier_has_bars_of_columns_and_a_table(
    folder: Path, step: Step, figure: str, said: str
) -> None:
    page = shown(folder, step)
    assert [f.name for f in page.figures] == [f"step-development-{figure}"]
    assert said in page.text
    assert "n = 300, " in page.text
    assert "Predict Response by " in page.sentence
    assert not [word for word in _RAW if word in page.text]


def test_a_classifier_that_was_not_fitted_says_why(folder: Path) -> None:
    for kind in (NaiveBayes, Svm, Prototypes):
        step = kind(outcome="response", of=_OF)
        values: Any = dict(run(step, [patients(9)]).values)
        assert "a class has fewer than 10 cases" in shown(folder, step, {"all": values}).text


@pytest.mark.parametrize(
    ("alpha", "name", "table"),
    [
        (1.0, "LASSO", "Columns selected"),
        (0.5, "elastic net", "Columns selected"),
        (0.0, "ridge regression", "Weights, Development"),
    ],
)
def test_a_penalty_is_called_by_its_name_and_an_end_of_its_path_is_told(
    folder: Path, alpha: float, name: str, table: str
) -> None:
    step = Lasso(outcome="response", of=_OF, alpha=alpha, smallest=0.5, lambdas=8, folds=4)
    page = shown(folder, step)
    assert name in page.sentence
    assert table in page.text
    assert "smallest lambda of the path" in page.text
    record = read_record(write_run(folder, [], study=STUDY, sites=SITES))
    title = name[:1].upper() + name[1:]
    assert heading_of(StepView("score", step, record, {}, {})).text == f"{title}: score"


def test_reclassification_of_too_few_says_why(folder: Path) -> None:
    step = Reclassification(outcome="response", old="old", new=("new",))
    rows = patients(300).rows(np.arange(300) < 8)
    text = shown(folder, step, {"all": dict(run(step, [rows]).values)}).text
    assert "fewer than 5 cases of a class" in text


def test_net_benefit_stands_at_the_nearest_threshold_that_can_be_shown(folder: Path) -> None:
    step = DecisionCurve(outcome="response", scores=("old",))
    values: Any = dict(run(step, [patients(300)]).values)
    curve = {"threshold": [0.12, 0.33], "net_benefit": [0.211, 0.133]}
    near = {**values, "scores": {"old": curve}}
    text = shown(folder, step, {"development": near}).text
    assert "Old score | 0.211\nat 0.12 | \N{EN DASH} | 0.133\nat 0.33 | act on all" in text
    assert "the nearest one that can be shown" in text
    exact = {**values, "scores": {"old": {"threshold": [0.1], "net_benefit": [0.2]}}}
    assert "the nearest one" not in shown(folder, step, {"development": exact}).text


def test_net_benefit_of_small_thresholds_stands_at_the_curves_own(folder: Path) -> None:
    step = DecisionCurve(outcome="response", scores=("old",), thresholds=(0.01, 0.02, 0.04))
    assert "Net benefit at threshold | 0.01 | 0.02 | 0.04" in shown(folder, step).text


def test_lasso_shows_its_path_and_what_it_selected(folder: Path) -> None:
    found = shown(folder, Lasso(outcome="response", of=("reader_a", "reader_b", "age"), folds=3))
    assert "Cross-validated deviance" in found.figures[0].svg
    assert "Columns selected" in found.text


def test_a_forest_shows_the_importance_of_columns(folder: Path) -> None:
    found = shown(folder, Forest(outcome="response", of=("reader_a", "age"), trees=5))
    assert "Importance" in found.figures[0].svg
    assert "5 trees on 300 cases" in found.text


def test_kappa_beside_a_hidden_cell_lies_between_two_values(
    folder: Path,
) -> None:
    table = patients(300)
    table.columns["died"][:] = table.columns["response"]
    table.columns["died"][:3] = 1 - table.columns["died"][:3]
    same = dict.fromkeys(("response", "died"), CONTRACT["response"])
    step = AgreementOfCategories(pairs=(("response", "died"),))
    values: Any = dict(run(step, [replace(table, contract=same)]).values)
    text = shown(folder, step, {"development": values}).text
    assert "| 0.95 to 1.00 |" in text
    assert "| < 0.001 | 0.05 or more\nMcNemar, exact" in text
    assert "of p only below which level it lies" in text
    assert "Hidden: fewer than five patients" in text
