"""Sums with and without a column that one patient lacks must not show that patient."""

from pathlib import Path

import pytest

from client.cohorts import load_cohort
from client.ledger import Ledger
from common.errors import Refused
from common.flow import Code
from tests.attacks.coordinator import VICTIM, Coordinator, Rows, cohorts, coordinator

STEPS = """
  one: {kind: logistic, outcome: sex, positive: m, models: {of: [marker]}}
  two: {kind: logistic, outcome: sex, positive: m, models: {of: [marker, days]}}
"""


def _patients(n_without_age: int = 0) -> dict[str, Rows]:
    """Return patients of whom the victim lacks days, and some others at east lack age."""
    patients = cohorts()
    patients["east"][-1]["days"] = ""
    for row in patients["east"][:n_without_age]:
        row["age"] = ""
    return patients


def _difference(attacker: Coordinator) -> float:
    one, two = (attacker.total(step)["sum"][0] for step in ("one", "two"))
    return float(one - two)


def test_without_the_rule_sums_with_and_without_a_column_show_who_lacks_it(tmp_path: Path) -> None:
    assert _difference(coordinator(tmp_path, STEPS, _patients())) == pytest.approx(VICTIM, abs=1e-9)


def test_with_it_who_lacks_it_is_in_neither(tmp_path: Path) -> None:
    attacker = coordinator(tmp_path, STEPS, _patients(), smallest_gap=5)
    assert _difference(attacker) == pytest.approx(0, abs=1e-9)
    assert attacker.total("one")["n"] == 87


def test_five_who_lack_the_same_stay_and_one_who_lacks_more_does_not(tmp_path: Path) -> None:
    patients = _patients(n_without_age=5)
    patients["east"][5]["age"] = patients["east"][5]["days"] = ""
    attacker = coordinator(tmp_path, STEPS, patients, smallest_gap=5)
    cohort = load_cohort(attacker.site("east"), attacker.run.study)
    assert cohort.n_patients == 12
    assert cohort.flows[0].excluded == {Code.RARE_GAP: 2}
    assert cohort.flows[0].n_included == 12
    assert [one.case_id for one in cohort.aside] == ["case005", "case013"]
    assert 'lack just "age", "days"' in cohort.aside[0].detail


def test_gaps_are_shared_within_a_selection(tmp_path: Path) -> None:
    """Five lack age, two of them women: in a step of women those two would differ."""
    women = STEPS.replace("models: {of: [marker]}", "models: {of: [marker]}, cases: *f")
    women = women.replace("&f", "").replace("*f", "{where: {code: [a]}}")
    patients = _patients(n_without_age=5)  # codes a, a, b, b, a
    attacker = coordinator(tmp_path, women, patients, smallest_gap=5)
    assert load_cohort(attacker.site("east"), attacker.run.study).n_patients == 8


def test_a_cohort_that_loses_all_to_the_rule_refuses(tmp_path: Path) -> None:
    patients = _patients(n_without_age=5)
    for row in patients["east"][5:]:
        row["marker"] = ""
        row["days"] = 10
    attacker = coordinator(tmp_path, STEPS, patients, smallest_gap=10)
    with pytest.raises(Refused, match=r"(cohort_too_small|no_cases): east"):
        attacker.total("one")
    assert Ledger.open(attacker.site("east"), attacker.run.study_hash).entries == ()
