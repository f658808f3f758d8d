"""The same study on nearly the same patients, and on very few."""

from pathlib import Path

import pytest

from client import gate
from client.cohorts import load_cohort
from client.other_studies import nearly_the_same
from common.errors import Refused
from tests.attacks.coordinator import VICTIM, Coordinator, cohorts, coordinator, rows_of, write

STEPS = "  table1: {kind: describe, of: [marker]}\n"


def _change(tmp_path: Path, attacker: Coordinator, rows: list[dict[str, object]]) -> None:
    write(tmp_path / "cohorts" / "east", rows)
    attacker.name += "x"  # another run of the same study


def _difference(tmp_path: Path, attacker: Coordinator) -> float:
    before = float(attacker.total("table1")["sum"][0])
    _change(tmp_path, attacker, cohorts()["east"][:-1])
    return before - float(attacker.total("table1")["sum"][0])


def test_without_the_rule_two_cohorts_show_the_patient_between_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gate, "freeze", lambda *_: "")
    found = _difference(tmp_path, coordinator(tmp_path, STEPS))
    assert found == pytest.approx(VICTIM, abs=1e-9)


def test_a_cohort_that_lost_a_patient_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="cohort_changed: east"):
        _difference(tmp_path, coordinator(tmp_path, STEPS))


def test_a_corrected_value_is_refused_and_the_old_cohort_goes_on(tmp_path: Path) -> None:
    attacker = coordinator(tmp_path, STEPS)
    before = attacker.total("table1")["sum"][0]
    rows = cohorts()["east"]
    rows[3]["marker"] = 4.5
    _change(tmp_path, attacker, rows)
    with pytest.raises(Refused, match="cohort_changed: east"):
        attacker.total("table1")
    _change(tmp_path, attacker, cohorts()["east"])
    assert attacker.total("table1")["sum"][0] == before


def test_a_cohort_that_changed_by_five_patients_is_another_one(tmp_path: Path) -> None:
    attacker = coordinator(tmp_path, STEPS)
    attacker.total("table1")
    _change(tmp_path, attacker, cohorts()["east"] + rows_of(5, 99))
    assert attacker.total("table1")["n"] == 93


def test_the_way_back_by_another_path_is_refused(tmp_path: Path) -> None:
    """Each step is of five patients, the first cohort and the last differ by one."""
    attacker = coordinator(tmp_path, STEPS)
    attacker.total("table1")
    new = rows_of(5, 99)
    _change(tmp_path, attacker, cohorts()["east"] + new)
    attacker.total("table1")
    _change(tmp_path, attacker, cohorts()["east"][:-1])
    with pytest.raises(Refused, match="cohort_changed: east"):
        attacker.total("table1")


def test_a_change_of_five_that_is_one_in_a_selection_is_refused(tmp_path: Path) -> None:
    steps = STEPS + "  men: {kind: describe, of: [marker], cases: {where: {sex: [m]}}}\n"
    attacker = coordinator(tmp_path, steps)
    attacker.total("men")
    rows = [r for i, r in enumerate(cohorts()["east"]) if i not in (0, 2, 4, 6, 13)]
    _change(tmp_path, attacker, rows)  # four women and the victim are gone
    with pytest.raises(Refused, match=r"cohort_changed: east|cohort_too_small: east"):
        attacker.total("men")


def _one_case(tmp_path: Path) -> float:
    """Ask again without the site, as if it had failed: its own sum is the difference."""
    patients = cohorts() | {"east": cohorts()["east"][-1:]}
    attacker = coordinator(tmp_path, STEPS, patients)
    everyone = attacker.total("table1")["sum"][0]
    others = attacker.total("table1", group=("north", "south", "west"), number=1, attempt=2)
    return float(everyone - others["sum"][0])


def test_without_the_rule_a_site_of_one_case_is_that_case(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gate, "check_cohort", lambda *_: None)
    assert _one_case(tmp_path) == pytest.approx(VICTIM, abs=1e-9)


def test_a_site_of_one_case_refuses(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="cohort_too_small: east"):
        _one_case(tmp_path)


def test_a_study_of_all_patients_but_one_is_told_before_it_is_approved(tmp_path: Path) -> None:
    attacker = coordinator(tmp_path, STEPS)
    attacker.total("table1")
    east = attacker.site("east")
    cases = load_cohort(east, attacker.run.study).cases
    assert not list(nearly_the_same(east, attacker.run.study_hash, cases[1:]))
    (said,) = nearly_the_same(east, "0" * 64, cases[1:])
    name = attacker.run.study_hash[:12]
    assert said.startswith(f"0 patients more and 1 fewer than study {name} was answered of")
    assert not list(nearly_the_same(east, "0" * 64, cases))
    assert not list(nearly_the_same(east, "0" * 64, cases[5:]))
