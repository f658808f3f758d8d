"""Each kind of answer, computed by the analysis itself, as the page shows it."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from common.analyses.calibration import Calibration
from common.analyses.combat import Combat
from common.analyses.compare_groups import CompareGroups
from common.analyses.compare_paired import ComparePaired
from common.analyses.concordance import Concordance
from common.analyses.correlate import Correlate
from common.analyses.cox import Cox
from common.analyses.cross_tabulate import CrossTabulate
from common.analyses.decision_curve import DecisionCurve
from common.analyses.icc import Icc
from common.analyses.logistic import Logistic
from common.analyses.missingness import Missingness
from common.analyses.moments import Moments
from common.analyses.operating_point import OperatingPoint
from common.analyses.roc import Roc
from common.analyses.runner import run
from common.analyses.univariable_logistic import UnivariableLogistic
from common.cohort import Column
from common.step import Step
from common.study import read_study
from common.table import Table as Rows
from server.report.blocks import Block, Figure, Items, Note, Table, Text
from server.report.kinds import blocks_of, sentence_of
from server.report.numbers import fixed
from server.report.record import read_record
from server.report.view import StepView
from tests.server.report.folders import SITES, write_run

STUDY = """
name: scores
cohort:
  columns:
    response: {type: category, levels: ["no", "yes"], title: Response}
    old: {type: number, range: [0, 1], title: Old score}
    new: {type: number, range: [0, 1], title: New score}
    days: {type: integer, range: [0, 1000], unit: days, title: Follow-up}
    died: {type: category, levels: [alive, dead], title: Death}
    arm: {type: category, levels: [a, b, c], title: Arm}
    age: {type: integer, range: [18, 100], unit: years, title: Age}
    reader_a: {type: number, title: Reader A}
    reader_b: {type: number, title: Reader B}
steps:
  table_1: {kind: describe, of: [age]}
"""
CONTRACT: Mapping[str, Column] = read_study(STUDY, "study.yaml").contract()


def patients(n: int) -> Rows:
    rng = np.random.default_rng(5)
    y = (rng.random(n) < 0.4).astype(np.float64)
    latent = y + rng.normal(size=n)
    last = rng.uniform(100, 1000, n)
    time = rng.exponential(500, n)
    columns = {
        "response": y,
        "old": np.round(1 / (1 + np.exp(-rng.normal(latent - 1, 1.5))), 3),
        "new": np.round(1 / (1 + np.exp(-rng.normal(latent - 1, 0.4))), 3),
        "days": np.floor(np.minimum(time, last)),
        "died": (time <= last).astype(np.float64),
        "arm": rng.integers(0, 3, n).astype(np.float64),
        "age": np.clip(np.rint(rng.normal(60 + 4 * y, 9)), 18, 100),
        "reader_a": latent,
        "reader_b": latent + rng.normal(0, 0.2, n),
    }
    return Rows(columns, CONTRACT, np.array([f"p{i}" for i in range(n)]))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("run")


@dataclass
class Shown:
    """What is shown of an answer."""

    blocks: list[Block]
    sentence: str

    @property
    def figures(self) -> list[Figure]:
        return [b for b in self.blocks if isinstance(b, Figure)]

    @property
    def text(self) -> str:
        found: list[str] = []
        for block in self.blocks:
            if isinstance(block, Table):
                found += [block.caption, *block.head, *block.notes]
                found += [x for row in block.rows for x in (row.head, *row.cells)]
            elif isinstance(block, Items):
                found += [x for entry in block.entries for x in entry]
            elif isinstance(block, Text | Note):
                found.append(block.text)
        return " | ".join(found).replace("\N{NO-BREAK SPACE}", " ")


def shown(folder: Path, step: Step, parts: Mapping[str, Any] | None = None) -> Shown:
    """Show a step's answer, computed over 300 patients where none is given."""
    if parts is None:
        parts = {"development": dict(run(step, [patients(300)]).values)}
    record = read_record(write_run(folder, [], study=STUDY, sites=SITES))
    view = StepView("step", step, record, parts, {})
    return Shown(blocks_of(view), sentence_of(view))


def roc_step(**more: Any) -> Roc:
    return Roc(outcome="response", scores=("old", "new"), bootstrap=0, **more)


