"""Columns that a study's formulas make must not single out a patient (R2)."""

from pathlib import Path

import pytest

from client import steps
from client.cases import Case
from client.derived import formulas_in_words
from common.analyses.analysis import APPLY, Ask
from common.errors import Refused
from common.sites import PolicySettings
from common.study import read_study
from tests.attacks.coordinator import COLUMNS, VICTIM, Coordinator, coordinator

# A range that holds one patient, and with a column of it any other number of that patient.
ONE_LEFT_IN = """
  made:
    kind: derive
    make:
      most: {op: sum, of: {marker: 1}, range: [30, 50]}
      day: {op: sum, of: {most: 0, days: 1}}
  sums: {kind: moments, of: [made.most, made.day]}
"""
# No patient but the victim is beyond the cut-off.
ONE_BEYOND = """
  made: {kind: derive, make: {least: {op: below, of: [marker], cut: 30}}}
  sums: {kind: compare_groups, of: [marker], by: made.least, test: welch}
"""


def _first_sum(attacker: Coordinator) -> float:
    attacker.total("made", Ask(APPLY))
    return float(attacker.total("sums")["sum"].flat[0])


@pytest.mark.parametrize("study", [ONE_LEFT_IN, ONE_BEYOND])
def test_without_the_rule_a_formula_shows_the_patient(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, study: str
) -> None:
    monkeypatch.setattr(steps, "check_formulas", lambda *_: None)
    assert _first_sum(coordinator(tmp_path, study)) == pytest.approx(VICTIM, abs=1e-9)


@pytest.mark.parametrize("study", [ONE_LEFT_IN, ONE_BEYOND])
def test_a_formula_that_leaves_in_one_patient_or_cuts_one_off_is_refused(
    tmp_path: Path, study: str
) -> None:
    with pytest.raises(Refused, match="selection_too_small: east"):
        _first_sum(coordinator(tmp_path, study))


LOW = "low: {op: sum, of: {age: 1}, range: [18, 39]}"
HIGH = "high: {op: sum, of: {marker: 1}, range: [20, 50]}"
CUT = "cut: {op: below, of: [marker], cut: 10}"
COPY = "copy: {op: sum, of: {marker: -1, age: 0.0001}}"


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (f"{{{LOW}, {HIGH}}}", ""),
        (f"{{{LOW}, {HIGH}, both: {{op: sum, of: {{low: 0, high: 1}}}}}}", "leaves in 3 patients"),
        ("{few: {op: sum, of: {age: 1}, range: [18, 32]}}", "leaves in 3 patients"),
        ("{few: {op: below, of: [age], cut: 33}}", "has 3 patients on one side"),
        (f"{{{CUT}, again: {{op: below, of: [marker], cut: 12}}}}", "part all but 2 patients"),
        (f"{{{CUT}, {COPY}, again: {{op: below, of: [copy], cut: -11}}}}", "all but 1 patient "),
        (f"{{{CUT}, {COPY}, again: {{op: below, of: [copy], cut: -15}}}}", ""),
        ("{rarely: {op: log, of: [days]}}", ""),
    ],
)
def test_what_formulas_single_out_is_said_beforehand(make: str, said: str) -> None:
    """Of 30 patients: age from 30, marker from 0.5 in another order, days known of three."""
    study = read_study(f"{COLUMNS}  made: {{kind: derive, make: {make}}}\n", "study.yaml")
    values = [
        {"age": 30.0 + i, "marker": 0.5 + (i + 13) % 30, "days": 9.0 if i < 3 else float("nan")}
        for i in range(30)
    ]
    cases = [Case(f"c{i}", f"p{i}", "", "", {}, {}, of) for i, of in enumerate(values)]
    (found,) = formulas_in_words(study, cases, PolicySettings()) or ("",)
    assert (said in found) if said else not found
