"""Table 1: who is in the study, a column for each part or group, small counts hidden."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any, TypeAlias

from common.analyses.publish import SMALLEST_CELL
from server.report.beside import told_by_others
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


Entries: TypeAlias = Mapping[str, Mapping[str, Any]]
"""What is told of one column in each column of the table."""
_Kept: TypeAlias = Collection[tuple[str, str]]
_OVERALL = ""


def tables_one(view: StepView, columns: Sequence[str]) -> Iterator[Table]:
    """Yield a table of columns by part, or, of a step by groups, one for each part."""
    if getattr(view.step, "by", None) is None:
        yield _by_part(view, columns)
        return
    groups = [*next(iter(view.parts.values()))["groups"]]
    printed = {(c, g): _printed_of(view, c, g) for c in columns for g in (_OVERALL, *groups)}
    sizes = {part: _sizes(values) for part, values in view.parts.items()}
    told = _printed(view, view.step.by, sizes)
    for part in view.parts:
        kept = {at for at, parts in printed.items() if part in parts}
        yield _by_group(view, columns, part, groups if part in told else (), kept)


def _by_part(view: StepView, columns: Sequence[str]) -> Table:
    """Return a table of columns by part; refused parts keep their place."""
    parts = [*view.parts]
    refused = [part for part in view.refused if part not in parts]
    head = ("", *(view.title(part) for part in (*parts, *refused)))
    first = [_size(view.parts[part]) for part in parts] + ["not released"] * len(refused)
    rows = [Row("Cases", tuple(first), "total")]
    for column in columns:
        found = {part: values["columns"].get(column, {}) for part, values in view.parts.items()}
        printed = _printed(view, column, found) if _is_counted(found) else parts
        for row in _rows(view, column, found, printed):
            rows.append(Row(row.head, (*row.cells, *[NONE] * len(refused)), row.form))
            if row.form == "group" and not row.cells:
                rows[-1] = row
    notes = _notes(rows, len(parts), refused=bool(refused))
    return Table("Characteristics of the cases", head, tuple(rows), tuple(notes))


def _by_group(
    view: StepView, columns: Sequence[str], part: str, groups: Sequence[str], kept: _Kept
) -> Table:
    """Return a table of one part, by group.

    Args:
        view: of the step.
        columns: its rows.
        part: whose cases it is of.
        groups: none where they cannot stand beside those of the other parts.
        kept: the columns, each with a group, whose counts can.
    """
    values, by = view.parts[part], view.label(view.step.by, unit=False)
    of = {_OVERALL: values, **{name: values["groups"][name] for name in groups}}
    sizes = [whole(of[g]["n"]) if is_number(of[g]["n"]) else HIDDEN for g in groups]
    rows = [Row("Cases", (_size(values), *sizes), "total")]
    for column in columns:
        found = {name: one["columns"][column] for name, one in of.items()}
        rows += _rows(view, column, found, [name for name in of if (column, name) in kept])
    notes = [*_notes(rows, len(of)), *_lacking(values, by)]
    if not groups:
        notes.append("The groups are not shown: beside other parts they would tell of few.")
    title = f"Characteristics of the cases by {by}, {view.title(part)}"
    return Table(title, ("", "Overall", *(f"{by}: {g}" for g in groups)), tuple(rows), tuple(notes))


def _printed_of(view: StepView, column: str, group: str) -> tuple[str, ...]:
    """Return the parts whose counts of a column in a group can stand on one page."""
    found = {
        part: (values if group == _OVERALL else values["groups"][group])["columns"][column]
        for part, values in view.parts.items()
    }
    return _printed(view, column, found) if _is_counted(found) else (*found,)


def _sizes(values: Mapping[str, Any]) -> dict[str, Any]:
    levels = {name: of["n"] for name, of in values["groups"].items()}
    return {"levels": levels, "n": values["n"]}


def _lacking(values: Mapping[str, Any], by: str) -> Iterator[str]:
    if values["lacking"] != 0:
        n = f"fewer than {SMALLEST_CELL}" if values["lacking"] is None else whole(values["lacking"])
        yield f"Not in the table: {n} cases without {by}, which are of no group."


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


def _is_counted(found: Entries) -> bool:
    return any("levels" in entry for entry in found.values())


def _rows(view: StepView, column: str, found: Entries, printed: Collection[str]) -> Iterator[Row]:
    """Yield the rows of a column.

    Args:
        view: of the step.
        column: of the study.
        found: what is told of it in each column of the table.
        printed: those whose counts can be printed.
    """
    if not _is_counted(found):
        yield from _number(view, column, found)
    elif getattr(view.column(column), "type", "") == "category":
        yield from _category(view, column, found, printed)
    else:
        ones = tuple(_level(entry, "1", at in printed) for at, entry in found.items())
        yield Row(f"{view.label(column)}, n (%)", ones)
        yield from _missing(found, printed)


def _number(view: StepView, column: str, found: Entries) -> Iterator[Row]:
    whole_numbers = getattr(view.column(column), "type", "") == "integer"
    spreads = [e["sd"] for e in found.values() if is_number(e.get("sd"))]
    decimals = 1 if whole_numbers else decimals_for(min(spreads, default=None))
    yield Row(view.label(column), form="group")
    means = tuple(_mean(entry, decimals) for entry in found.values())
    yield Row("mean (SD)", means, "level")
    at = 0 if whole_numbers else decimals
    medians = tuple(_median(entry, at) for entry in found.values())
    if getattr(view.column(column), "range", None) and set(_QUARTERS) & set(view.step.quantiles):
        yield Row(_MEDIAN, medians, "level")
    yield from _missing(found, found)


def _missing(found: Entries, printed: Collection[str]) -> Iterator[Row]:
    told = {at: entry.get("missing") for at, entry in found.items() if at in printed}
    if any(told.values()):
        cells = (whole(told[at]) if is_number(told.get(at)) else HIDDEN for at in found)
        yield Row("missing", tuple(cells), "level")


def _median(entry: Mapping[str, Any], decimals: int) -> str:
    if entry and not is_number(entry.get("mean")) and entry.get("n") is None:
        return HIDDEN
    return median_text(entry, decimals) or NONE


def _mean(entry: Mapping[str, Any], decimals: int) -> str:
    if not is_number(entry.get("mean")):
        return HIDDEN if entry and entry.get("n") is None else NONE
    sd = f" ({fixed(entry['sd'], decimals)})" if is_number(entry.get("sd")) else ""
    return fixed(entry["mean"], decimals) + sd


def _category(
    view: StepView, column: str, found: Entries, printed: Collection[str]
) -> Iterator[Row]:
    levels = next(iter(found.values()))["levels"]
    yield Row(f"{view.label(column)}, n (%)", form="group")
    for level in levels:
        cells = tuple(_level(entry, level, at in printed) for at, entry in found.items())
        yield Row(str(level), cells, "level")
    yield from _missing(found, printed)


def _level(entry: Mapping[str, Any], level: str, printed: bool) -> str:
    if not printed:
        return HIDDEN
    n = entry["levels"].get(level)
    return HIDDEN if n is None else share(n, entry.get("n"))


def _printed(view: StepView, column: str, found: Entries) -> tuple[str, ...]:
    """Return the parts whose counts can stand on one page, see `suppression`.

    What another step tells anyway is kept longest.
    """
    roster, told = view.record.run.roster, told_by_others(view, column)

    def worth(part: str) -> tuple[bool, bool, float]:
        n = float(view.parts[part].get("n") or 0)
        return part not in told, part.startswith("site."), -n

    order = sorted(found, key=worth)
    parts = {
        part: Counts(view.sites(part), found[part]["levels"], found[part].get("n"))
        for part in order
    }
    levels = {*next(iter(found.values()))["levels"]}
    others = {
        f"{part} elsewhere": Counts(view.sites(part), counts, None)
        for part, counts in told.items()
        if part not in found and {*counts} == levels
    }
    parts = {**others, **parts}
    shown = {counts.sites for counts in parts.values()}
    kept = [view.sites(part) for part in (*view.refused, *view.spared)]
    known = frozenset(roster.sites)
    kept = [s for s in kept if s <= known and s not in shown]
    return tuple(part for part in printable_counts(parts, kept) if part in found)


def _notes(rows: Sequence[Row], n_told: int, *, refused: bool = False) -> Iterator[str]:
    cells = {cell for row in rows for cell in row.cells}
    yield "SD: standard deviation. IQR: first and third quartile of the cases."
    quarters = [cell for row in rows if row.head == _MEDIAN for cell in row.cells[:n_told]]
    if any(cell != HIDDEN and (NONE in cell or "[" not in cell) for cell in quarters):
        yield (
            f"A median or quartile is missing where no narrow range holds it with {SMALLEST_CELL} "
            "patients in it, below it and above it: it would tell of single patients."
        )
    if HIDDEN in cells:
        yield (
            f"Hidden: a count of fewer than {SMALLEST_CELL} patients, a number of so few, or what "
            "would give either away by subtraction."
        )
    if refused:
        yield "Not released: the site's policy does not let these numbers out."
