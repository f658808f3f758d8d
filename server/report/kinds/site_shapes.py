"""How columns are distributed at each site: the columns in which sites differ most."""

from collections.abc import Iterator, Mapping
from functools import partial
from itertools import combinations
from typing import Any

import numpy as np
from matplotlib.figure import Figure as Canvas
from numpy.typing import NDArray

from server.report.blocks import Block, Row, Table, Text
from server.report.charts import COLOURS, LINES, draw, grid
from server.report.numbers import significant, whole
from server.report.view import StepView

_MOST = 9  # panels
_ENDS_SD = 2.5  # where the outermost bins begin, as the analysis lays them

Floats = NDArray[np.float64]


def sentence(view: StepView) -> str:
    """Say what leaves, and with how much noise."""
    step = view.step
    return (
        f"Every site counts its values of {whole(len(step.of))} columns in {step.bins} bins, in "
        f"standard deviations of all sites, and adds random noise: what one patient changes of a "
        f"column is hidden with epsilon {step.epsilon:g}."
    )


def blocks(view: StepView) -> Iterator[Block]:
    """Return the distributions in a picture, and how many cases stand behind them."""
    if not view.parts:
        return
    shares = {part: _shares(values["columns"]) for part, values in view.parts.items()}
    names = [*next(iter(view.parts.values()))["columns"]]
    order = _farthest(shares)[:_MOST]
    yield draw(
        view.figure_name("sites"),
        "Distributions at each site",
        "A panel a column, a line a site.",
        partial(_paint, view=view, shares=shares, shown=[(int(i), names[i]) for i in order]),
        height=0.5 + 1.75 * -(-len(order) // 3),
        caption=f"Share of a site's cases, by standard deviations from the mean of all sites, of "
        f"the {len(order)} columns of {len(names)} in which sites differ most. The outermost bins "
        "are open. Counts have noise, so small steps mean nothing.",
    )
    a = np.exp(-view.step.epsilon / 2)
    sd = float(np.sqrt(2 * a) / (1 - a))
    rows = tuple(
        Row(view.title(part), (whole(values["n"]),)) for part, values in view.parts.items()
    )
    yield Table("Cases behind the distributions", ("Site", "Cases"), rows)
    yield Text(f"The noise on every count has a standard deviation of {significant(sd)} cases.")


def _shares(columns: Mapping[str, list[int]]) -> Floats:
    """Return shares, shape (columns, bins); a count that noise made negative is nothing."""
    counts: Floats = np.maximum(np.array([*columns.values()], float), 0.0)
    shares: Floats = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1.0)
    return shares


def _farthest(shares: Mapping[str, Floats]) -> NDArray[np.int64]:
    """Return the columns, those first whose cumulative shares differ most between two sites."""
    first = next(iter(shares.values()))
    apart = np.zeros(len(first))
    for a, b in combinations(shares.values(), 2):
        apart = np.maximum(apart, np.abs(np.cumsum(a - b, axis=1)).sum(axis=1))
    return np.argsort(-apart, kind="stable")


def _paint(
    canvas: Canvas, view: StepView, shares: Mapping[str, Floats], shown: list[tuple[int, str]]
) -> None:
    n_rows = -(-len(shown) // 3)
    panels: Any = canvas.subplots(n_rows, 3, squeeze=False, sharex=True)
    for axes in panels.flat[len(shown) :]:
        axes.set_axis_off()
    for axes, (i, name) in zip(panels.flat, shown, strict=False):
        for k, (part, of) in enumerate(shares.items()):
            width = 2 * _ENDS_SD / (of.shape[1] - 2)
            edges = np.linspace(-_ENDS_SD - width, _ENDS_SD + width, of.shape[1] + 1)
            look = {"color": COLOURS[k % len(COLOURS)], "linestyle": LINES[k % len(LINES)]}
            axes.stairs(of[i], edges, label=view.title(part), linewidth=1.2, **look)
        axes.set_title(_folded(view.label(name, unit=False)), fontsize=6.5)
        axes.set_ylim(bottom=0)
        grid(axes, "y")
    handles, labels = panels.flat[0].get_legend_handles_labels()
    canvas.legend(handles, labels, loc="outside lower center", ncols=min(6, len(labels)))


def _folded(label: str) -> str:
    """Put the feature's own name below the image's."""
    head, _, tail = label.rpartition(" ")
    return f"{head}\n{tail}" if head else label
