"""Table 1: who is in the study, a column for each part, small counts hidden."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from common.analyses.publish import SMALLEST_CELL
from server.report.blocks import Row, Table
from server.report.numbers import (
    NONE,
    decimals_for,
    fixed,
    is_number,
    share,
    whole,
)
from server.report.suppression import Counts, printable_counts
from server.report.view import StepView

HIDDEN = "hidden"
_QUARTERS = (0.25, 0.5, 0.75)
_MEDIAN = "median [IQR]"


def table_one(view: StepView, columns: Sequence[str]) -> Table:
    """Return a table of columns by part; refused parts keep their place."""
    parts = [*view.parts]
    refused = [part for part in view.refused if part not in parts]
    head = ("", *(view.title(part) for part in (*parts, *refused)))
    first = [_size(view.parts[part]) for part in parts] + ["not released"] * len(refused)
    rows = [Row("Cases", tuple(first), "total")]
    for column in columns:
        for row in _rows(view, column):
            rows.append(Row(row.head, (*row.cells, *[NONE] * len(refused)), row.form))
            if row.form == "group" and not row.cells:
                rows[-1] = row
    return Table("Characteristics of the cases", head, tuple(rows), tuple(_notes(view, rows)))


def spread_text(found: Mapping[str, Any], decimals: int) -> str:
    """Return mean and SD, and median with quartiles where there are any."""
    text = fixed(found.get("mean"), decimals)
    if is_number(found.get("sd")):
        text += f" ({fixed(found['sd'], decimals)})"
    quarters = median_text(found, decimals)
    return f"{text}\n{quarters}" if quarters else text


def median_text(found: Mapping[str, Any], decimals: int) -> str:
    """Return "median [quartile, quartile]", or nothing; a dash for what was not found."""
    at = quantiles_of(found)
    if not at.keys() & set(_QUARTERS):
        return ""
    first, median, third = (fixed(at.get(q), decimals) for q in _QUARTERS)
    return median if first == third == NONE else f"{median} [{first}, {third}]"


def quantiles_of(found: Mapping[str, Any]) -> dict[float, float]:
    """Return the quantiles of a column by their fraction."""
    return {
        round(float(q["at"]), 6): float(q["value"])
        for q in found.get("quantiles", ())
        if is_number(q.get("value"))
    }


def _size(values: Mapping[str, Any]) -> str:
    n, n_patients = values.get("n"), values.get("n_patients")
    if n_patients is None or n_patients == n:
        return whole(n)
    return f"{whole(n)}\n{whole(n_patients)} patients"


def _rows(view: StepView, column: str) -> Iterator[Row]:
    found = {part: values["columns"].get(column, {}) for part, values in view.parts.items()}
    if any("levels" in entry for entry in found.values()):
        yield from _category(view, column, found)
    else:
        yield from _number(view, column, found)


def _number(view: StepView, column: str, found: Mapping[str, Mapping[str, Any]]) -> Iterator[Row]:
    whole_numbers = getattr(view.column(column), "type", "") == "integer"
    spreads = [e["sd"] for e in found.values() if is_number(e.get("sd"))]
    decimals = 1 if whole_numbers else decimals_for(min(spreads, default=None))
    yield Row(view.label(column), form="group")
    means = tuple(_mean(entry, decimals) for entry in found.values())
    yield Row("mean (SD)", means, "level")
    at = 0 if whole_numbers else decimals
    medians = tuple(median_text(entry, at) or NONE for entry in found.values())
    if getattr(view.column(column), "range", None) and set(_QUARTERS) & set(view.step.quantiles):
        yield Row(_MEDIAN, medians, "level")
    if any(entry.get("missing") for entry in found.values()):
        cells = tuple(whole(entry.get("missing")) for entry in found.values())
        yield Row("missing", cells, "level")


def _mean(entry: Mapping[str, Any], decimals: int) -> str:
    if not is_number(entry.get("mean")):
        return HIDDEN if entry and entry.get("n") is None else NONE
    sd = f" ({fixed(entry['sd'], decimals)})" if is_number(entry.get("sd")) else ""
    return fixed(entry["mean"], decimals) + sd


def _category(view: StepView, column: str, found: Mapping[str, Mapping[str, Any]]) -> Iterator[Row]:
    printed = _printed(view, found)
    levels = next(iter(found.values()))["levels"]
    yield Row(f"{view.label(column)}, n (%)", form="group")
    for level in levels:
        cells = tuple(_level(found[part], level, part in printed) for part in found)
        yield Row(str(level), cells, "level")
    if any(entry.get("missing") for part, entry in found.items() if part in printed):
        cells = tuple(
            whole(entry.get("missing")) if part in printed else NONE
            for part, entry in found.items()
        )
        yield Row("missing", cells, "level")


def _level(entry: Mapping[str, Any], level: str, printed: bool) -> str:
    if not printed:
        return HIDDEN
    n = entry["levels"].get(level)
    return HIDDEN if n is None else share(n, entry.get("n"))


def _printed(view: StepView, found: Mapping[str, Mapping[str, Any]]) -> tuple[str, ...]:
    """Return the parts whose counts can stand on one page, see `suppression`."""
    roster = view.record.run.roster
    order = sorted(
        found,
        key=lambda part: (part.startswith("site."), -float(view.parts[part].get("n") or 0)),
    )
    parts = {
        part: Counts(view.sites(part), found[part]["levels"], found[part].get("n"))
        for part in order
    }
    shown = {counts.sites for counts in parts.values()}
    kept = [view.sites(part) for part in (*view.refused, *view.spared)]
    known = frozenset(roster.sites)
    return printable_counts(parts, [s for s in kept if s <= known and s not in shown])


def _notes(view: StepView, rows: Sequence[Row]) -> Iterator[str]:
    cells = {cell for row in rows for cell in row.cells}
    yield "SD: standard deviation. IQR: first and third quartile of the cases."
    quarters = [cell for row in rows if row.head == _MEDIAN for cell in row.cells]
    if any(NONE in cell or "[" not in cell for cell in quarters):
        yield (
            f"A median or quartile is missing where no narrow range holds it with {SMALLEST_CELL} "
            "patients in it, below it and above it: it would tell of single patients."
        )
    if HIDDEN in cells:
        yield (
            f"Hidden: a count of fewer than {SMALLEST_CELL} patients, or one that would "
            "give such a count away by subtraction."
        )
    if view.refused:
        yield "Not released: the site's policy does not let these numbers out."
