"""One cause is told once, whatever many steps, models or columns it stops."""

import json
from pathlib import Path
from typing import Any

import pytest

from common.analyses.logistic import Logistic
from common.analyses.moments import Moments
from server.ending import gaps_in_words
from server.report.record import read_record
from server.report.sections.deviations import deviations
from server.report.sections.outcome import outcome_of
from server.run import Run
from tests.server.report.folders import journal, write_run
from tests.server.report.test_kinds import shown

NAMES = [f"model_{i}" for i in range(4)]
STUDY = """
name: tables
cohort: {columns: {age: {type: number}, y: {type: category, levels: [n, y]}}}
steps:
""" + "".join(f"  {n}: {{kind: univariable_logistic, outcome: y, of: [age]}}\n" for n in NAMES)
WHY = "the outcome has one class only"


@pytest.fixture
def run(tmp_path: Path) -> Run:
    answer = {"n": 30, "note": WHY}
    answers: Any = {name: {"development": answer} for name in NAMES}
    made = write_run(tmp_path, journal(answers), study=STUDY)
    (tmp_path / "answers.json").write_text(json.dumps({"answers": answers, "failed": {}}))
    return made


def test_the_end_of_a_run_says_it_once_of_all_steps(run: Run) -> None:
    named = ", ".join(NAMES)
    assert gaps_in_words(run) == f"no result of {named} ({WHY})"
    assert outcome_of(read_record(run)).text.count(WHY) == 1


def test_steps_that_failed_alike_share_a_row(tmp_path: Path) -> None:
    why = "ValueError: a column does not vary"
    events = [{"event": "failed", "problem": f"{n}/development", "why": why} for n in NAMES]
    record = read_record(write_run(tmp_path, [*events], study=STUDY))
    (section,) = deviations(record)
    (table,) = [block for block in section.blocks if getattr(block, "head", ())[:1] == ("Step",)]
    (row,) = table.rows  # type: ignore[union-attr]
    assert row.head == "model_0, model_1, model_2 and model_3"
    assert row.cells[1] == why


def test_models_and_columns_with_one_note_share_it(tmp_path: Path) -> None:
    step = Logistic(outcome="response", models=dict.fromkeys(NAMES, ("age",)))
    model = {"converged": False, "note": WHY}
    part = {"n": 30, "models": dict.fromkeys(NAMES, model)}
    text = shown(tmp_path, step, {"development": part, "all": part}).text
    assert text.count(WHY) == 1
    assert f"Development, All sites, {', '.join(NAMES)}: {WHY}." in text
    columns = {name: {"n": 30, "note": WHY} for name in ("age", "days")}
    text = shown(tmp_path, Moments(of=("age", "days")), {"all": {"n": 30, "columns": columns}}).text
    assert text.count(WHY) == 1
