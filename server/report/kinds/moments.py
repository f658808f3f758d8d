"""The shape of distributions, a line a column."""

from collections.abc import Iterator, Mapping
from typing import Any

from server.report.blocks import Block, Row, Table
from server.report.classifiers import more_words
from server.report.numbers import decimals_for, fixed, p_value, whole
from server.report.view import StepView
from server.report.words import adjusted_heading, listed

_MOST = 100
_NOTES = (
    "Of a normal distribution skewness and excess kurtosis are 0; a skewness above 0 is a long "
    "tail to the right.",
    "K\N{SUPERSCRIPT TWO} and p: D'Agostino and Pearson's test of normality, from 20 cases on; a "
    "small p says that the values are not normal.",
)


def sentence(view: StepView) -> str:
    """Say whose shape is described."""
    names = [view.label(c, unit=False) for c in view.step.of]
    if len(names) > 6:
        names = [*names[:5], f"{len(names) - 5} more columns"]
    return f"The shape of the distribution of {listed(names)}, and whether it is normal."


def blocks(view: StepView) -> Iterator[Block]:
    """Return one table for each part."""
    for part, values in view.parts.items():
        columns = values["columns"]
        adjusted = values.get("correction", "none") != "none"
        head = ["", "n", "Missing", "Mean (SD)", "Skewness", "Excess kurtosis"]
        head += ["K\N{SUPERSCRIPT TWO}", "p"]
        if adjusted:
            head.append(adjusted_heading(values["correction"]))
        rows = tuple(
            Row(view.label(name), _cells(found, adjusted=adjusted))
            for name, found in list(columns.items())[:_MOST]
        )
        notes = (
            *_NOTES,
            *view.notes(list(columns.items())[:_MOST]),
            *more_words(len(rows), len(columns)),
        )
        title = f"Shape of distributions, {view.title(part)} (n = {whole(values.get('n'))})"
        yield Table(title, tuple(head), rows, notes)


def _cells(found: Mapping[str, Any], *, adjusted: bool) -> tuple[str, ...]:
    decimals = decimals_for(found.get("sd"))
    cells = [
        whole(found.get("n")),
        whole(found.get("missing")),
        f"{fixed(found.get('mean'), decimals)} ({fixed(found.get('sd'), decimals)})",
        fixed(found.get("skewness"), 2),
        fixed(found.get("excess_kurtosis"), 2),
        fixed(found.get("k_squared"), 2),
        p_value(found.get("p")),
    ]
    return (*cells, p_value(found.get("p_adjusted"))) if adjusted else tuple(cells)
