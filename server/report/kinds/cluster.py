"""Groups of patients: what they are like as a heat map, and whether they go with an outcome."""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from matplotlib.figure import Figure as Canvas

from server.report.blocks import Block, Items, Row, Table, Text
from server.report.charts import draw
from server.report.numbers import NONE, fixed, told_p, whole
from server.report.view import StepView

_MOST = 60  # rows of a heat map that can still be read


def blocks(view: StepView) -> Iterator[Block]:
    """Return sizes, a heat map of the group means, separation, and the comparison."""
    for part, values in view.parts.items():
        if values.get("note"):
            yield Text(str(values["note"]))
        for k, found in values.get("k", {}).items():
            yield from _one(view, part, k, found)


def _one(view: StepView, part: str, k: str, found: Mapping[str, Any]) -> Iterator[Block]:
    sizes = ", ".join(f"group {name}: {whole(n)}" for name, n in found["sizes"].items())
    yield Items(tuple(_separation(found, sizes)))
    z = found.get("z", {})
    if len(z) > 1:
        columns = _ordered(z)
        yield draw(
            view.figure_name(part, k),
            f"Means of {k} groups",
            "A row a feature, a column a group; red above the mean of all, blue below.",
            lambda canvas: _paint(canvas, view, z, columns),
            height=1.2 + 0.16 * len(columns),
            caption=f"Mean of each feature in each group, in standard deviations from the mean of "
            f"all, {view.title(part)}. Features are ordered by how much the groups differ"
            f"{'' if len(columns) == len(next(iter(z.values()))) else '; the most different'}. "
            "No patient is shown: values of single patients leave no site.",
        )
    if "against" in found:
        yield from _against(view, part, found["against"])


def _separation(found: Mapping[str, Any], sizes: str) -> Iterator[tuple[str, str]]:
    yield "Cases", sizes
    yield "Variance explained", fixed(found.get("explained"), 2)
    yield "Silhouette (simplified)", fixed(found.get("silhouette"), 2)
    if "ward" in found:
        yield (
            "Agreement with Ward's method (adjusted Rand)",
            fixed(found["ward"]["adjusted_rand"], 2),
        )


def _ordered(z: Mapping[str, Mapping[str, float]]) -> list[str]:
    rows = np.array([[v or 0.0 for v in of.values()] for of in z.values()], float)
    columns = [*next(iter(z.values()))]
    order = np.argsort(rows[-1] - rows[0])
    apart = rows.max(axis=0) - rows.min(axis=0)
    kept = set(np.argsort(-apart)[:_MOST].tolist())
    return [columns[i] for i in order if int(i) in kept]


def _paint(
    canvas: Canvas, view: StepView, z: Mapping[str, Mapping[str, float]], columns: list[str]
) -> None:
    values = np.array([[of[c] or 0.0 for of in z.values()] for c in columns], float)
    top = max(0.5, float(np.abs(values).max()))
    axes = canvas.add_subplot()
    shown = axes.imshow(values, cmap="RdBu_r", vmin=-top, vmax=top, aspect="auto")
    axes.set_xticks(range(len(z)), [f"group {name}" for name in z])
    names = [view.label(c, unit=False).split(".", 1)[-1] for c in columns]
    axes.set_yticks(range(len(columns)), names, fontsize=6)
    axes.tick_params(length=0)
    canvas.colorbar(shown, ax=axes, label="SD from the mean", shrink=0.6)


def _against(view: StepView, part: str, found: Mapping[str, Any]) -> Iterator[Block]:
    outcome = view.label(view.step.against, unit=False)
    counts = found["counts"]
    if isinstance(counts, dict) and all(isinstance(row, dict) for row in counts.values()):
        head = ("Group", *next(iter(counts.values())))
        rows = tuple(Row(str(name), tuple(map(_cell, of.values()))) for name, of in counts.items())
        yield Table(f"Groups and {outcome}, {view.title(part)}", head, rows)
    entries = [("Adjusted Rand index", fixed(found["adjusted_rand"], 2))]
    for test in ("chi_square", "fisher"):
        p = told_p(found.get(test) or {})
        if p != NONE:
            entries.append((f"{test.replace('_', '-')} p", p))
    yield Items(tuple(entries))


def _cell(value: Any) -> str:
    return whole(value) if isinstance(value, int | float) else "fewer than 5"
