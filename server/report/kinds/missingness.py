"""Which values are missing, and which are missing together."""

from collections.abc import Iterator, Mapping
from typing import Any

from server.report.blocks import Block, Row, Table
from server.report.numbers import is_number, share, whole
from server.report.table_one import HIDDEN
from server.report.view import StepView
from server.report.words import listed

_MOST = 100
_NOTE = f"{HIDDEN.capitalize()}: one to four values are missing, or one to four are there."


def blocks(view: StepView) -> Iterator[Block]:
    """Return for each part a table of columns, and one of what is missing together."""
    for part, values in view.parts.items():
        yield _columns(view, part, values)
        if values.get("patterns"):
            yield _patterns(view, part, values)


def _columns(view: StepView, part: str, values: Mapping[str, Any]) -> Table:
    columns = values["columns"]
    groups = list(next(iter(columns.values()), {}))
    head = ["", *("Missing" if g == "all" else f"Missing: {g}" for g in groups)]
    rows = [
        Row(view.label(name, unit=False), tuple(_missing(found[g]) for g in groups))
        for name, found in list(columns.items())[:_MOST]
    ]
    notes = [_NOTE] if any(HIDDEN in row.cells for row in rows) else []
    if len(columns) > _MOST:
        notes.append(f"And {len(columns) - _MOST} more columns: see answers.json.")
    title = f"Missing values, {view.title(part)} (n = {whole(values['n'])})"
    return Table(title, tuple(head), tuple(rows), tuple(notes))


def _missing(found: Mapping[str, Any]) -> str:
    return share(found["missing"], found["n"]) if is_number(found["n"]) else HIDDEN


def _patterns(view: StepView, part: str, values: Mapping[str, Any]) -> Table:
    rows = []
    for pattern in values["patterns"]:
        names = [view.label(name, unit=False) for name in pattern["missing"]]
        rows.append(Row(listed(names) if names else "nothing", (whole(pattern["n"]),)))
    if values.get("other"):
        rows.append(Row("other", (whole(values["other"]),)))
    return Table(f"Missing together, {view.title(part)}", ("", "Cases"), tuple(rows))
