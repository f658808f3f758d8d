"""What a histogram counts, and with how much noise: bars, and the counts as a table."""

from collections.abc import Iterator, Mapping
from itertools import pairwise
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Canvas

from server.report import charts
from server.report.blocks import Block, Figure, Note, Row, Table
from server.report.numbers import is_number, plural, significant, whole
from server.report.view import StepView
from server.report.words import listed

Values = Mapping[str, Any]
_MOST_PANELS = 6
_MOST_ROWS = 60


def sentence(view: StepView) -> str:
    """Say what is counted; with noise, what it costs a patient and how large it is."""
    names = listed([view.label(c, unit=False) for c in view.step.of])
    text = f"Count the values of {names} in bins"
    if view.step.by is not None:
        text += f", apart for the levels of {view.label(view.step.by, unit=False)}"
    if view.step.noise is None:
        return f"{text}; bins are merged until each holds nobody or at least five."
    noise = view.step.noise
    text += (
        f". Every site adds random noise to its counts before they leave: whether a patient was "
        f"there at all changes what is seen here by at most epsilon {noise.epsilon:g}, but for a "
        f"chance of {noise.delta:g} (delta). A patient counts once."
    )
    for part, values in view.parts.items():
        sd = values.get("noise", {}).get("sd")
        if is_number(sd):
            text += (
                f" {view.title(part)}: the noise on every count has a standard deviation of "
                f"{significant(sd)}, so differences below about {significant(2 * sd)} mean nothing."
            )
    return text


def blocks(view: StepView) -> Iterator[Block]:
    """Return for each part the bars of every column, and the counts."""
    for part, values in view.parts.items():
        columns = values["columns"]
        found = {name: of for name, of in columns.items() if of.get("counts")}
        if found:
            yield _figure(view, part, values, dict(list(found.items())[:_MOST_PANELS]))
        for name, of in found.items():
            yield _table(view, part, name, of)
        for name in columns.keys() - found.keys():
            yield Note(f"{view.title(part)}, {view.label(name)}: too few patients to show.", "warn")


def _figure(view: StepView, part: str, values: Values, columns: Mapping[str, Values]) -> Figure:
    sd = values.get("noise", {}).get("sd")
    n_columns = min(2, len(columns))
    n_rows = -(-len(columns) // n_columns)

    def paint(canvas: Canvas) -> None:
        panels = canvas.subplots(n_rows, n_columns, squeeze=False).ravel()
        for axes in panels[len(columns) :]:
            axes.set_visible(False)
        for axes, (name, of) in zip(panels, columns.items(), strict=False):
            _bars(view, axes, of, float(sd) if is_number(sd) else 0.0)
            axes.set_xlabel(view.label(name))
        if view.step.by is not None:
            charts.below(canvas, list(panels[: len(columns)]))

    about = f"{view.title(part)}, n = {whole(values.get('n'))}."
    if any(_uneven(of) for of in columns.values()):
        about += " Where bins differ in width, the area of a bar is its count."
    if is_number(sd):
        about += (
            f" Lines: two standard deviations ({significant(2 * sd)}) of the random noise on "
            "every count; a bar below zero is noise."
        )
    names = listed([view.label(name, unit=False) for name in columns])
    return charts.draw(
        view.figure_name("bars", part),
        f"Histogram, {view.title(part)}",
        f"Bars of how many have which value of {names}; the counts are in the table.",
        paint,
        height=0.5 + 2.4 * n_rows,
        caption=about,
    )


def _bars(view: StepView, axes: Axes, of: Values, sd: float) -> None:
    edges = np.array(of["edges"], float)
    width = np.diff(edges) if _uneven(of) else np.ones(len(edges) - 1)
    for i, (level, counts) in enumerate(of["counts"].items()):
        height, style = np.array(counts, float) / width, charts.style_of(i)
        label = None if view.step.by is None else f"{view.label(view.step.by, unit=False)}: {level}"
        axes.stairs(height, edges, fill=True, color=style["color"], alpha=0.25)
        axes.stairs(height, edges, label=label, lw=1.4, **style)
        if sd:
            middle = (edges[:-1] + edges[1:]) / 2
            axes.errorbar(middle, height, 2 * sd / width, fmt="none", ecolor=style["color"], lw=0.9)
    axes.axhline(0, color=charts.FAINT, lw=0.8)
    axes.set_ylabel("cases per unit of the column" if _uneven(of) else "cases")
    charts.grid(axes, "y")


def _uneven(of: Values) -> bool:
    width = np.diff(np.array(of["edges"], float))
    return bool(width.max() > 1.001 * width.min())


def _table(view: StepView, part: str, name: str, of: Values) -> Table:
    edges, levels = of["edges"], list(of["counts"])
    rows = tuple(
        Row(f"{_edge(low)} to {_edge(high)}", tuple(whole(of["counts"][g][k]) for g in levels))
        for k, (low, high) in enumerate(pairwise(edges))
    )
    by = "" if view.step.by is None else f"{view.label(view.step.by, unit=False)}: "
    head = ("Bin", *(f"{by}{g}" if by else "Cases" for g in levels))
    left = len(rows) - _MOST_ROWS
    notes = ["A value on the border of two bins is in the upper one."]
    if left > 0:
        notes.append(f"And {plural(left, 'more bin')}: see answers.json.")
    return Table(f"{view.label(name)}, {view.title(part)}", head, rows[:_MOST_ROWS], tuple(notes))


def _edge(value: float) -> str:
    return f"{value:g}".replace("-", "\N{MINUS SIGN}")
