"""Net benefit of acting on a score, beside treating everybody and nobody."""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from matplotlib.figure import Figure as Canvas

from server.report import charts
from server.report.blocks import Block, Figure, Row, Table
from server.report.kinds.roc import (
    counts_words,
    outcome_words,
    panels_height,
    panels_of,
    without_scores,
)
from server.report.numbers import NONE, fixed, interval, is_number
from server.report.score_names import score_names
from server.report.view import StepView
from server.report.words import listed

Values = Mapping[str, Any]
_SHOWN = (0.1, 0.2, 0.3, 0.4, 0.5)
_FEW = 6  # thresholds that all have a column
_NEAR = 0.05  # how far from a column's threshold the nearest one shown may lie
_ELSEWHERE = "\nat "


def sentence(view: StepView) -> str:
    """Say whose net benefit is computed."""
    scores = listed(list(score_names(view, view.step.scores).values()))
    return f"Decision curves: the net benefit of acting on {scores} for {outcome_words(view)}."


def blocks(view: StepView) -> Iterator[Block]:
    """Return curves and a table at a few thresholds."""
    drawn = {part: v for part, v in view.parts.items() if v.get("scores")}
    if drawn:
        yield _figure(view, drawn)
        yield _table(view, drawn)
    yield from without_scores(view)


def _figure(view: StepView, parts: Mapping[str, Values]) -> Figure:
    names = score_names(view, view.step.scores)

    def paint(canvas: Canvas) -> None:
        panels = panels_of(canvas, parts, view)
        for part, axes in panels.items():
            values = parts[part]
            top, last = 0.0, 0.1
            for i, (name, curve) in enumerate(values["scores"].items()):
                drawn = curve["threshold"], curve["net_benefit"]
                axes.plot(*drawn, label=names[name], **charts.style_of(i))
                top = max([top, *curve["net_benefit"]])
                last = max([last, *curve["threshold"]])
            all_ = values["all"]
            top = max(top, all_["net_benefit"][0])
            axes.plot(
                all_["threshold"],
                all_["net_benefit"],
                color=charts.FAINT,
                lw=1.2,
                label="act on all",
            )
            axes.axhline(0, color=charts.INK, lw=1.0, label="act on none")
            axes.set(xlim=(0, min(1.0, last + 0.05)), ylim=(-0.15 * top - 0.01, 1.1 * top + 0.01))
            axes.set_xlabel("threshold probability")
            axes.set_ylabel("net benefit")
            charts.grid(axes)
        charts.below(canvas, list(panels.values()))

    return charts.draw(
        view.figure_name("decision"),
        f"Decision curves for {outcome_words(view)}",
        f"Net benefit over threshold probabilities; {counts_words(next(iter(parts.values())))}.",
        paint,
        height=panels_height(parts),
        caption=f"Decision curves for {outcome_words(view)}. A score is of use where its curve is "
        "above both acting on all and acting on none. To show no group of fewer than five, "
        "thresholds with too few patients between them are left out: a curve runs straight "
        "across them, and ends before them.",
    )


def _table(view: StepView, parts: Mapping[str, Values]) -> Table:
    rows, names, columns = [], score_names(view, view.step.scores), _columns(parts)
    for part, values in parts.items():
        rows.append(Row(f"{view.title(part)} ({counts_words(values)})", form="group"))
        for name, curve in values["scores"].items():
            cells = tuple(_at(curve, t) for t in columns)
            rows.append(Row(names[name], cells, "level"))
        rows.append(Row("act on all", tuple(_at(values["all"], t) for t in columns), "level"))
    texts = {cell for row in rows for cell in row.cells}
    notes = []
    if any(_ELSEWHERE in cell for cell in texts):
        notes.append(
            "Where a threshold stands below a number: that is the nearest one that can be shown; "
            "at the column's own it would tell of fewer than five patients."
        )
    if NONE in texts:
        notes.append(f"{NONE}: no threshold that can be shown within {_NEAR:g} of it.")
    head = ("Net benefit at threshold", *(f"{t:g}" for t in columns))
    return Table("Net benefit", head, tuple(rows), tuple(notes))


def _columns(parts: Mapping[str, Values]) -> tuple[float, ...]:
    """Return thresholds for a table: all if few were asked for, else round ones of them."""
    grid = sorted({t for values in parts.values() for t in values["all"]["threshold"]})
    if len(grid) <= _FEW:
        return tuple(grid)
    curves = [curve for values in parts.values() for curve in values["scores"].values()]
    reach = max((t for curve in curves for t in curve["threshold"]), default=1.0) + _NEAR
    some = tuple(t for t in _SHOWN if np.isclose(grid, t, rtol=0, atol=1e-9).any())
    if len(some) < 3:
        at = np.unique(np.linspace(0, len(grid) - 1, 5).round().astype(int))
        some = tuple(grid[i] for i in at.tolist())
    return tuple(t for t in some if t <= reach) or some


def _at(curve: Values, threshold: float) -> str:
    """Return the net benefit at a threshold, or at the nearest that is shown and near."""
    shown = np.asarray(curve["threshold"], np.float64)
    off = np.abs(shown - threshold)
    if not off.size or off.min() > _NEAR:
        return NONE
    i = int(np.argmin(off))
    text = fixed(curve["net_benefit"][i], 3)
    if "ci_low" in curve and is_number(curve["ci_low"][i]):
        text += f"\n{interval(curve['ci_low'][i], curve['ci_high'][i], 3)}"
    return text if off[i] < 1e-9 else f"{text}{_ELSEWHERE}{shown[i]:g}"
