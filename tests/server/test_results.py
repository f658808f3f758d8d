"""An answer of words only is no result, and a run that has no more does not end as if it had."""

import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from common.analyses.compare_groups import CompareGroups
from common.analyses.cross_tabulate import CrossTabulate
from common.analyses.describe import Describe
from common.analyses.kaplan_meier import KaplanMeier
from common.analyses.logistic import Logistic
from common.analyses.meta import Meta
from common.analyses.naive_bayes import NaiveBayes
from common.analyses.operating_point import OperatingPoint
from common.analyses.roc import Roc
from common.analyses.runner import run
from common.analyses.univariable_logistic import UnivariableLogistic
from server.cli import WITH_LOSSES, main
from server.report.record import read_record
from server.report.sections.outcome import outcome_of
from server.results import why_no_result
from tests.runs import STUDY, make_run
from tests.server.report.test_kinds import patients

OUTCOME = {"outcome": "response"}
STEPS: list[tuple[Any, str]] = [
    (Logistic(**OUTCOME, models={"m": ("age",)}), "one class"),
    (UnivariableLogistic(**OUTCOME, of=("age", "days")), "one class"),
    (NaiveBayes(**OUTCOME, of=("age", "days")), "one class"),
    (CompareGroups(of=("age", "days"), by="response", test="t"), "are in one group"),
    (CrossTabulate(of=("arm",), by="response"), "fewer than two levels"),
    (Roc(**OUTCOME, scores=("old", "new")), "one class"),
    (OperatingPoint(**OUTCOME, scores=("old",)), "one class"),
    (Meta(effect="auc", of="old", outcome="response"), "three sites or more"),
]


@pytest.mark.parametrize(("step", "why"), STEPS, ids=lambda value: getattr(value, "kind", None))
def test_an_outcome_constant_everywhere_gives_no_result(step: Any, why: str) -> None:
    rows = [patients(90), patients(80), patients(70)]
    assert why_no_result(run(step, rows).values) is None
    flat = [replace(t, columns={**t.columns, "response": np.zeros(t.n)}) for t in rows]
    assert why in str(why_no_result(run(step, flat).values))


def test_counts_curves_and_tests_with_one_note_are_results() -> None:
    rows = patients(200)
    assert why_no_result({"n": 12, "left_out": {"no_mask": 3}}) is None
    assert why_no_result(run(KaplanMeier(time="days", event="died"), [rows]).values) is None
    rows.columns["new"][:] = np.nan
    step = CompareGroups(of=("age", "new"), by="response", test="t")
    assert why_no_result(run(step, [rows]).values) is None
    assert why_no_result(run(Describe(of=("new",)), [rows]).values) is None


def test_a_step_that_put_every_case_aside_has_no_result() -> None:
    reasons = {"mask_missing": 6, "region_too_small": 89}
    words = "every case was put aside (the region is too small: 89, nobody drew the region: 6)"
    assert why_no_result({"done": 0, "failed": 95, "reasons": reasons}) == words
    assert why_no_result({"done": 0, "failed": 95}) == "every case was put aside"
    regions = {"n_regions": 9, "n_flagged": 0, "reasons": {"mask_empty": 9}}
    assert why_no_result({**regions, "n_failed": 9}) == (
        "every region was put aside (a region is empty: 9)"
    )
    assert why_no_result({**regions, "n_failed": 8}) is None
    assert why_no_result({"done": 1, "failed": 94, "reasons": reasons}) is None
    assert why_no_result({"done": None, "failed": 94}) is None  # few
    assert why_no_result({"done": 0, "empty": 7, "failed": 2}) is None
    assert why_no_result({"done": 0, "failed": 0}) is None


@pytest.mark.parametrize("of", ["without", "beside"])
def test_a_run_whose_steps_have_no_result_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], of: str
) -> None:
    head = STUDY.partition("  women:")[0] if of == "beside" else STUDY.partition("  table1:")[0]
    step = "{kind: logistic, outcome: sex, models: {m: [age]}, cases: {where: {sex: [f]}}}"
    run_ = make_run(tmp_path, study=f"{head}  model: {step}\n")
    monkeypatch.setattr(sys, "argv", ["c", "resume", str(run_.folder), "--engine", "threads"])
    with pytest.raises(SystemExit) as stop:
        main()
    assert stop.value.code == WITH_LOSSES
    assert (
        "no result of model (the outcome has one class only: no case has the event)"
        in capsys.readouterr().err
    )
    found = outcome_of(read_record(run_))
    assert found.tone == "bad"
    assert ("Failed" in found.mark) == (of == "without")
    assert "model (the outcome has one class only: no case has the event)" in found.text
