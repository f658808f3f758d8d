"""Columns that a study's formulas make must not single out a patient (R2)."""

from pathlib import Path

import numpy as np
import pytest

from client import disclosure, gate, steps
from client.cases import Case
from client.derived import formulas_in_words
from client.disclosure import selections_in_words
from common.analyses.analysis import APPLY, Ask
from common.errors import Refused
from common.sites import PolicySettings
from common.study import read_study
from common.sums import Array
from tests.attacks.coordinator import COLUMNS, VICTIM, Coordinator, Rows, cohorts, coordinator

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
    if attacker.run.study.bound["sums"].kind == "moments":
        return float(attacker.total("sums")["sum"].flat[0])
    return float(_by_group(attacker, 2, 1)[0, 0])


def _by_group(attacker: Coordinator, *shape: int) -> Array:
    """Return sums by group and column of one that breaks the protocol: it has not counted."""
    groups = {"told": np.ones(shape), "centre": np.zeros(shape), "scale": np.ones(shape[1])}
    return np.asarray(attacker.total("sums", Ask("deviations", {}, groups))["d"])


@pytest.mark.parametrize("study", [ONE_LEFT_IN, ONE_BEYOND])
def test_without_the_rule_a_formula_shows_the_patient(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, study: str
) -> None:
    monkeypatch.setattr(steps, "check_formulas", lambda *_: None)
    monkeypatch.setattr(gate, "check_selection", lambda *_, **__: None)
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


# A formula leaves out six of east; one of them has code c.
SIX_LEFT_OUT = """
  made:
    kind: derive
    make:
      soon: {op: sum, of: {days: 1}, range: [0, 400]}
      value: {op: sum, of: {soon: 0, marker: 1}}
  sums: {kind: compare_groups, of: [marker, made.value], by: code, test: anova}
"""
# A filter leaves out those six and the victim.
FILTERED = """
  made: {kind: derive, make: {soon: {op: sum, of: {days: 1, marker: 0}, range: [0, 400]}}}
  sums: {kind: moments, of: [made.soon]}
  rest: {kind: moments, of: [days], cases: {where: {code: [a, b]}}}
"""


def _late(n: int, code: str = "") -> dict[str, Rows]:
    """Return patients of whom n at east, the victim among them or not, have late days."""
    patients = cohorts()
    for row in patients["east"][-n:] if not code else patients["east"][-n - 1 : -1]:
        row["days"] = 1000
        row["code"] = code or row["code"]
    return patients


LATE = COLUMNS.replace("[0, 400]", "[0, 2000]")


def _in_level(attacker: Coordinator) -> float:
    attacker.total("made", Ask(APPLY))
    sums = _by_group(attacker, 3, 2)
    return float(sums[2, 0] - sums[2, 1])


def test_without_the_rule_the_left_out_of_a_level_show(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gate, "check_selection", lambda *_, **__: None)
    attacker = coordinator(tmp_path, SIX_LEFT_OUT, _late(6), columns=LATE)
    assert _in_level(attacker) == pytest.approx(VICTIM, abs=1e-9)


def test_one_left_out_of_a_level_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="selection_too_small: east"):
        _in_level(coordinator(tmp_path, SIX_LEFT_OUT, _late(6), columns=LATE))


def _less_than_filtered(attacker: Coordinator) -> float:
    attacker.total("made", Ask(APPLY))
    return float(attacker.total("sums")["sum"][0, 0] - attacker.total("rest")["sum"][0, 0])


def test_a_formula_and_a_filter_that_leave_out_nearly_the_same_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without the rule the two sums differ by the victim's days."""
    patients = _late(6, code="c")
    with pytest.raises(Refused, match="differencing: east"):
        _less_than_filtered(coordinator(tmp_path, FILTERED, patients, columns=LATE))
    monkeypatch.setattr(gate, "check_selection", lambda *_, **__: None)
    attacker = coordinator(tmp_path / "open", FILTERED, patients, columns=LATE)
    assert _less_than_filtered(attacker) == pytest.approx(211)


