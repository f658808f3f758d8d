"""How many are in groups at few sites, had from those at all sites less the others': kept apart.

A comparison over the external sites hides a group of four; over all sites and over the developing
ones it prints 20 and 16. So on one page the last of these parts that can be missed hides its
groups of that column, too, and what could be worked back to them.
"""

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from common.analyses.survival_answer import p_beside_hidden
from server.report.suppression import Counts, printable_counts
from server.report.view import StepView

Values: TypeAlias = Mapping[str, Any]
Levels: TypeAlias = dict[str, int | None]
_Close: TypeAlias = Callable[[Values], Values]
_WHY = "counts are hidden that would, beside those of other parts, tell of few patients"


def compared_parts(view: StepView) -> dict[str, Values]:
    """Return the parts of a comparison of groups as they may stand on one page."""
    return _printable(view, group_sizes, _without_groups)


def crossed_parts(view: StepView) -> dict[str, Values]:
    """Return the parts of a cross-tabulation as they may stand on one page."""
    return _printable(view, cell_counts, _without_cells)


def group_sizes(found: Values) -> Levels:
    """Return how many of each group have a compared column, None where hidden."""
    return {name: group.get("n") for name, group in found.get("groups", {}).items()}


def cell_counts(found: Values) -> Levels:
    """Return the cells of one crossed column, None where hidden."""
    counts = found.get("counts")
    rows = counts.items() if isinstance(counts, dict) else ()
    return {f"{level}, {group}": n for level, of in rows for group, n in of.items()}


def _printable(
    view: StepView, counts_of: Callable[[Values], Levels], close: _Close
) -> dict[str, Values]:
    parts = dict(view.parts)
    names = dict.fromkeys(c for values in parts.values() for c in values.get("columns", {}))
    for column in names:
        found = {p: v["columns"][column] for p, v in parts.items() if column in v["columns"]}
        told = {part: Counts(view.sites(part), counts_of(of), None) for part, of in found.items()}
        told = {part: counts for part, counts in told.items() if counts.levels}
        if len({frozenset(counts.levels) for counts in told.values()}) != 1:
            continue  # none, or not the same groups
        for part in told.keys() - {*printable_counts(told)}:
            columns = {**parts[part]["columns"], column: close(found[part])}
            parts[part] = {**parts[part], "columns": columns}
    return parts


def _without_groups(found: Values) -> Values:
    return {**found, "groups": {name: {"n": None} for name in found["groups"]}, "note": _WHY}


def _without_cells(found: Values) -> Values:
    hidden = {level: dict.fromkeys(of) for level, of in found["counts"].items()}
    told = p_beside_hidden(found["p"]) if found.get("p") is not None else {}
    return {
        **found,
        "counts": hidden,
        "odds_ratio": None,
        "statistic": None,
        "hidden": _WHY,
        **told,
    }
