"""Prototypes: how many of each class, how large, and which columns part them."""

from collections.abc import Iterator, Mapping
from typing import Any

from server.report.blocks import Block, Note, Row, Table
from server.report.classifiers import bars, cases_words, largest, more_words, predicts
from server.report.numbers import fixed, is_number, plural, whole
from server.report.view import StepView

_MOST = 40
_CLASSES = (("prototypes_events", "Events"), ("prototypes_non_events", "Others"))


def sentence(view: StepView) -> str:
    """Say what is predicted from what."""
    return predicts(view, "the nearness of prototypes, centres of like cases within each class")


def blocks(view: StepView) -> Iterator[Block]:
    """Return for each part the prototypes of both classes, and the columns by what they tell."""
    for part, values in view.parts.items():
        if values.get("note") or "explained" not in values:
            yield Note(f"{view.title(part)}: {values.get('note') or 'no fit'}.", "warn")
        if "explained" not in values:
            continue
        yield _sizes(view, part, values)
        if top := largest(values["explained"]):
            yield bars(
                view,
                part,
                "Variance explained",
                top,
                caption="Share of a column's variance that lies between prototypes: the "
                f"{plural(len(top), 'column')} of most. A column of little share hardly tells "
                "prototypes apart.",
            )
        yield _columns(view, part, values)


def _sizes(view: StepView, part: str, values: Mapping[str, Any]) -> Table:
    rows = tuple(
        Row(name, (whole(len(values[key])), ", ".join(map(whole, values[key])) or "none"))
        for key, name in _CLASSES
    )
    note = "A prototype is the mean of the cases it stands for, at least five."
    title = f"Prototypes, {view.title(part)}: {cases_words(values)}"
    return Table(title, ("", "Prototypes", "Cases each stands for"), rows, (note,))


def _columns(view: StepView, part: str, values: Mapping[str, Any]) -> Table:
    found = [(name, v) for name, v in values["explained"].items() if is_number(v)]
    rows = tuple(Row(view.label(name), (f"{fixed(100 * v, 1)} %",)) for name, v in found[:_MOST])
    title = f"Columns by what tells prototypes apart, {view.title(part)}"
    return Table(title, ("", "Variance explained"), rows, more_words(len(rows), len(found)))
