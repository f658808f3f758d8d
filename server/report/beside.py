"""Whose counts of a column's levels other steps print: what a table hides must not follow.

A Kaplan-Meier plot by stage prints how many are at each stage. If Table 1 hid these and printed
the total of more sites, a few at the others would be the difference. So a table keeps what the
page tells anyway, and hides another part of it.
"""

from collections.abc import Iterator
from typing import Any

from server.report.group_parts import (
    Levels,
    Values,
    cell_counts,
    compared_parts,
    crossed_parts,
    group_sizes,
)
from server.report.numbers import is_number
from server.report.survival_parts import printable_parts
from server.report.view import StepView, view_of


def told_by_others(view: StepView, column: str) -> dict[str, Levels]:
    """Return the counts of a column's levels that other steps print of the same cases, by part.

    A few fewer, which lack a follow-up, are taken for the same, as a reader would. None stands
    for a level of few; no level at all where it is only known that there are such counts.
    """
    told: dict[str, Levels] = {}
    for name, step in view.study.bound.items():
        alike = name != view.name and getattr(step, "cases", None) == view.step.cases
        if alike and getattr(step, "kind", "") in _SIZES and view.record.answers.get(name):
            for part, levels in _told(view_of(view.record, name), column):
                told.setdefault(part, levels)
    return told


def _told(other: StepView, column: str) -> Iterator[tuple[str, Levels]]:
    """Yield the parts of another step that print how many are at a column's levels."""
    for part, values in _PRINTABLE[other.kind](other).items():
        counts = list(_SIZES[other.kind](other.step, values, column))
        if any(is_number(n) for levels in counts for n in levels.values()):
            yield part, counts[0] if len(counts) == 1 else {}


def _curves(step: Any, values: Values, column: str) -> Iterator[Levels]:
    if step.group == column and step.cut is None and not step.cut_chosen_in:
        for one in values.get("strata", {}).values():
            yield {name: group.get("n") for name, group in one["groups"].items()}


def _compared(step: Any, values: Values, column: str) -> Iterator[Levels]:
    for of in values.get("columns", {}).values() if step.by == column else ():
        yield group_sizes(of)


def _crossed(step: Any, values: Values, column: str) -> Iterator[Levels]:
    for name, of in values.get("columns", {}).items():
        if column in (step.by, name):
            yield cell_counts(of)


_PRINTABLE = {
    "kaplan_meier": printable_parts,
    "compare_groups": compared_parts,
    "cross_tabulate": crossed_parts,
}
_SIZES = {"kaplan_meier": _curves, "compare_groups": _compared, "cross_tabulate": _crossed}
