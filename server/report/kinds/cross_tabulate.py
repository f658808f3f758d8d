"""Categories crossed with the groups of another, and the tests of them."""

from collections.abc import Iterator, Mapping
from typing import Any

from server.report.blocks import Block, Row, Table
from server.report.group_parts import crossed_parts
from server.report.numbers import (
    NONE,
    estimate,
    is_number,
    p_value,
    share,
    significant,
    told_p,
)
from server.report.table_one import HIDDEN
from server.report.view import StepView
from server.report.words import adjusted_heading, listed

_TESTS = {"chi_square": "Chi-square test", "fisher": "Fisher's exact test"}


def sentence(view: StepView) -> str:
    """Say what is crossed with what."""
    names = listed([view.label(c, unit=False) for c in view.step.of])
    return f"Cross {names} with {view.label(view.step.by, unit=False)}."


def blocks(view: StepView) -> Iterator[Block]:
    """Return one table for each part."""
    for part, values in crossed_parts(view).items():
        yield _table(view, part, values)


def _table(view: StepView, part: str, values: Mapping[str, Any]) -> Table:
    columns = values["columns"]
    groups = list(dict.fromkeys(g for c in columns.values() for g in _groups(c)))
    adjusted = values.get("correction", "none") != "none"
    rows: list[Row] = []
    for name, found in columns.items():
        rows += _rows(view.label(name, unit=False), found, groups, adjusted=adjusted)
    by = view.label(view.step.by, unit=False)
    head = ["", *(f"{by}: {g}" for g in groups), "Odds ratio (CI)", "Statistic", "p"]
    if adjusted:
        head.append(adjusted_heading(values["correction"]))
    notes = ["Cells: n (% of the group) of the cases that have both."]
    notes += view.notes(columns.items())
    notes += dict.fromkeys(str(of["hidden"]) + "." for of in columns.values() if of.get("hidden"))
    title = f"{_TESTS.get(view.step.test, view.step.test)}, {view.title(part)}"
    return Table(title, tuple(head), tuple(rows), tuple(notes))


def _rows(
    label: str, found: Mapping[str, Any], groups: list[str], *, adjusted: bool
) -> Iterator[Row]:
    ratio = found.get("odds_ratio")
    tests = [estimate(ratio, "estimate", 2) if isinstance(ratio, dict) else ""]
    tests += [significant(found.get("statistic")), told_p(found)]
    if adjusted:
        tests.append(p_value(found.get("p_adjusted")))
    yield Row(label, (*("" for _ in groups), *tests))
    counts = found.get("counts")
    if not isinstance(counts, dict):
        return
    sizes = {g: [of.get(g) for of in counts.values()] for g in groups}
    totals = {g: sum(ns) if all(map(is_number, ns)) else None for g, ns in sizes.items()}
    for level, of in counts.items():
        cells = [_cell(of, g, totals[g]) for g in groups]
        yield Row(str(level), (*cells, *("" for _ in tests)), "level")


def _cell(of: Mapping[str, Any], group: str, total: Any) -> str:
    if group not in of:
        return NONE
    return HIDDEN if of[group] is None else share(of[group], total)


def _groups(found: Mapping[str, Any]) -> Iterator[str]:
    counts = found.get("counts")
    for of in counts.values() if isinstance(counts, dict) else ():
        yield from of