def test_a_paired_comparison_is_a_line_a_pair_with_its_agreement(folder: Path) -> None:
    step = ComparePaired(pairs=(("reader_a", "reader_b"), ("old", "new")), correction="holm")
    found = shown(folder, step)
    _, scores = run(step, [patients(300)]).values["pairs"]  # type: ignore[misc, union-attr]
    assert "Old score \N{MINUS SIGN} New score" in found.text
    mean = fixed(scores["t_test"]["estimate"], 3)  # type: ignore[index, call-overload]
    assert f"{mean} (" in found.text
    assert "Lin's concordance" in found.text
    assert "p adjusted (Holm)" in found.text


def test_roc_has_curves_areas_and_a_comparison(folder: Path) -> None:
    found = shown(folder, roc_step())
    values = run(roc_step(), [patients(300)]).values
    area = values["scores"]["new"]["auc"]  # type: ignore[index, call-overload]
    assert f"{area:.3f} (" in found.text
    assert "Old score \N{MINUS SIGN} New score" in found.text
    assert "Adjusted for 1 comparison by Holm." in found.text
    assert [figure.name for figure in found.figures] == ["step-roc"]
    assert "AUC" in found.figures[0].svg
    assert "How well Old score and New score predict Response" in found.sentence


def test_roc_without_a_curve_says_why(folder: Path) -> None:
    values = {"n": 12, "scores": {}, "pairs": [], "note": "no event"}
    assert "no event" in shown(folder, roc_step(), {"development": values}).text


def test_a_curve_of_too_few_patients_is_not_drawn_and_says_so(folder: Path) -> None:
    values = dict(run(roc_step(), [patients(22)]).values)
    scores: Any = values["scores"]
    for name in ("old", "new"):  # as where no five of each class lie between two scores
        ends = {"threshold": [None, 0.0], "fpr": [0.0, 1.0], "tpr": [0.0, 1.0], "bound": 0.5}
        youden = {"threshold": None, "sensitivity": 0.0, "specificity": 1.0}
        scores[name]["curve"] = {**ends, "youden": youden}
    found = shown(folder, roc_step(), {"development": values})
    assert "too few patients to draw the curve" in found.figures[0].caption
    assert "0.00 | 1.00" not in found.text  # no threshold, so no sensitivity at it


def test_a_coarse_curve_says_how_far_it_is_from_its_area(folder: Path) -> None:
    few = shown(folder, roc_step(), {"development": dict(run(roc_step(), [patients(40)]).values)})
    assert "away from the AUC" in few.figures[0].caption
    many = shown(folder, roc_step(), {"development": dict(run(roc_step(), [patients(900)]).values)})
    assert "away from the AUC" not in many.figures[0].caption
    assert "no group of fewer than five" in many.figures[0].caption


def test_scores_that_rank_alike_have_no_test_and_the_page_says_why(folder: Path) -> None:
    rows = patients(300)
    rows.columns["new"][:] = rows.columns["old"]
    values = dict(run(roc_step(), [rows]).values)
    assert "rank these patients alike" in shown(folder, roc_step(), {"development": values}).text
    assert "rank these patients alike" not in shown(folder, roc_step()).text


def test_decision_curve_has_a_figure_and_net_benefits(folder: Path) -> None:
    found = shown(folder, DecisionCurve(outcome="response", scores=("old", "new")))
    assert "act on none" in found.figures[0].svg
    assert "too few patients between them are left out" in found.figures[0].caption
    assert "Net benefit" in found.text


def test_calibration_has_a_figure_and_its_slope(folder: Path) -> None:
    found = shown(folder, Calibration(outcome="response", scores=("new",)))
    assert "predicted probability" in found.figures[0].svg
    assert "Perfect: intercept 0, slope 1" in found.text


