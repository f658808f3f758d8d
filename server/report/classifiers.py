"""What pages of classifiers share: columns as bars, and what was fitted, in words."""

from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.figure import Figure as Canvas

from server.report.blocks import Figure
from server.report.charts import BLUE, INK, draw, grid
from server.report.numbers import is_number, plural, whole
from server.report.view import StepView
from server.report.words import listed

MOST = 15


def predicts(view: StepView, how: str) -> str:
    """Return which outcome is predicted from which columns."""
    step = view.step
    outcome = view.label(step.outcome, unit=False)
    outcome += f" ({step.positive})" if step.positive else ""
    names = [view.label(c, unit=False) for c in step.of]
    if len(names) > 6:
        names = [*names[:5], f"{len(names) - 5} more columns"]
    text = f"Predict {outcome} by {how} from {listed(names)}."
    if step.folds:
        text += f" Fitted again without each of {step.folds} folds of patients."
    return text


def largest(found: Mapping[str, Any], most: int = MOST) -> list[tuple[str, float]]:
    """Return the columns whose numbers are farthest from zero, the farthest first."""
    numbers = [(name, float(v)) for name, v in found.items() if is_number(v) and v]
    return sorted(numbers, key=lambda item: -abs(item[1]))[:most]


def bars(
    view: StepView, part: str, what: str, top: Sequence[tuple[str, float]], *, caption: str
) -> Figure:
    """Return a picture with a bar for each column.

    Args:
        view: the step.
        part: of its answer.
        what: the bars are; the axis is named by it.
        top: column and number, from top to bottom.
        caption: follows the part's title.
    """

    def paint(canvas: Canvas) -> None:
        axes = canvas.subplots()
        axes.barh(range(len(top)), [value for _, value in top], color=BLUE, height=0.65)
        axes.set_yticks(range(len(top)), [view.label(name) for name, _ in top])
        axes.invert_yaxis()
        if any(value < 0 for _, value in top):
            axes.axvline(0, color=INK, lw=0.9)
        axes.set_xlabel(what)
        grid(axes, "x")

    key = "".join(c if c.isalnum() else "-" for c in what.lower())
    return draw(
        view.figure_name(part, key),
        f"{what} of columns, {view.title(part)}",
        f"Bars: {what[:1].lower()}{what[1:]} by column.",
        paint,
        height=0.9 + 0.22 * len(top),
        caption=f"{view.title(part)}. {caption}",
    )


def cases_words(values: Mapping[str, Any]) -> str:
    """Return n and events of a fit, and how many cases were left out of it."""
    said = [f"n = {whole(values.get('n'))}"]
    if is_number(values.get("events")):
        said.append(f"{whole(values['events'])} events")
    if values.get("n_excluded"):
        said.append(f"{whole(values['n_excluded'])} left out for missing values")
    return ", ".join(said)


def more_words(shown: int, of: int) -> tuple[str, ...]:
    """Say, for below a table, how many columns it leaves to the answer's file."""
    return (f"And {plural(of - shown, 'more column')}: see answers.json.",) if of > shown else ()
