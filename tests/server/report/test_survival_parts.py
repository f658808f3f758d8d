"""Few deaths at one site do not follow from the others' and the total on the same page."""

from types import SimpleNamespace
from typing import Any

import pytest

from server.report.survival_parts import printable_parts

SITES = ("east", "north", "south")


def part(n: int, deaths: int | None) -> dict[str, Any]:
    """Return an answer with one group; its deaths are hidden where they are None."""
    group = {"n": n, "events": deaths} | ({} if deaths is None else {"curve": {}})
    test = {"chi2": 3.0, "df": 1, "p": 0.08}
    picture = {"groups": {"a": group}, "log_rank": test, "log_rank_by_site": test, "pairs": []}
    return {"strata": {"all": picture}}


def deaths_shown(deaths: dict[str, int | None]) -> dict[str, int | None]:
    """Return the deaths that are printed of each site and of all, of 30 patients a site."""
    parts = {"development": part(90, 32), **{f"site.{s}": part(30, deaths[s]) for s in SITES}}
    sites = {"development": frozenset(SITES), **{f"site.{s}": frozenset({s}) for s in SITES}}
    view: Any = SimpleNamespace(parts=parts, sites=sites.__getitem__)
    shown = printable_parts(view)
    return {name: of["strata"]["all"]["groups"]["a"]["events"] for name, of in shown.items()}


def test_of_the_parts_that_tell_a_hidden_one_the_last_is_hidden_with_it() -> None:
    shown = deaths_shown({"east": 15, "north": None, "south": 15})
    assert shown == {
        "development": 32,
        "site.east": 15,
        "site.north": None,
        "site.south": None,
    }


@pytest.mark.parametrize("deaths", [{"east": 15, "north": 6, "south": 11}])
def test_parts_that_hide_nothing_are_all_shown(deaths: dict[str, int | None]) -> None:
    assert [*deaths_shown(deaths).values()] == [32, 15, 6, 11]


def test_a_part_without_its_events_has_no_curve_and_no_statistic() -> None:
    parts = {"development": part(90, 17), "site.east": part(90, None)}
    sites = {"development": frozenset({"east", "north"}), "site.east": frozenset({"east"})}
    view: Any = SimpleNamespace(parts=parts, sites=sites.__getitem__)
    shown = printable_parts(view)["development"]["strata"]["all"]
    assert shown["groups"]["a"]["events"] == 17  # what is east's and what north's is not told
    parts["site.north"] = part(30, 15)
    sites["site.north"] = frozenset({"north"})
    shown = printable_parts(view)["site.north"]["strata"]["all"]
    assert shown["groups"]["a"] == {"n": 30, "events": None}
    assert shown["log_rank"]["chi2"] is shown["log_rank"]["p"] is None
    assert "p_below" in shown["log_rank"]


def test_a_group_of_few_does_not_follow_from_how_many_are_in_it_elsewhere() -> None:
    sizes = {"development": 16, "external": None, "all": 20}
    parts = {name: part(n or 9, None) for name, n in sizes.items()}
    parts["external"]["strata"]["all"]["groups"]["a"]["n"] = None
    sites = {"development": {"east"}, "external": {"abroad"}, "all": {"east", "abroad"}}
    view: Any = SimpleNamespace(parts=parts, sites=lambda name: frozenset(sites[name]))
    groups = {
        name: of["strata"]["all"]["groups"]["a"] for name, of in printable_parts(view).items()
    }
    assert {name: group["n"] for name, group in groups.items()} == {
        "development": 16,
        "external": None,
        "all": None,
    }