@pytest.mark.filterwarnings("error")
def test_calibration_is_drawn_where_nobody_in_a_bin_has_the_outcome(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """By rounding, Wilson's interval of 0 of 7 begins a little above 0."""
    step = Calibration(outcome="response", scores=("new",))
    parts = {"development": dict(run(step, [patients(300)]).values)}
    bins = parts["development"]["scores"]["new"]["bins"]
    bins["observed"][0], bins["ci_low"][0] = 0.0, 2.8e-17
    bins["observed"][-1], bins["ci_high"][-1] = 1.0, 1 - 2e-16
    found = shown(folder, step, parts)
    assert found.figures
    assert not caplog.text


def test_logistic_has_a_forest_and_odds_ratios(folder: Path) -> None:
    step = Logistic(outcome="response", models={"small": ("age",), "large": ("age", "arm")})
    found = shown(folder, step)
    assert "odds ratio (log scale)" in found.figures[0].svg
    assert "Arm: b" in found.text
    assert "Age, years" in found.text
    assert "large against small" in found.text
    assert "Logistic regression of Response: small (Age); large (Age and Arm)." in found.sentence


def test_logistic_says_why_a_model_has_no_terms(folder: Path) -> None:
    step = Logistic(outcome="response", models={"small": ("age",)})
    values = {"n": 30, "models": {"small": {"converged": False, "note": "separated"}}}
    assert "small: separated." in shown(folder, step, {"development": values}).text


def test_groups_are_compared_with_their_sizes(folder: Path) -> None:
    step = CompareGroups(of=("age", "new"), by="response", test="welch", correction="holm")
    found = shown(folder, step)
    assert "Response: yes" in found.text
    assert "p adjusted (Holm)" in found.text
    assert "by Welch's t test" in found.sentence


def test_operating_points_have_intervals(folder: Path) -> None:
    step = OperatingPoint(outcome="response", scores=("new",), at=("youden", 0.5))
    found = shown(folder, step)
    assert "New score\nYouden's index" in found.text
    assert "New score\ngiven threshold" in found.text
    assert " to " in found.text
    assert "New score: chosen among " in found.text


def test_cox_has_a_forest_and_hazard_ratios(folder: Path) -> None:
    step = Cox(time="days", event="died", models={"full": ("age", "arm")})
    found = shown(folder, step)
    assert "hazard ratio (log scale)" in found.figures[0].svg
    assert "Hazard ratio (CI)" in found.text
    assert "full (C 0." in found.text
    assert "over Follow-up, days, stratified by site: full (Age and Arm)." in found.sentence


def test_screened_columns_stand_in_the_order_of_p(folder: Path) -> None:
    step = UnivariableLogistic(outcome="response", of=("reader_b", "age", "new"))
    found = shown(folder, step)
    values: Any = run(step, [patients(300)]).values
    first = min(values["columns"], key=lambda name: values["columns"][name]["p"])
    table = next(b for b in found.blocks if isinstance(b, Table))
    assert table.rows[0].head.startswith(CONTRACT[first].title)
    assert "Screen 3 columns one by one" in found.sentence


def test_readers_agreement_is_graded(folder: Path) -> None:
    step = Icc(raters=(("reader_a",), ("reader_b",)))
    found = shown(folder, step)
    assert "Intraclass correlation of single readings" in found.sentence
    assert "1 feature, 2 readers" in found.text
    assert "excellent" in found.text


_THREE = ("age", "new", "old")


class Newest(Step):
    """Do what has no page yet."""

    kind: str = "newest"

    def columns(self) -> tuple[str, ...]:
        return _THREE


def test_a_kind_without_a_file_is_shown_as_tables(folder: Path) -> None:
    values = dict(run(Moments(of=_THREE), [patients(300)]).values)
    found = shown(folder, Newest(), {"development": values})
    assert "Columns: Age, New score and Old score." in found.sentence
    assert "Age" in found.text
    assert "New score" in found.text
    assert str(values["n"]) in found.text


def test_an_interval_is_not_put_to_another_number(folder: Path) -> None:
    row = {"estimate": 0.1, "se": 1.0, "other": "x", "ci_low": 0.9, "ci_high": 1.3}
    found = shown(folder, Newest(), {"development": {"columns": {"age": row}}})
    assert "| x | 0.900 | 1.30" in found.text
    assert "0.100 (" not in found.text


def test_an_unknown_answer_of_any_depth_is_shown(folder: Path) -> None:
    values = {
        "n": 120,
        "p": 0.00001,
        "ok": True,
        "nothing": None,
        "name": "<b>",
        "estimate": {"estimate": 0.5, "ci_low": 0.25, "ci_high": 0.75},
        "long": list(range(40)),
        "table": {"age": {"mean": 1.5, "n": 3}, "old": {"mean": 2.5, "n": 4}},
        "rows": [{"a": 1}, {"a": 2, "b": 3}],
        "pairs": [{"a": "age", "b": "old", "estimate": 0.1, "ci_low": 0.05, "ci_high": 0.15}],
        "deep": {"deeper": {"deepest": {"value": 7}}},
    }

    class Novel(Step):
        """Do what nobody did before."""

        kind: str = "novel"

    found = shown(folder, Novel(), {"development": values})
    for said in (
        "120",
        "< 0.001",
        "yes",
        "<b>",
        "0.500 (0.250 to 0.750)",
        "40 values",
        "Age, Old score | 0.100 (0.050 to 0.150)",
    ):
        assert said in found.text
    assert found.sentence.startswith("Do what nobody did before.")


def test_a_kind_is_no_path_to_another_module(folder: Path) -> None:
    class Odd(Step):
        """Try."""

        kind: str = "..generic"

    assert "1" in shown(folder, Odd(), {"development": {"n": 1}}).text


def test_groups_of_columns_are_a_table(folder: Path) -> None:
    step = Correlate(of=("reader_a", "reader_b", "age"), method="pearson", ward_into=2)
    text = shown(folder, step).text
    assert "Columns that go together (Ward's linkage)" in text
    assert "Group 1 | 2 |" in text


def test_correlations_are_a_map_and_what_was_kept(folder: Path) -> None:
    step = Correlate(of=("reader_a", "reader_b", "age"), at_most=0.9, method="pearson")
    found = shown(folder, step)
    assert "Correlation" in found.figures[0].svg
    assert "2 kept, 1 dropped" in found.text


def test_concordance_is_a_table_of_both_kinds_of_pairs(folder: Path) -> None:
    found = shown(folder, Concordance(time="days", event="died", scores=("reader_a",)))
    assert "C within sites" in found.text
    assert "bound" in found.text


def test_a_rate_with_a_hidden_cell_is_shown_as_bounds(folder: Path) -> None:
    rate = {"estimate": None, "at_least": 41 / 45, "at_most": 44 / 45}
    point = {"rule": 0.3, "threshold": 0.3, "note": "bounds", "sensitivity": rate}
    values = {"n": 90, "scores": {"old": {"points": [point]}}}
    step = OperatingPoint(outcome="response", scores=("old",), at=(0.3,))
    text = shown(folder, step, {"development": values}).text
    assert "0.91 to 0.98" in text
    assert "Old score, given threshold: bounds." in text


def test_missing_values_are_one_table_and_their_patterns_another(folder: Path) -> None:
    rows = patients(300)
    rows.columns["old"][:40] = np.nan
    rows.columns["new"][:2] = np.nan
    values = run(Missingness(of=("old", "new")), [rows]).values
    found = shown(folder, Missingness(of=("old", "new")), {"development": dict(values)})
    (table, patterns) = (b for b in found.blocks if isinstance(b, Table))
    assert [row.cells for row in table.rows] == [("40 (13.3\N{NO-BREAK SPACE}%)",), ("hidden",)]
    assert "one to four" in table.notes[0]
    assert patterns.rows[0].head == "nothing"


def test_combat_says_who_took_part(folder: Path) -> None:
    step = Combat(of=("reader_a", "reader_b"), covariates=("age",), fewest=10)
    parts = {"development": dict(run(step, [patients(60), patients(90)]).values)}
    found = shown(folder, step, parts)
    assert "keeping what goes with Age" in found.sentence
    assert "Batches that took part | 2 | Cases fitted | 150 of 150" in found.text


def test_crossed_categories_are_one_table(folder: Path) -> None:
    step = CrossTabulate(of=("died",), by="response", correction="holm")
    found = shown(folder, step)
    values = run(step, [patients(300)]).values["columns"]["died"]  # type: ignore[index,call-overload]
    assert "Cross Death with Response." in found.sentence
    assert f"{values['counts']['dead']['yes']} (" in found.text
    assert "p adjusted (Holm)" in found.text
