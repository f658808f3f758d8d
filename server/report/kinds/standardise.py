"""z-scores: by which mean and standard deviation each column was scaled."""

from collections.abc import Iterator, Mapping
from typing import Any

from server.report.blocks import Block, Row, Table
from server.report.classifiers import more_words
from server.report.numbers import decimals_for, fixed, plural, whole
from server.report.view import StepView

_MOST = 60


def sentence(view: StepView) -> str:
    """Say what becomes of which columns."""
    n = plural(len(view.step.of), "column")
    text = f"Make z-scores of {n}: each value in standard deviations from the mean of all cases."
    if view.step.folds:
        text += f" Again by the cases outside each of {view.step.folds} folds."
    return text


def blocks(view: StepView) -> Iterator[Block]:
    """Return one table for each part."""
    for part, values in view.parts.items():
        columns = values["columns"]
        rows = tuple(
            Row(view.label(name), tuple(_cells(found)))
            for name, found in list(columns.items())[:_MOST]
        )
        notes = [
            f'Later steps read the z-scores as "{view.name}." and the column; '
            "z = (value \N{MINUS SIGN} mean) / SD.",
            *_constant(view, columns),
            *view.notes(list(columns.items())[:_MOST]),
            *more_words(len(rows), len(columns)),
        ]
        title = f"Scale of z-scores, {view.title(part)} (n = {whole(values.get('n'))})"
        yield Table(title, ("", "n", "Mean", "SD"), rows, tuple(notes))


def _cells(found: Mapping[str, Any]) -> Iterator[str]:
    decimals = decimals_for(found.get("sd"))
    yield whole(found.get("n"))
    yield fixed(found.get("mean"), decimals)
    yield fixed(found.get("sd"), decimals)


def _constant(view: StepView, columns: Mapping[str, Any]) -> Iterator[str]:
    flat = [
        view.label(name, unit=False)
        for name, found in columns.items()
        if not (found.get("sd") or found.get("note"))
    ]
    if flat:
        shown = ", ".join(flat[:10]) + (f" and {len(flat) - 10} more" if len(flat) > 10 else "")
        yield f"Without spread, so that every z-score is 0: {shown}."
