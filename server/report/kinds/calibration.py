"""Whether predicted probabilities come true: curve, intercept, slope, Brier score."""

from collections.abc import Iterator, Mapping
from typing import Any

from matplotlib.axes import Axes
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
from server.report.numbers import estimate, fixed, p_value
from server.report.score_names import score_names
from server.report.view import StepView
from server.report.words import listed

Values = Mapping[str, Any]


def sentence(view: StepView) -> str:
    """Say whose calibration is judged."""
    scores = listed(list(score_names(view, view.step.scores).values()))
    return f"Calibration of {scores} as probabilities of {outcome_words(view)}."


def blocks(view: StepView) -> Iterator[Block]:
    """Return the calibration plot and its numbers."""
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
            axes.plot([0, 1], [0, 1], color=charts.FAINT, lw=0.8, zorder=1)
            for i, (name, score) in enumerate(parts[part]["scores"].items()):
                _score(axes, score, names[name], i)
            axes.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02), aspect="equal")
            axes.set_xlabel("predicted probability")
            axes.set_ylabel("observed share")
            charts.grid(axes)
        charts.below(canvas, list(panels.values()))

    return charts.draw(
        view.figure_name("calibration"),
        f"Calibration for {outcome_words(view)}",
        f"Observed against predicted; {counts_words(next(iter(parts.values())))}.",
        paint,
        height=panels_height(parts),
        caption=f"Calibration for {outcome_words(view)}. Marker: patients of like prediction, "
        "with confidence interval; line: logistic recalibration; grey: perfect calibration.",
    )


def _score(axes: Axes, score: Values, label: str, i: int) -> None:
    bins, line = score["bins"], score.get("line")
    style = charts.style_of(i)
    axes.errorbar(
        bins["predicted"],
        bins["observed"],
        yerr=charts.reach(bins["observed"], bins["ci_low"], bins["ci_high"]),
        fmt=charts.MARKERS[i % 7],
        color=style["color"],
        ms=4,
        lw=0.9,
        label=label,
    )
    if line:
        axes.plot(line["predicted"], line["observed"], **style)


def _table(view: StepView, parts: Mapping[str, Values]) -> Table:
    rows, names = [], score_names(view, view.step.scores)
    for part, values in parts.items():
        rows.append(Row(f"{view.title(part)} ({counts_words(values)})", form="group"))
        for name, score in values["scores"].items():
            cells = (
                estimate(score["intercept"], "estimate", 2),
                estimate(score["slope"], "estimate", 2),
                estimate(score["observed_to_expected"], "estimate", 2),
                estimate(score["brier"], "estimate", 3),
                p_value(score.get("hosmer_lemeshow", {}).get("p")),
                fixed(score.get("calibration_error"), 3),
            )
            rows.append(Row(names[name], cells, "level"))
    head = (
        "Score",
        "Intercept (CI)",
        "Slope (CI)",
        "Observed / expected (CI)",
        "Brier score (CI)",
        "Hosmer-Lemeshow p",
        "Calibration error",
    )
    note = "Perfect: intercept 0, slope 1, observed / expected 1, calibration error 0."
    return Table("Calibration", head, tuple(rows), (note,))
