"""How well scores order patients by survival."""

from collections.abc import Iterator
from typing import Any

from server.report.blocks import Block, Note, Row, Table
from server.report.numbers import fixed, is_number, whole
from server.report.view import StepView


def blocks(view: StepView) -> Iterator[Block]:
    """Return a table for each part."""
    for part, values in view.parts.items():
        if values.get("note"):
            yield Note(f"{view.title(part)}: {values['note']}.", "warn")
            continue
        rows = tuple(
            Row(
                view.label(name, unit=False),
                (
                    _across(of.get("across_sites")),
                    fixed(of["within_sites"]["estimate"], 3),
                    whole(of["within_sites"]["comparable_pairs"]),
                ),
            )
            for name, of in values["scores"].items()
        )
        events = whole(values["events"]) if is_number(values["events"]) else "few"
        title = f"{view.title(part)} (n = {whole(values['n'])}, {events} events)"
        head = ("Score", "C over all pairs", "C within sites", "Pairs within sites")
        note = "Harrell's C; over all pairs from a grid, with the most it can be off."
        yield Table(title, head, rows, (note,))


def _across(found: dict[str, Any] | None) -> str:
    if found is None:
        return "-"
    ends = f"{fixed(found['ci_low'], 3)} to {fixed(found['ci_high'], 3)}"
    return f"{fixed(found['estimate'], 3)} (bound {fixed(found['bound'], 3)})\n{ends}"
