"""Sums over selections of cases, subtracted, must not show a patient."""

from collections.abc import Callable
from pathlib import Path

import pytest

from client import gate, steps
from common.analyses.analysis import APPLY, Ask
from common.errors import Reason, Refused
from tests.attacks.coordinator import COLUMNS, VICTIM, Coordinator, cohorts, coordinator

ALL_BUT_ONE = """
  everyone: {kind: describe, of: [marker]}
  but_one: {kind: describe, of: [marker], cases: {where: {code: [a, b]}}}
"""
# None of these differ by fewer than five patients; women + men - everyone + the rest do.
THREE_PARTS = """
  everyone: {kind: describe, of: [marker]}
  women: {kind: describe, of: [marker], cases: {where: {sex: [f]}}}
  men_but_one: {kind: describe, of: [marker], cases: {where: {sex: [m], code: [a, b]}}}
"""
# The same, and of a cohort that has no splits these name all cases too.
OTHER_SPLITS = THREE_PARTS.replace("{where: {sex: [f]}}", "{where: {sex: [f]}, split: [train]}")
STRATUM = """
  rare: {kind: describe, of: [marker], cases: {where: {code: [c]}}}
"""
# A range leaves out the victim, whose marker is the largest, as a filter would.
BY_RANGE = """
  made: {kind: derive, make: {most: {op: sum, of: {marker: 1}, range: [0, 30]}}}
  everyone: {kind: describe, of: [marker]}
  but_one: {kind: describe, of: [made.most]}
"""
# Each range leaves out five of east, or six: the sixth is the victim.
BY_TWO_RANGES = """
  made:
    kind: derive
    make:
      five: {op: sum, of: {days: 1}, range: [0, 1000]}
      six: {op: sum, of: {days: 1, flag: 1000}, range: [0, 1000]}
  five: {kind: describe, of: [made.five]}
  six: {kind: describe, of: [made.six]}
"""
# One patient's marker lies between.
BY_TWO_CUTS = """
  made: {{kind: derive, make: {{one: {{op: below, of: [marker], cut: {0}}}}}}}
  again: {{kind: derive, make: {{other: {{op: below, of: [marker], cut: {1}}}}}}}
  table_one: {{kind: cross_tabulate, of: [made.one], by: sex}}
  table_other: {{kind: cross_tabulate, of: [again.other], by: sex}}
"""
SPLITS = """
  everyone: {kind: describe, of: [marker]}
  trained: {kind: describe, of: [marker], cases: {split: [train]}}
  tested: {kind: describe, of: [marker], cases: {split: [test]}}
  tested_women: {kind: describe, of: [marker], cases: {split: [test], where: {sex: [f]}}}
"""


def _off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gate, "check_selection", lambda *_, **__: None)
    monkeypatch.setattr(steps, "check_formulas", lambda *_: None)


def _sum(attacker: Coordinator, step: str) -> float:
    return float(attacker.total(step)["sum"][0])


def _subtract(attacker: Coordinator) -> float:
    return _sum(attacker, "everyone") - _sum(attacker, "but_one")


def _three_parts(attacker: Coordinator) -> float:
    women, men_but_one = _sum(attacker, "women"), _sum(attacker, "men_but_one")
    return _sum(attacker, "everyone") - women - men_but_one


def _stratum(attacker: Coordinator) -> float:
    return _sum(attacker, "rare")


Attack = Callable[[Coordinator], float]
ATTACKS: list[tuple[str, Attack, Reason]] = [
    (ALL_BUT_ONE, _subtract, Reason.DIFFERENCING),
    (THREE_PARTS, _three_parts, Reason.DIFFERENCING),
    (OTHER_SPLITS, _three_parts, Reason.DIFFERENCING),
    (STRATUM, _stratum, Reason.SELECTION_TOO_SMALL),
]


@pytest.mark.parametrize(("steps", "attack"), [case[:2] for case in ATTACKS])
def test_without_the_rule_the_attack_shows_the_patient(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, steps: str, attack: Attack
) -> None:
    _off(monkeypatch)
    assert attack(coordinator(tmp_path, steps, splits=("",))) == pytest.approx(VICTIM, abs=1e-9)


@pytest.mark.parametrize(("steps", "attack", "reason"), ATTACKS)
def test_the_site_of_the_patient_refuses(
    tmp_path: Path, steps: str, attack: Attack, reason: Reason
) -> None:
    with pytest.raises(Refused, match="east") as refused:
        attack(coordinator(tmp_path, steps, splits=("",)))
    assert refused.value.reason is reason


def _by_range(attacker: Coordinator) -> float:
    attacker.total("made", Ask(APPLY))
    return _subtract(attacker)


def test_a_range_of_a_formula_shows_the_largest_where_nothing_stops_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _off(monkeypatch)
    assert _by_range(coordinator(tmp_path, BY_RANGE)) == pytest.approx(VICTIM, abs=1e-9)


def test_a_formula_that_leaves_out_a_few_patients_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="selection_too_small: east"):
        _by_range(coordinator(tmp_path, BY_RANGE))


