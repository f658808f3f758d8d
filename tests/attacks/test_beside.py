"""Groups of one step beside the cases of another: what lies between them must not be few."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from client.check_all import check_simulated
from common.errors import Refused
from server import problems
from server.journal import read_events
from server.simulate import simulate
from tests.attacks.coordinator import COLUMNS, VICTIM, Rows, coordinator, rows_of

VALUES = {"north": 30, "east": 22, "south": 26, "west": 18}
# Of all women the victim alone has code c, and five men of the same site have.
SUBGROUP = """
  everybody: {kind: compare_groups, of: [marker], by: sex, test: t}
  without_c: {kind: compare_groups, of: [marker], by: sex, test: t, cases: {where: {code: [a, b]}}}
"""
# The victim alone has the flag: nothing is told of that group, nor of one more.
FILTERED = """
  codes: {kind: describe, of: [marker], by: code}
  rest: {kind: describe, of: [marker], cases: {where: {code: [b, c]}}}
"""
# Sex stands twice in the table, once with a mistake.
TWICE = """
  women: {kind: compare_groups, of: [marker], by: sex, test: t}
  again: {kind: compare_groups, of: [marker], by: sex2, test: t}
"""
# A cut-off that parts as the groups do, but for the victim.
CUT = """
  made: {kind: derive, make: {old: {op: below, of: [days], cut: 200}}}
  cut: {kind: compare_groups, of: [marker], by: made.old, test: t}
  flags: {kind: compare_groups, of: [marker], by: flag, test: t}
"""
# Restricted means, and means by class, are means of groups too.
SURVIVAL = """
  women: {kind: kaplan_meier, time: days, event: event, group: sex}
  again: {kind: kaplan_meier, time: days, event: event, group: sex2}
"""
CLASSES = """
  women: {kind: naive_bayes, outcome: sex, of: [marker]}
  again: {kind: naive_bayes, outcome: sex2, of: [marker]}
"""
MORE = """
    sex2: {type: category, levels: [f, m]}
    event: {type: integer, range: [0, 1]}
    code:"""
WITH_TWICE = COLUMNS.replace("\n    code:", MORE)


def _patients(study: str) -> dict[str, Rows]:
    patients = {name: rows_of(n, seed) for seed, (name, n) in enumerate(VALUES.items())}
    east = patients["east"]
    east[-1] |= {"sex": "f", "marker": VICTIM, "code": "c"}
    for row in east[1:11:2] if study is SUBGROUP else ():
        row["code"] = "c"
    for row in patients["north"][:9] if study is FILTERED else ():
        row["code"] = "b"  # the larger group, which is shown
    for rows in patients.values():
        for row in rows:
            row |= {"sex2": row["sex"], "event": int(str(row["age"])) % 2}
            row["flag"] = int(int(str(row["days"])) < 200)
    east[-1] |= {"sex2": "m", "flag": int(not east[-1]["flag"])}
    return patients


def _answers(folder: Path, study: str, patients: dict[str, Rows]) -> tuple[Any, list[Any]]:
    import json

    attacker = coordinator(folder, study, patients, columns=WITH_TWICE)
    simulate(attacker.run, engine="threads")
    told = json.loads((attacker.run.folder / "answers.json").read_text())["answers"]
    return told, read_events(attacker.run.folder / "journal.jsonl")


def _total(group: dict[str, Any]) -> float:
    return float(group["n"] * group["mean"])


def _column(told: Any, step: str, group: str) -> Any:
    of = told[step]["development"]
    if "groups" in of:
        return {**of["groups"][group]["columns"]["marker"], "n": of["groups"][group]["n"]}
    return of["columns"]["marker"]["groups"][group]


def _difference(study: str, told: Any) -> float:
    if study is FILTERED:
        rest, b = told["rest"]["development"], _column(told, "codes", "b")
        return _total({**rest["columns"]["marker"], "n": rest["n"]}) - _total(b)
    steps = {SUBGROUP: ("everybody", "without_c"), TWICE: ("women", "again"), CUT: ("cut", "flags")}
    one, other = steps[study]
    groups = ("no", "0") if study is CUT else ("f", "f")
    return abs(_total(_column(told, one, groups[0])) - _total(_column(told, other, groups[1])))


ATTACKS = [SUBGROUP, FILTERED, TWICE, CUT]


@pytest.mark.parametrize("study", ATTACKS)
def test_without_the_rule_two_means_tell_of_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, study: str
) -> None:
    monkeypatch.setattr(problems, "few", lambda _: False)
    told, _ = _answers(tmp_path, study, _patients(study))
    assert _difference(study, told) == pytest.approx(VICTIM, abs=1e-6)


@pytest.mark.parametrize("study", ATTACKS)
def test_a_group_that_differs_by_one_from_another_is_not_asked_for(
    tmp_path: Path, study: str
) -> None:
    told, events = _answers(tmp_path, study, _patients(study))
    foreseen = check_simulated(tmp_path / "study.yaml", tmp_path / "sites.yaml", None)
    assert [p.site for p in foreseen if "lie one to four patients" in p.text] == ["all sites"]
    said = [str(e) for e in events if e["event"] == "failed"]
    assert any("'not asked for: between group" in text for text in said), said
    with pytest.raises((KeyError, TypeError)):
        _difference(study, told)


@pytest.mark.parametrize("study", [SURVIVAL, CLASSES])
def test_curves_and_classes_are_groups_too(tmp_path: Path, study: str) -> None:
    told, events = _answers(tmp_path, study, _patients(study))
    said = [str(e) for e in events if e["event"] == "failed"]
    assert any("'not asked for: between group" in text for text in said), said
    assert "development" not in told.get("again", {})


def test_with_many_between_both_are_told(tmp_path: Path) -> None:
    patients = {name: rows_of(40, seed) for seed, name in enumerate(VALUES)}
    for rows in patients.values():
        for i, row in enumerate(rows):
            row |= {"sex2": row["sex"], "event": 0}
            row["code"] = "abc"[i // 2 % 3]
    told, _ = _answers(tmp_path, SUBGROUP, patients)
    women = [r for rows in patients.values() for r in rows if r["sex"] == "f" and r["code"] == "c"]
    expected = np.sum([float(str(row["marker"])) for row in women])
    assert _difference(SUBGROUP, told) == pytest.approx(expected)


@pytest.mark.parametrize("study", [SUBGROUP, FILTERED])
def test_in_clear_a_site_judges_its_own_groups(tmp_path: Path, study: str) -> None:
    steps = study.replace("by:", "over: [each], by:").replace(
        "rest: {kind: describe,", "rest: {kind: describe, over: [each],"
    )
    attacker = coordinator(tmp_path, steps, _patients(study), columns=WITH_TWICE, per_site=True)
    name = "without_c" if study is SUBGROUP else "codes"
    with pytest.raises(Refused, match="differencing: east"):
        attacker.total(name, group=["east"], part="site.east")
