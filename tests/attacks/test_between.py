"""Totals that, put together, are the sums of a lone external site that keeps its own."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from client import between, gate
from client.copies import first_of_copies
from common.analyses.analysis import Ask
from common.errors import Refused
from tests.attacks.coordinator import (
    COLUMNS,
    SITES,
    Coordinator,
    Rows,
    cohorts,
    coordinator,
    rows_of,
)

BESIDE = """
  shifted: {kind: derive, make: {age: {op: sum, of: {age: 1}, offset: 1, range: [0, 200]}}}
  developing: {kind: moments, of: [age]}
  everywhere: {kind: moments, of: [age, marker], over: [all]}
  men: {kind: moments, of: [age, marker], over: [all], cases: {where: {sex: [m]}}}
  days: {kind: moments, of: [days], over: [all]}
"""
INNER = [name for name in SITES if name != "east"]


def _of_east(attacker: Coordinator) -> float:
    """Return the sum of ages at east, the one external site."""
    less = attacker.total("developing", group=INNER)["sum"]
    whole = attacker.total("everywhere", part="all")["sum"]
    return float(whole[0, 0] - less[0, 0])


def test_without_the_rule_other_columns_beside_it_hide_a_subtraction(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gate, "check_between", lambda *_, **__: None)
    ages = sum(int(str(row["age"])) for row in cohorts()["east"])
    assert _of_east(coordinator(tmp_path, BESIDE)) == pytest.approx(ages, abs=1e-6)


@pytest.mark.parametrize("first", ["developing", "everywhere"])
def test_a_lone_external_site_does_not_follow_from_other_steps(tmp_path: Path, first: str) -> None:
    policies = {name: {"per_site": True} for name in INNER}
    attacker = coordinator(tmp_path, BESIDE, policies=policies)
    asks: list[Callable[[], object]] = [
        lambda: attacker.total("developing", group=INNER),
        lambda: attacker.total("everywhere", part="all"),
    ]
    one, other = asks if first == "developing" else asks[::-1]
    one()
    with pytest.raises(Refused, match="differencing"):
        other()
    attacker.total("days", part="all")
    attacker.total("men", part="all")


@pytest.mark.parametrize("cases", ["where: {sex: [m, f]}", "split: [train]"])
def test_naming_everybody_is_no_other_selection(tmp_path: Path, cases: str) -> None:
    steps = BESIDE.replace(
        "of: [age, marker], over: [all]}", f"of: [age], over: [all], cases: {{{cases}}}}}"
    )
    attacker = coordinator(tmp_path, steps, policies={name: {"per_site": True} for name in INNER})
    attacker.total("developing", group=INNER)
    with pytest.raises(Refused, match="differencing"):
        attacker.total("everywhere", part="all")


def test_where_the_external_site_shows_its_own_it_may_follow(tmp_path: Path) -> None:
    assert _of_east(coordinator(tmp_path, BESIDE, per_site=True)) > 0


TOGETHER = """
  women: {kind: moments, of: [age], cases: {where: {sex: [f]}}}
  men: {kind: moments, of: [age], cases: {where: {sex: [m]}}}
  everywhere: {kind: moments, of: [age, marker], over: [all]}
"""
# What is told of the levels of a category is told of everybody, and of each level.
BY_LEVEL = """
  sexes: {kind: compare_groups, of: [age], by: sex, test: welch}
  women: {kind: moments, of: [age], over: [all], cases: {where: {sex: [f]}}}
"""
# Few have code c: at no site are women the less without them.
NEARLY = """
  women: {kind: moments, of: [age], cases: {where: {sex: [f], code: [a, b]}}}
  men: {kind: moments, of: [age], cases: {where: {sex: [m]}}}
  everywhere: {kind: moments, of: [age], over: [all]}
"""
ALL_FIRST = """
  women: {kind: moments, of: [age], over: [all], cases: {where: {sex: [f]}}}
  men: {kind: moments, of: [age], over: [all], cases: {where: {sex: [m]}}}
  inside: {kind: moments, of: [age]}
