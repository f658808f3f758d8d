"""How far the sites' distributions lie apart: a matrix, and the columns that differ most."""

from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

import numpy as np
from matplotlib.figure import Figure as Canvas

from server.report.blocks import Block, Row, Table
from server.report.charts import draw
from server.report.numbers import fixed
from server.report.view import StepView


def sentence(view: StepView) -> str:
    """Say what is compared."""
    return (
        f"The histograms of step {view.step.of} are compared between sites by the earth "
        "mover's distance, in standard deviations, mean over columns."
    )


def blocks(view: StepView) -> Iterator[Block]:
    """Return the matrix as a picture and the pairs as a table."""
    for part, values in view.parts.items():
        pairs = values["pairs"]
        yield draw(
            view.figure_name(part),
            "Distances between sites",
            "A matrix of sites; a darker cell is a larger distance.",
            partial(_paint, pairs=pairs),
            height=3.2,
            caption="Distance of the sites' distributions, in standard deviations; in brackets "
            "what two sites of one distribution would show by chance and noise.",
        )
        rows = tuple(
            Row(view.label(name, unit=False), (fixed(value, 2),))
            for name, value in values["farthest"].items()
        )
        yield Table("Columns with the largest distance of two sites", ("Column", "SD"), rows)


def _paint(canvas: Canvas, pairs: list[Mapping[str, Any]]) -> None:
    names = sorted({pair[key] for pair in pairs for key in "ab"})
    n = len(names)
    distance, chance = np.full((n, n), np.nan), np.full((n, n), np.nan)
    for pair in pairs:
        i, j = names.index(pair["a"]), names.index(pair["b"])
        distance[i, j] = distance[j, i] = pair["distance"]
        chance[i, j] = chance[j, i] = pair["by_chance"]
    axes = canvas.add_subplot()
    top = max(1.0, float(np.nanmax(distance)))
    axes.imshow(distance, cmap="Blues", vmin=0, vmax=top, aspect="auto")
    for i, j in np.argwhere(~np.isnan(distance)):
        text = f"{distance[i, j]:.2f}\n({chance[i, j]:.2f})"
        colour = "white" if distance[i, j] > 0.6 * top else "black"
        axes.text(j, i, text, ha="center", va="center", color=colour)
    axes.set_xticks(range(n), names)
    axes.set_yticks(range(n), names)
    axes.tick_params(length=0)
    for side in axes.spines.values():
        side.set_visible(False)
