"""Deaths of a group at few sites, had from those at all sites less the others': kept apart.

A part of a step, such as one site, hides a group of few deaths or survivors. Another part that
holds it, less the parts beside it, would tell them; so on one page the last of these parts that
can be missed hide their events and curves, too.
"""

from collections.abc import Mapping
from typing import Any

from common.analyses.survival_answer import p_beside_hidden
from server.report.suppression import Counts, printable_counts
from server.report.view import StepView

Values = Mapping[str, Any]


def printable_parts(view: StepView) -> dict[str, Values]:
    """Return the parts of a step of survival by groups as they may stand on one page."""
    parts = dict(view.parts)
    _close_sizes(view, parts)
    strata = next(iter(parts.values()))["strata"] if parts else {}
    for stratum, group in [(s, g) for s, one in strata.items() for g in one["groups"]]:
        of = {part: values["strata"][stratum]["groups"][group] for part, values in parts.items()}
        told = {part: _counts(view, part, one) for part, one in of.items() if _known(one)}
        hidden = {view.sites(part) for part in of if part not in told}
        hidden -= {counts.sites for counts in told.values()}
        if hidden:
            for part in told.keys() - {*printable_counts(told, hidden)}:
                parts[part] = _closed(parts[part], stratum)
    return parts


def _close_sizes(view: StepView, parts: dict[str, Values]) -> None:
    """Hide how many are in the groups of parts from which others' groups of few would follow."""
    for stratum in next(iter(parts.values()))["strata"] if parts else ():
        sizes = {}
        for part, values in parts.items():
            levels = {g: of.get("n") for g, of in values["strata"][stratum]["groups"].items()}
            sizes[part] = Counts(view.sites(part), levels, None)
        for part in sizes.keys() - {*printable_counts(sizes)}:
            closed = _closed(parts[part], stratum)["strata"]
            for group in closed[stratum]["groups"].values():
                group["n"] = None
            parts[part] = {**parts[part], "strata": closed}


def _known(group: Values) -> bool:
    return group.get("n") is not None and group.get("events") is not None


def _counts(view: StepView, part: str, group: Values) -> Counts:
    """Return how many of a group have the event, and have not."""
    n, events = int(group["n"]), int(group["events"])
    return Counts(view.sites(part), {"event": events, "none": n - events}, n)


def _closed(values: Values, stratum: str) -> Values:
    """Return a part without the events and curves of a stratum."""
    one = values["strata"][stratum]
    groups = {name: {"n": of.get("n"), "events": None} for name, of in one["groups"].items()}
    tests = {key: _closed_test(one[key]) for key in ("log_rank", "log_rank_by_site")}
    closed = {**one, **tests, "groups": groups, "pairs": []}
    return {**values, "strata": {**values["strata"], stratum: closed}}


def _closed_test(test: Values) -> Values:
    """Return a test without what deaths could be worked out of."""
    told = p_beside_hidden(test["p"]) if test.get("p") is not None else {}
    return {**test, "chi2": None, **told}