"""
SHOWING = {name: {"per_site": True} for name in INNER}


def _together(attacker: Coordinator) -> float:
    """Return the sum of ages at east of two totals over the others, and one over all."""
    women, men = (attacker.total(name, group=INNER)["sum"][0, 0] for name in ("women", "men"))
    return float(attacker.total("everywhere", part="all")["sum"][0, 0] - women - men)


def _women(attacker: Coordinator) -> float:
    groups = {"told": np.ones((2, 1)), "centre": np.zeros((2, 1)), "scale": np.ones(1)}
    sexes = attacker.total("sexes", Ask("deviations", {}, groups), group=INNER)["d"]
    return float(attacker.total("women", part="all")["sum"][0, 0] - sexes[0, 0])


def _two_over_all(attacker: Coordinator) -> float:
    both = sum(attacker.total(name, part="all")["sum"][0, 0] for name in ("women", "men"))
    return float(both - attacker.total("inside", group=INNER)["sum"][0, 0])


def _ages(sex: str = "fm") -> int:
    return sum(int(str(row["age"])) for row in cohorts()["east"] if str(row["sex"]) in sex)


ATTACKS = [
    (TOGETHER, _together, _ages()),
    (BY_LEVEL, _women, _ages("f")),
    (NEARLY, _together, _ages()),
    (ALL_FIRST, _two_over_all, _ages()),
]


@pytest.mark.parametrize(("steps", "attack", "ages"), ATTACKS)
def test_without_the_rule_parts_put_together_show_the_external_site(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    steps: str,
    attack: Callable[[Coordinator], float],
    ages: int,
) -> None:
    monkeypatch.setattr(gate, "check_between", lambda *_, **__: None)
    patients = cohorts()
    patients["east"][-1]["code"] = "a"
    assert attack(coordinator(tmp_path, steps, patients, policies=SHOWING)) == pytest.approx(ages)


@pytest.mark.parametrize(("steps", "attack", "ages"), ATTACKS)
def test_parts_of_the_others_do_not_show_it(
    tmp_path: Path, steps: str, attack: Callable[[Coordinator], float], ages: int
) -> None:
    del ages
    with pytest.raises(Refused, match="differencing"):
        attack(coordinator(tmp_path, steps, policies=SHOWING))


def test_parts_that_leave_many_out_are_answered(tmp_path: Path) -> None:
    steps = TOGETHER.replace("where: {sex: [m]}", "where: {sex: [m], code: [a]}")
    patients = {name: rows_of(60, seed) for seed, name in enumerate(SITES)}
    attacker = coordinator(tmp_path, steps, patients, policies=SHOWING)
    here = sum(int(str(row["age"])) for row in patients["east"])
    assert _together(attacker) > here + 15 * 40


IN_ML = COLUMNS.replace(
    "    sex:", "    ml: {type: number, range: [0, 50]}\n    mm3: {type: number}\n    sex:"
)
COPIED = """
  inside: {kind: moments, of: [ml]}
  everywhere: {kind: moments, of: [mm3], over: [all]}
"""


def _in_two_units() -> dict[str, Rows]:
    patients = cohorts()
    for rows in patients.values():
        for row in rows:
            row["ml"] = row["marker"]
            row["mm3"] = round(1000 * float(str(row["marker"])), 3)
    return patients


def _of_copies(attacker: Coordinator) -> float:
    inside = attacker.total("inside", group=INNER)["sum"][0, 0]
    return float(attacker.total("everywhere", part="all")["sum"][0, 0] / 1000 - inside)


def _markers() -> float:
    return sum(float(str(row["marker"])) for row in cohorts()["east"])


def test_without_the_rule_a_copy_in_another_unit_shows_the_external_site(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(between, "copies_among", lambda *_: {})
    attacker = coordinator(tmp_path, COPIED, _in_two_units(), columns=IN_ML, policies=SHOWING)
    assert _of_copies(attacker) == pytest.approx(_markers())


def test_a_copy_in_another_unit_is_the_same_column(tmp_path: Path) -> None:
    attacker = coordinator(tmp_path, COPIED, _in_two_units(), columns=IN_ML, policies=SHOWING)
    with pytest.raises(Refused, match="differencing"):
        _of_copies(attacker)


def test_a_copy_that_others_show_alone_is_the_same_column(tmp_path: Path) -> None:
    steps = COPIED.replace("over: [all]", "over: [each]")
    attacker = coordinator(tmp_path, steps, _in_two_units(), columns=IN_ML, policies=SHOWING)
    with pytest.raises(Refused, match="own_sums_follow: east"):
        attacker.total("inside")


def test_copies_are_told_by_their_values() -> None:
    rng = np.random.default_rng(0)
    a = rng.lognormal(3, 1, 40)
    columns = {"a": a, "b": -3 * a + 7, "c": np.round(a, 1), "d": np.ones(40)}
    columns |= {"e": a + rng.normal(size=40), "f": np.where(np.arange(40) == 3, np.nan, a)}
    found = first_of_copies(columns)
    assert {name: found.get(name) for name in "abcde"} == {
        **dict.fromkeys("abc", "a"),
        "d": None,
        "e": "e",
    }
