"""More kinds of answer as the page shows them, each computed by the analysis itself."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from common.analyses.compare_groups import CompareGroups
from common.analyses.cutoff_scan import CutoffScan
from common.analyses.histogram import Histogram
from common.analyses.meta import Meta
from common.analyses.naive_bayes import NaiveBayes
from common.analyses.roc import Roc
from common.analyses.runner import run
from tests.server.report.folders import journal, page_of, write_run
from tests.server.report.test_kinds import STUDY, patients, roc_step, shown


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("run")


def test_many_scores_leave_their_areas_to_the_table(folder: Path) -> None:
    values: Any = dict(run(roc_step(), [patients(300)]).values)
    names = ("old", "new", "age", "reader_a", "reader_b")
    values["scores"] = dict.fromkeys(names, values["scores"]["new"])
    step = Roc(outcome="response", scores=names, bootstrap=0)
    (figure,) = shown(folder, step, {"development": values}).figures
    assert ">AUC 0." not in figure.svg
    assert "AUC 0." in shown(folder, roc_step()).figures[0].svg
    assert "stands in the table below" in figure.caption


def test_a_difference_stands_with_its_interval_and_effect(folder: Path) -> None:
    step = CompareGroups(of=("age",), by="response", test="t")
    found: Any = run(step, [patients(300)]).values["columns"]["age"]  # type: ignore[index,call-overload]
    text = shown(folder, step).text
    ends = f"({found['ci_low']:.2f} to {found['ci_high']:.2f})"
    assert f"{found['estimate']:.2f} {ends}" in text
    assert f"{found['hedges_g']:.3f}" in text
    assert "group yes less group no" in text
    ranks = shown(folder, CompareGroups(of=("age",), by="response", test="mann_whitney"))
    assert "AUC: the chance that a case of group yes" in ranks.text


def test_a_histogram_has_bars_and_says_its_noise(folder: Path) -> None:
    step = Histogram(of=("age",), by="response", bins=8)
    found = shown(folder, step)
    assert [figure.name for figure in found.figures] == ["step-bars-development"]
    assert "Response: yes" in found.text
    bars = {"n": 40, "edges": [0.0, 1.0, 2.0], "counts": {"all": [22, -3]}}
    noisy = {"n": 40, "noise": {"sd": 4.0}, "columns": {"old": bars}}
    (figure,) = shown(folder, Histogram(of=("old",), edges=(0, 1, 2)), {"all": noisy}).figures
    assert "8.00) of the random noise" in figure.caption


def test_a_page_says_binned_with_its_bound_or_exact(folder: Path) -> None:
    step = CompareGroups(of=("new", "reader_a"), by="response", test="mann_whitney")
    values: Any = dict(run(step, [patients(300)]).values)
    values["columns"]["reader_a"] |= {"mode": "binned", "bound": 0.0123, "bound_of": "auc"}
    text = shown(folder, step, {"development": values}).text
    assert "Binned" in text
    assert "Reader A (its AUC within \N{PLUS-MINUS SIGN}0.013)" in text
    exact = shown(folder, CompareGroups(of=("age",), by="response", test="t"))
    assert "Exact: no value was binned" in exact.text


def test_a_meta_analysis_is_a_forest_of_ratios(folder: Path) -> None:
    step = Meta(effect="log_odds_ratio", of="died", outcome="response")
    values: Any = run(step, [patients(n) for n in (300, 250, 200, 180, 170)]).values
    found = shown(folder, step, {"development": dict(values)})
    assert f"{np.exp(values['fixed']['estimate']):.2f}" in found.text
    assert "Hartung, Knapp, Sidik and Jonkman" in found.text
    assert [figure.name for figure in found.figures] == ["step-forest-development"]
    assert "the odds ratio of Death for Response" in found.sentence
    few = run(step, [patients(n) for n in (300, 250, 200)]).values
    text = shown(folder, step, {"development": dict(few)}).text
    assert "Rounded, of fewer than five sites" in text
    assert "Hartung" not in text


@pytest.mark.parametrize(
    ("effect", "unit", "told"),
    [
        ("mean", 10.0, "60 | 30 to 90"),
        ("mean", 0.1, "60.0 | 30.0 to 90.0"),
        ("log_odds_ratio", 0.1, "1.5 | 0.7 to 4"),
        ("log_odds_ratio", 0.01, "1.49 | 0.67 to 4.5"),
        ("proportion", 0.1, "0.6 | 0.4 to 0.82"),
        ("auc", 0.01, "0.40 | \N{MINUS SIGN}0.40 to 1.50"),
    ],
)
def test_a_rounded_meta_analysis_prints_no_digit_that_is_not_known(
    folder: Path, effect: str, unit: float, told: str
) -> None:
    ends = (60.0, 30.0, 90.0) if effect == "mean" else (0.4, -0.4, 1.5)
    random: Any = dict(zip(("estimate", "ci_low", "ci_high"), ends, strict=True))
    random |= {"p": None, "p_below": 0.05}
    values = {"effect": effect, "k": 3, "n": 90, "rounded_to": unit, "rounded": "of few"}
    values |= {"random": random, "i2": {"estimate": 0.4}}
    of = {} if effect == "proportion" else {"of": "age"}
    outcome = {} if effect == "mean" else {"outcome": "response"}
    step = Meta.model_validate({"effect": effect, **of, **outcome})
    text = shown(folder, step, {"development": values}).text
    assert f"| {told} |" in text
    assert "I² 40 %, to the nearest ten." in text
    assert ("< 0.05" in text) == (effect == "log_odds_ratio")


def test_a_scan_of_cut_offs_names_its_best_and_the_adjusted_p(folder: Path) -> None:
    step = CutoffScan(time="days", event="died", marker="age", cutoffs=(50, 60, 70))
    text = shown(folder, step).text
    assert "Best cut-off: " in text
    assert "Lausen and Schumacher p " in text


def test_several_cases_of_a_patient_are_told_where_they_count(folder: Path) -> None:
    rows = patients(300)
    twice = replace(rows, patients=np.array([f"p{i // 2}" for i in range(300)]))
    step = Roc(outcome="response", scores=("old",), bootstrap=0)
    values = dict(run(step, [twice]).values)
    said = "300 cases of 150 patients (Development): several cases of a patient count as patients"
    assert said in shown(folder, step, {"development": values}).text
    assert "several cases" not in shown(folder, step).text
    bayes = NaiveBayes(outcome="response", of=("age",))  # has no test that would be wrong
    values = dict(run(bayes, [twice]).values)
    assert "several cases" not in shown(folder, bayes, {"development": values}).text


def test_a_study_of_several_cases_a_patient_says_so_once(tmp_path: Path) -> None:
    values = {"n": 40, "n_patients": 25, "columns": {}}
    test = {"columns": {"age": {"p": 0.5, "groups": {}}}}
    made = {"table_1": {"development": values}, "test": {"development": test}}
    more = "  test: {kind: compare_groups, of: [age], by: response, test: t}\n"
    page = page_of(write_run(tmp_path, journal(made), study=STUDY + more))
    assert "40 cases of 25 patients. In tests and models several cases" in page
    assert "Several cases of a patient count as patients of their own" in page