def _around_one() -> tuple[float, float, str]:
    """Return cut-offs around the marker of one patient of east, and the patient's sex."""
    east = sorted((row["marker"], row["sex"]) for row in cohorts()["east"])
    every = sorted(row["marker"] for rows in cohorts().values() for row in rows)
    marker, sex = east[len(east) // 2]
    at = every.index(marker)
    return (every[at - 1] + marker) / 2, (marker + every[at + 1]) / 2, sex


def _by_two_cuts(folder: Path) -> tuple[list[list[int]], str]:
    low, high, sex = _around_one()
    attacker = coordinator(folder, BY_TWO_CUTS.format(low, high))
    attacker.total("made", Ask(APPLY))
    attacker.total("again", Ask(APPLY))
    one, other = (attacker.total(name)["table.0"] for name in ("table_one", "table_other"))
    return (other - one).tolist(), sex


def test_two_close_cuts_tell_a_patients_class_where_nothing_stops_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _off(monkeypatch)
    found, sex = _by_two_cuts(tmp_path)
    women = 1 if sex == "f" else 0
    assert found == [[-women, women - 1], [women, 1 - women]]


def test_two_cuts_with_one_patient_between_are_refused(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="selection_too_small: east"):
        _by_two_cuts(tmp_path)


def test_formulas_that_leave_out_five_and_six_are_refused(tmp_path: Path) -> None:
    patients = cohorts()
    for i in range(5):
        patients["east"][i]["days"] = 1001 + i
    patients["east"][-1]["days"] = 211
    columns = COLUMNS.replace("[0, 400]", "[0, 2000]")
    attacker = coordinator(tmp_path, BY_TWO_RANGES, patients, columns=columns)
    with pytest.raises(Refused, match="selection_too_small: east"):
        attacker.total("made", Ask(APPLY))


def test_a_formula_that_leaves_out_five_or_nobody_is_answered(tmp_path: Path) -> None:
    patients = cohorts()
    for i in range(5):
        patients["east"][i]["days"] = 1001 + i
    columns = COLUMNS.replace("[0, 400]", "[0, 2000]")
    made = BY_TWO_RANGES.replace("flag: 1000", "flag: 0")
    attacker = coordinator(tmp_path, made, patients, columns=columns)
    assert attacker.total("made", Ask(APPLY))["filled"] == 83


def test_a_formula_does_not_wait_for_one_whose_columns_are_not_there_yet(tmp_path: Path) -> None:
    made = """
  first: {kind: derive, make: {twice: {op: sum, of: {marker: 2}}}}
  second: {kind: derive, make: {again: {op: sum, of: {first.twice: 2}}}}
  third: {kind: derive, make: {older: {op: sum, of: {age: 1}, offset: 1}}}
"""
    attacker = coordinator(tmp_path, made)
    for step in ("third", "first", "second"):
        assert attacker.total(step, Ask(APPLY))["filled"] == 88


def test_the_step_before_is_answered_all_the_same(tmp_path: Path) -> None:
    attacker = coordinator(tmp_path, ALL_BUT_ONE)
    with pytest.raises(Refused):
        attacker.total("but_one")  # asked first, and still the one that is refused
    assert attacker.total("everyone")["n"] == 88


def test_selections_that_differ_by_five_patients_or_none_are_answered(tmp_path: Path) -> None:
    patients = cohorts()
    for i in range(2, 6):
        patients["east"][i]["code"] = "c"
    attacker = coordinator(tmp_path, ALL_BUT_ONE, patients)
    assert attacker.total("everyone")["n"] - attacker.total("but_one")["n"] == 5


def test_a_split_of_four_enters_a_masked_sum_but_no_four_women_of_it(tmp_path: Path) -> None:
    turns = ("train",) * 4 + ("test",)
    attacker = coordinator(tmp_path, SPLITS, splits=turns)
    assert attacker.total("everyone")["n"] - attacker.total("trained")["n"] == 16
    assert attacker.total("tested")["n"] == 16  # two of them at east
    with pytest.raises(Refused, match="selection_too_small: east"):
        attacker.total("tested_women")


def test_a_policy_may_keep_small_splits_at_home(tmp_path: Path) -> None:
    turns = ("train",) * 4 + ("test",)
    attacker = coordinator(tmp_path, SPLITS, splits=turns, smallest_part=5)
    attacker.total("everyone")
    with pytest.raises(Refused, match="differencing: east"):
        attacker.total("trained")
    with pytest.raises(Refused, match="selection_too_small: east"):
        attacker.total("tested")


def test_in_a_sum_of_two_sites_no_split_is_small(tmp_path: Path) -> None:
    turns = ("train",) * 4 + ("test",)
    attacker = coordinator(tmp_path, SPLITS, splits=turns, fewest_sites=2)
    with pytest.raises(Refused, match="selection_too_small: east"):
        attacker.total("tested", group=("east", "north"))


def test_in_clear_no_difference_of_splits_is_small(tmp_path: Path) -> None:
    turns = ("train",) * 4 + ("test",)
    each = SPLITS.replace("[marker]", "[marker], over: [each]")
    attacker = coordinator(tmp_path, each, splits=turns, per_site=True)
    assert attacker.total("everyone", group=("east",))["n"] == 14
    with pytest.raises(Refused, match="differencing: east"):
        attacker.total("trained", group=("east",))


def test_a_policy_may_refuse_rare_levels_within_a_step(tmp_path: Path) -> None:
    steps = "  groups: {kind: compare_groups, of: [marker], by: code, test: anova}\n"
    attacker = coordinator(tmp_path, steps)
    shown = attacker.total("groups")["valid"][2, 0]
    assert shown == 1  # what is not stopped unless the policy says so: see ARCHITECTURE.md
    strict = coordinator(tmp_path / "strict", steps, smallest_part=5)
    with pytest.raises(Refused, match="cell_too_small: east"):
        strict.total("groups")
