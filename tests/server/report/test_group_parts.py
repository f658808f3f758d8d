"""A few of a group at some sites do not follow from those at all sites and at the others."""

from types import SimpleNamespace
from typing import Any

import pytest

from server.report.group_parts import compared_parts, crossed_parts

SITES = {"development": {"east"}, "external": {"abroad"}, "all": {"east", "abroad"}}


def view_of(parts: dict[str, Any]) -> Any:
    found = {name: {"n": 99, "columns": {"age": of}} for name, of in parts.items()}
    return SimpleNamespace(parts=found, sites=lambda name: frozenset(SITES[name]))


def compared(iii: int | None, iv: int | None) -> dict[str, Any]:
    groups = {"III": {"n": iii, "mean": 60.0, "sd": 9.0}, "IV": {"n": iv, "mean": 61.0, "sd": 9.0}}
    return {"groups": groups, "statistic": 2.0, "p": 0.04}


@pytest.mark.parametrize(("few", "told"), [((None, None), None), ((20, 14), 30)])
def test_the_last_of_the_parts_that_tell_a_hidden_group_hides_its_own(
    few: tuple[int | None, int | None], told: int | None
) -> None:
    parts = {"development": compared(58, 16), "external": compared(*few), "all": compared(78, 30)}
    shown = compared_parts(view_of(parts))
    groups = {name: of["columns"]["age"]["groups"] for name, of in shown.items()}
    assert groups["development"]["IV"]["n"] == 16
    assert groups["all"]["IV"].get("n") == told
    assert ("mean" in groups["all"]["IV"]) == (told is not None)


def crossed(f: int | None, m: int | None, other: int = 30) -> dict[str, Any]:
    counts = {"IV": {"f": f, "m": m}, "III": {"f": other, "m": other}}
    return {"counts": counts, "odds_ratio": {"estimate": 2.0}, "statistic": 2.0, "p": 0.04}


def test_cells_are_kept_apart_and_what_they_are_worked_out_of() -> None:
    parts = {
        "development": crossed(16, 9),
        "external": crossed(None, None),
        "all": crossed(20, 20, 60),
    }
    shown = crossed_parts(view_of(parts))["all"]["columns"]["age"]
    assert {n for of in shown["counts"].values() for n in of.values()} == {None}
    assert shown["odds_ratio"] is shown["statistic"] is shown["p"] is None
    assert shown["p_below"] == 0.05
    assert "tell of few patients" in shown["hidden"]
    assert crossed_parts(view_of(parts))["development"] == view_of(parts).parts["development"]


def test_a_column_without_counts_is_left_as_it_is() -> None:
    parts = {name: {"p": None, "note": "too few"} for name in SITES}
    assert compared_parts(view_of(parts)) == view_of(parts).parts
    assert crossed_parts(view_of(parts)) == view_of(parts).parts
