"""Trees: which columns they lean on."""

from collections.abc import Iterator, Mapping
from typing import Any

from server.report.blocks import Block, Note, Text
from server.report.classifiers import bars, largest
from server.report.numbers import plural, whole
from server.report.view import StepView


def blocks(view: StepView) -> Iterator[Block]:
    """Return for each part a picture of the most important columns."""
    for part, values in view.parts.items():
        top = largest(values.get("importance", {}))
        if not top:
            yield Note(f"{view.title(part)}: {values.get('note') or 'no split was found'}.", "warn")
            continue
        said = f"Share of all gain by splits, the {plural(len(top), 'column')} with the largest."
        yield bars(view, part, "Importance", top, caption=said)
        yield Text(_about(view, part, values))


def _about(view: StepView, part: str, values: Mapping[str, Any]) -> str:
    text = f"{view.title(part)}: {whole(values.get('trees'))} trees on {whole(values['n'])} cases"
    if values.get("events") is not None:
        text += f" ({whole(values['events'])} events)"
    return text + "."