def test_a_policy_may_refuse_small_sides_of_a_cut_off(tmp_path: Path) -> None:
    """`smallest_part` counts in made categories as in those of the cohort."""
    cut = "  made: {kind: derive, make: {low: {op: below, of: [marker], cut: 10}}}\n"
    steps = cut + "  table: {kind: cross_tabulate, of: [made.low], by: sex}\n"
    assert coordinator(tmp_path, steps).total("made", Ask(APPLY))["n"] == 88
    strict = coordinator(tmp_path / "strict", steps, smallest_part=8)
    strict.total("made", Ask(APPLY))
    with pytest.raises(Refused, match="cell_too_small"):
        strict.total("table")


# Five of east have code c: five power sums of their markers, and nobody else's, are the markers.
POWERS = """
  made:
    kind: derive
    make:
      square: {op: product, of: {marker: 2}}
      cube: {op: product, of: {marker: 3}}
      fourth: {op: product, of: {square: 2}}
      fifth: {op: product, of: {square: 1, cube: 1}}
  sums:
    kind: moments
    of: [marker, made.square, made.cube, made.fourth, made.fifth]
    cases: {where: {code: [c]}}
"""


def _five_of_code_c() -> dict[str, Rows]:
    patients = cohorts()
    for row in patients["east"][-5:]:
        row["code"] = "c"
    patients["east"][-1]["marker"] = 12.5  # not so far off that one is nearly all of a power
    return patients


def _by_newton(attacker: Coordinator) -> list[float]:
    """Return the roots of the polynomial of which these are the power sums."""
    attacker.total("made", Ask(APPLY))
    powers = attacker.total("sums")["sum"][0]
    elementary = [1.0]
    for k in range(1, 6):
        signed = [(-1) ** i * elementary[k - 1 - i] * powers[i] for i in range(k)]
        elementary.append(sum(signed) / k)
    return sorted(np.roots([(-1) ** k * e for k, e in enumerate(elementary)]).real.tolist())


def test_power_sums_of_five_are_the_five_where_nothing_stops_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(disclosure, "powers_of_few", lambda *_: "")
    monkeypatch.setattr(disclosure, "few_dominate", lambda *_: "")
    patients = _five_of_code_c()
    found = _by_newton(coordinator(tmp_path, POWERS, patients))
    assert found == pytest.approx(sorted(row["marker"] for row in patients["east"][-5:]), abs=1e-3)


def test_power_sums_of_five_are_refused(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="too_many_numbers: east"):
        _by_newton(coordinator(tmp_path, POWERS, _five_of_code_c()))


_OF = "x: {op: product, of: {marker: 2}}, l: {op: log, of: [marker]}, r: {op: sum, of: {age: 2}}"


