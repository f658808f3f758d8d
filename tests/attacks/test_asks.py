"""Asks that no honest coordinator would pose, or not of these sites."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from client import gate, masking
from client.ledger import Ledger
from client.site import Site
from common.analyses.analysis import APPLY, Ask
from common.errors import Refused
from common.messages import Hello, Joined
from common.sums import Array
from tests.attacks import coordinator as coordinators
from tests.attacks.coordinator import SITES, VICTIM, Coordinator, cohorts, coordinator

STEPS = "  table1: {kind: describe, of: [marker]}\n"
TWICE = STEPS + "  again: {kind: describe, of: [marker], over: [all]}\n"
OTHERS = ("north", "south", "west")


def _own_sum() -> float:
    return float(sum(float(str(row["marker"])) for row in cohorts()["east"]))


def _leave_one_out(attacker: Coordinator, step: str = "table1") -> float:
    """Have the same sums with and without a site, as two answers of the study."""
    ask = Ask("spread", {"alone": False}, {"means": np.array([0.0]), "unit": np.ones(1)})
    everyone = attacker.total("table1", ask)["d"][0]
    return float(everyone - attacker.total(step, ask, group=OTHERS, part="all")["d"][0])


@pytest.mark.parametrize("step", ["table1", "again"])
def test_without_the_rule_leaving_a_site_out_at_a_common_point_shows_its_sums(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    monkeypatch.setattr(Ledger, "_check_sites", lambda *_: None)
    monkeypatch.setattr(gate, "check_between", lambda *_, **__: None)
    found = _leave_one_out(coordinator(tmp_path, TWICE), step)
    assert found == pytest.approx(_own_sum(), abs=1e-9)


@pytest.mark.parametrize("step", ["table1", "again"])
def test_the_sites_that_remain_refuse_to_leave_one_out(tmp_path: Path, step: str) -> None:
    with pytest.raises(Refused, match="differencing: north"):
        _leave_one_out(coordinator(tmp_path, TWICE), step)


EACH = STEPS + "  sites: {kind: describe, of: [marker, age], over: [each]}\n"
SHOWN = {name: {"per_site": True} for name in OTHERS}


def _less_the_shown(attacker: Coordinator) -> float:
    """Take what each other site shows off the total."""
    shown = [attacker.total("sites", group=(name,), part=f"site.{name}") for name in OTHERS]
    total = attacker.total("table1")
    return float(total["sum"][0] - sum(of["sum"][0] for of in shown))


def test_without_the_rule_a_total_less_what_others_show_is_a_sites_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gate, "check_keepers", lambda *_: None)
    found = _less_the_shown(coordinator(tmp_path, EACH, policies=SHOWN))
    assert found == pytest.approx(_own_sum(), abs=1e-9)


def test_a_site_that_keeps_its_own_alone_stays_out_of_such_a_total(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="own_sums_follow: east"):
        _less_the_shown(coordinator(tmp_path, EACH, policies=SHOWN))


MADE = """
  made: {kind: derive, make: {twice: {op: sum, of: {marker: 2}}}}
  scaled: {kind: standardise, of: [made.twice]}
  table1: {kind: describe, of: [marker]}
"""


@pytest.mark.parametrize("column", ["made.twice", "scaled.made.twice"])
def test_a_column_made_of_another_is_that_other(tmp_path: Path, column: str) -> None:
    each = f"  sites: {{kind: describe, of: [{column}], over: [each]}}\n"
    attacker = coordinator(tmp_path, MADE + each, policies=SHOWN)
    with pytest.raises(Refused, match="own_sums_follow: east"):
        attacker.total("table1")
    assert attacker.total("made", Ask(APPLY))["filled"] == 88  # a count over all, and no more


def test_among_three_that_keep_theirs_it_is_in_the_total(tmp_path: Path) -> None:
    attacker = coordinator(tmp_path, EACH, policies={"north": {"per_site": True}})
    assert attacker.total("table1")["n"] == 88


def test_what_a_site_keeps_is_signed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    attacker = coordinator(tmp_path, EACH, policies=SHOWN)

    def lie(site: Site, hello: Hello) -> Joined:
        return replace(masking.join(site, hello), per_site=False)

    monkeypatch.setattr(coordinators, "join", lie)
    with pytest.raises(Refused, match="roster_mismatch: east"):
        attacker.total("table1")


def test_where_sites_show_their_own_numbers_one_may_be_left_out(tmp_path: Path) -> None:
    _leave_one_out(coordinator(tmp_path, TWICE, per_site=True))


def _search_the_largest(ask: Callable[[Ask], Array]) -> float:
    """Look for the largest marker of all sites, by counts below edges of one's choice."""
    low, high = 0.0, 50.0
    while high - low > 1e-10:
        edges = np.linspace(low, high, 257)
        below = ask(Ask("search", {}, {"edges.marker": edges[None]}))
        first = int(np.argmax(below == below[-1]))
        low, high = edges[first - 1], edges[first]
    return float(high)


