"""An outcome that is the same in all cases, or a group nobody is in: a reason in words."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from common.analyses.analysis import Analysis
from common.analyses.calibration import Calibration
from common.analyses.compare_groups import CompareGroups
from common.analyses.concordance import Concordance
from common.analyses.cox import Cox
from common.analyses.cutoff_scan import CutoffScan
from common.analyses.decision_curve import DecisionCurve
from common.analyses.lasso import Lasso
from common.analyses.logistic import Logistic
from common.analyses.meta import Meta
from common.analyses.naive_bayes import NaiveBayes
from common.analyses.operating_point import OperatingPoint
from common.analyses.piecewise_exponential import PiecewiseExponential
from common.analyses.reclassification import Reclassification
from common.analyses.roc import Roc
from common.analyses.runner import run
from common.cohort import Column
from common.table import Table
from tests.common.analyses.readings import with_columns
from tests.common.analyses.regression_tables import followed
from tests.common.analyses.tables import split_unevenly

_SCORE = {"score": Column(type="number", range=(0, 1)), "old": Column(type="number", range=(0, 1))}
_OF_CLASS = (
    Calibration(outcome="response", scores=("score",)),
    DecisionCurve(outcome="response", scores=("score",)),
    Reclassification(outcome="response", old="old", new=("score",)),
    Roc(outcome="response", scores=("score",)),
    OperatingPoint(outcome="response", scores=("score",), at=("youden",)),
    Logistic(outcome="response", models={"m": ("age",)}),
    Lasso(outcome="response", of=("age", "adc"), folds=3),
    NaiveBayes(outcome="response", of=("adc",)),
)
_MODEL = {"m": ("adc",)}
_OF_TIME = (
    Cox(time="days", event="died", models=_MODEL),
    PiecewiseExponential(time="days", event="died", models=_MODEL),
    Concordance(time="days", event="died", scores=("adc",)),
    CutoffScan(time="days", event="died", marker="adc", cutoffs=(1e-3,)),
)


def sites(n_events: int, n: int = 120) -> list[Table]:
    """Return three sites of which so many cases have the event, of either kind."""
    table, rng = followed(n, seed=8), np.random.default_rng(1)
    event = (np.arange(n) < n_events).astype(np.float64)
    columns = {"response": event, "died": event, "score": rng.random(n), "old": rng.random(n)}
    return split_unevenly(with_columns(table, _SCORE, **columns), 3)


def note_of(step: Analysis, tables: list[Table]) -> str:
    """Return why there is no answer, of the step or of its only model."""
    values: Any = run(step, tables).values
    one = values.get("models", {}).get("m") or values.get("strata", {}).get("all")
    return str(values.get("note") or one["note"])


@pytest.mark.parametrize("step", _OF_CLASS, ids=lambda step: step.kind)
def test_an_outcome_of_one_class_is_said_and_which(step: Analysis) -> None:
    assert note_of(step, sites(0)) == "the outcome has one class only: no case has the event"
    assert note_of(step, sites(120)) == "the outcome has one class only: every case has the event"


@pytest.mark.parametrize("step", _OF_CLASS[:6], ids=lambda step: step.kind)
def test_few_of_a_class_is_another_reason(step: Analysis) -> None:
    assert note_of(step, sites(4)) == "fewer than 5 cases of a class of the outcome"


@pytest.mark.parametrize("step", _OF_TIME, ids=lambda step: step.kind)
def test_no_event_at_all_is_said(step: Analysis) -> None:
    assert note_of(step, sites(0)) == "there are no events"


@pytest.mark.parametrize(
    "test", ["t", "welch", "anova", "welch_anova", "mann_whitney", "kruskal_wallis"]
)
def test_one_group_only_is_said(test: Any) -> None:
    step = CompareGroups(of=("adc",), by="response", test=test)
    answer: Any = run(step, sites(0)).values
    assert answer["columns"]["adc"]["note"] == "all cases with a value are in one group"
    nobody = [replace(t, columns={**t.columns, "adc": t.columns["adc"] * np.nan}) for t in sites(9)]
    answer = run(step, nobody).values
    assert answer["columns"]["adc"]["note"] == "no case has a value"


def test_no_site_with_an_effect_says_what_a_site_needs() -> None:
    step = Meta(effect="standardised_difference", of="adc", outcome="response")
    assert "a class of the outcome" in note_of(step, sites(0))