@pytest.mark.parametrize(
    ("steps", "refused"),
    [
        ("{kind: describe, of: [marker, age, days, made.x], cases: {where: {code: [c]}}}", ""),
        ("{kind: moments, of: [marker, made.x], cases: {where: {code: [c]}}}", "s"),
        ("{kind: compare_paired, pairs: [[marker, made.x]], cases: {where: {code: [c]}}}", "s"),
        ("{kind: moments, of: [marker, made.x], cases: {where: {code: [a]}}}", ""),
        ("{kind: moments, of: [marker, made.x, made.l]}", ""),
        ("{kind: moments, of: [marker, made.x], cases: {where: {code: [a, b]}}}", ""),
        ("{kind: compare_groups, of: [marker, age, made.x, made.r], by: code, test: anova}", ""),
        ("{kind: compare_groups, of: [marker, made.x, made.l], by: code, test: anova}", "s"),
        ("{kind: correlate, of: [age, made.r, days, made.x], method: pearson}", ""),
    ],
)
def test_formulas_of_a_number_count_against_the_patients_of_a_step(
    steps: str, refused: str
) -> None:
    """Of 30 patients five have code c, as few as a selection may have."""
    study = read_study(
        f"{COLUMNS}  made: {{kind: derive, make: {{{_OF}}}}}\n  s: {steps}\n", "study.yaml"
    )
    values = [
        {"age": 30.0 + i, "marker": 1.0 + i, "days": 9.0 + i, "code": float(min(i // 13, 2))}
        for i in range(31)
    ]
    cases = [Case(f"c{i}", f"p{i}", "", "", {}, {}, of) for i, of in enumerate(values)]
    said = [*selections_in_words(study, cases, PolicySettings(), 3)]
    assert [text for text in said if "too_many_numbers" in text] == (said if refused else [])
    assert len(said) == len(refused)


@pytest.mark.parametrize("by", ["code", "flag"])
def test_groups_of_whole_numbers_are_groups(by: str) -> None:
    """Of 31 patients five are of the last group: four sums of two formulas, and of the number."""
    columns = COLUMNS.replace(
        "flag: {type: integer, range: [0, 1]}", "flag: {type: integer, range: [0, 2]}"
    )
    step = f"{{kind: compare_groups, of: [marker, made.x, made.l], by: {by}, test: anova}}"
    study = read_study(
        f"{columns}  made: {{kind: derive, make: {{{_OF}}}}}\n  s: {step}\n", "study.yaml"
    )
    groups = [float(min(i // 13, 2)) for i in range(31)]
    values = [
        {"age": 30.0 + i, "marker": 1.0 + i, "code": g, "flag": g} for i, g in enumerate(groups)
    ]
    cases = [Case(f"c{i}", f"p{i}", "", "", {}, {}, of) for i, of in enumerate(values)]
    (said,) = selections_in_words(study, cases, PolicySettings(), 3)
    assert "too_many_numbers" in said


# Of many beyond 15 the victim alone has the flag: the others' product is 0 with and without.
WEIGHED = """
  made:
    kind: derive
    make:
      age1: {op: product, of: {flag: 1, age: 1}}
      low: {op: sum, of: {marker: 1}, range: [0, 15]}
      age2: {op: sum, of: {low: 0, age1: 1}}
  sums: {kind: moments, of: [made.age1, made.age2]}
"""


def _flagged() -> dict[str, Rows]:
    """Return patients of whom some have a flag, the victim the only one of them beyond 15."""
    patients = cohorts()
    for rows in patients.values():
        for i, row in enumerate(rows):
            row["flag"] = int(i % 2 == 0)
            row["marker"] = 16.0 + i / 10 if i % 2 else 5.0 + i / 10
    patients["east"][-1] |= {"flag": 1, "marker": 37.123}
    return patients


def _aged(attacker: Coordinator) -> float:
    attacker.total("made", Ask(APPLY))
    whole, less = attacker.total("sums")["sum"].ravel()[:2]
    return float(whole - less)


def test_without_the_rule_a_product_with_a_flag_shows_the_one_it_leaves(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gate, "check_selection", lambda *_, **__: None)
    found = _aged(coordinator(tmp_path, WEIGHED, _flagged()))
    assert found == pytest.approx(int(str(cohorts()["east"][-1]["age"])), abs=1e-6)


def test_whom_a_product_with_a_flag_leaves_out_is_counted(tmp_path: Path) -> None:
    with pytest.raises(Refused, match=r"(differencing|selection_too_small): east"):
        _aged(coordinator(tmp_path, WEIGHED, _flagged()))


def test_a_change_that_is_none_in_few_is_no_selection() -> None:
    text = f"""{COLUMNS}
  made: {{kind: derive, make: {{change: {{op: sum, of: {{age: 1, days: -1}}}}}}}}
  s: {{kind: compare_groups, of: [made.change, age], by: sex, test: welch}}
  women: {{kind: moments, of: [made.change, age], cases: {{where: {{sex: [f]}}}}}}
"""
    values = [
        {"age": 30.0 + i, "days": 30.0 + i + (i % 7 > 0), "sex": float(i % 2)} for i in range(30)
    ]
    cases = [Case(f"c{i}", f"p{i}", "", "", {}, {}, of) for i, of in enumerate(values)]
    study = read_study(text, "study.yaml")
    assert not [*selections_in_words(study, cases, PolicySettings(), 3)]