def _in_an_old_round(attacker: Coordinator) -> float:
    attacker.total("table1")
    attacker.total(
        "table1", Ask("spread", {"alone": False}, {"means": np.array([9.0]), "unit": np.ones(1)})
    )

    def ask(of: Ask) -> Array:
        return np.asarray(attacker.total("table1", of, number=1)["below.marker"][0])

    return _search_the_largest(ask)


def test_without_the_rule_a_changed_ask_of_an_old_round_is_answered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Ledger, "_check_turn", lambda *_: None)
    assert _in_an_old_round(coordinator(tmp_path, STEPS)) == pytest.approx(VICTIM, abs=1e-9)


def test_a_changed_ask_of_an_old_round_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="stale_ask: east"):
        _in_an_old_round(coordinator(tmp_path, STEPS))


def test_a_second_ask_of_a_problem_in_one_round_is_refused(tmp_path: Path) -> None:
    attacker = coordinator(tmp_path, STEPS)
    attacker.total("table1")
    other = Ask("spread", {"alone": False}, {"means": np.array([9.0]), "unit": np.ones(1)})
    with pytest.raises(Refused, match="stale_ask: east"):
        attacker.total("table1", other, number=1, attempt=2)


def test_a_new_ask_in_a_session_that_has_ended_is_refused(tmp_path: Path) -> None:
    attacker = coordinator(tmp_path, STEPS)
    attacker.total("table1")
    attacker.session = "s2"
    attacker.total("table1")
    attacker.session = "s1"
    other = Ask("spread", {"alone": False}, {"means": np.array([9.0]), "unit": np.ones(1)})
    with pytest.raises(Refused, match="stale_ask: east"):
        attacker.total("table1", other)


def test_an_old_ask_replayed_gives_the_same_sums_and_costs_nothing(tmp_path: Path) -> None:
    attacker = coordinator(tmp_path, STEPS)
    first = attacker.total("table1")
    attacker.total(
        "table1", Ask("spread", {"alone": False}, {"means": np.array([9.0]), "unit": np.ones(1)})
    )
    again = attacker.total("table1", number=1)
    assert all(np.array_equal(first[name], again[name]) for name in first)


# -- what is not stopped: ARCHITECTURE.md says so -------------------------------------------


def test_a_site_said_to_have_failed_can_be_subtracted_once(tmp_path: Path) -> None:
    """No site can know whether another has failed; only sums of a whole site are shown."""
    attacker = coordinator(tmp_path, STEPS)
    everyone = attacker.total("table1")["sum"][0]
    others = attacker.total("table1", group=OTHERS, number=1, attempt=2)["sum"][0]
    assert everyone - others == pytest.approx(_own_sum(), abs=1e-9)
    for gone in OTHERS:  # but no second site by that way
        rest = tuple(s for s in SITES if s != gone)
        with pytest.raises(Refused, match="differencing"):
            attacker.total("table1", group=rest, number=1, attempt=3)


def test_a_policy_may_forbid_that_too(tmp_path: Path) -> None:
    attacker = coordinator(tmp_path, STEPS, fewest_sites=4)
    attacker.total("table1")
    with pytest.raises(Refused, match="too_few_sites: north"):
        attacker.total("table1", group=OTHERS, number=1, attempt=2)


def test_new_rounds_with_edges_of_its_choice_find_the_largest_value_of_all_sites(
    tmp_path: Path,
) -> None:
    """A coordinator that does not follow the protocol finds a value, of nobody in particular."""
    attacker = coordinator(tmp_path, STEPS)

    def ask(of: Ask) -> Array:
        return np.asarray(attacker.total("table1", of)["below.marker"][0])

    assert _search_the_largest(ask) == pytest.approx(VICTIM, abs=1e-9)
