"""Trees: which columns they lean on."""

from collections.abc import Iterator, Mapping
from typing import Any

from matplotlib.figure import Figure as Canvas

from server.report.blocks import Block, Note, Text
from server.report.charts import BLUE, draw, grid
from server.report.numbers import is_number, plural, whole
from server.report.view import StepView

_MOST = 15


def blocks(view: StepView) -> Iterator[Block]:
    """Return for each part a picture of the most important columns."""
    for part, values in view.parts.items():
        found = {c: v for c, v in values.get("importance", {}).items() if is_number(v) and v > 0}
        if not found:
            yield Note(f"{view.title(part)}: {values.get('note') or 'no split was found'}.", "warn")
            continue
        top = sorted(found.items(), key=lambda item: -item[1])[:_MOST]
        yield draw(
            view.figure_name(part, "importance"),
            f"Importance of columns, {view.title(part)}",
            "Bars: share of the gain in purity by column.",
            lambda canvas, top=top: _paint(canvas, view, top),  # type: ignore[misc]
            height=0.9 + 0.22 * len(top),
            caption=f"{view.title(part)}. Share of all gain by splits, the "
            f"{plural(len(top), 'column')} with the largest.",
        )
        yield Text(_about(view, part, values))


def _paint(canvas: Canvas, view: StepView, top: list[tuple[str, Any]]) -> None:
    axes = canvas.subplots()
    names = [view.label(name) for name, _ in top]
    axes.barh(range(len(top)), [value for _, value in top], color=BLUE, height=0.65)
    axes.set_yticks(range(len(top)), names)
    axes.invert_yaxis()
    axes.set_xlabel("Importance")
    grid(axes, "x")


def _about(view: StepView, part: str, values: Mapping[str, Any]) -> str:
    text = f"{view.title(part)}: {whole(values.get('trees'))} trees on {whole(values['n'])} cases"
    if values.get("events") is not None:
        text += f" ({whole(values['events'])} events)"
    return text + "."
