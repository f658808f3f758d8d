"""ROC curves with the area under each, and their comparison."""

import math
from collections.abc import Iterator, Mapping
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure as Canvas

from common.by_site import fitted_at
from server.report import charts
from server.report.blocks import Block, Figure, Note, Row, Table
from server.report.numbers import MINUS, NONE, estimate, fixed, is_number, p_value, plural, whole
from server.report.score_names import score_names
from server.report.view import StepView
from server.report.words import correction_words, listed

Values = Mapping[str, Any]
_MOST_PANELS = 6
_MOST_LABELS = 4  # areas written into a panel; more would lie over the curves
_COARSE = 0.05  # by which the area under a drawn curve may be off before the page says so


def sentence(view: StepView) -> str:
    """Say which scores are judged by which outcome."""
    scores = listed(list(score_names(view, view.step.scores).values()))
    text = f"How well {scores} predict {outcome_words(view)}: ROC curve and area under it (AUC)."
    return f"{text} Every two scores are compared by DeLong's test." if _many(view) else text


def blocks(view: StepView) -> Iterator[Block]:
    """Return curves, areas, and the tests of pairs."""
    drawn = {part: v for part, v in view.parts.items() if v.get("scores")}
    if drawn:
        yield _figure(view, drawn)
        yield from _matrix(view, drawn)
        yield _areas(view, drawn)
    for part, values in drawn.items():
        if values.get("pairs"):
            yield _pairs(view, part, values)
    yield from without_scores(view)


def _matrix(view: StepView, parts: Mapping[str, Values]) -> Iterator[Block]:
    """Yield the areas of every site's own fit at every site, where the scores are such."""
    fits = {site: s for s in view.step.scores if (site := fitted_at(s)) is not None}
    sites = [part for part in parts if part.startswith("site.")]
    if len(fits) < 2 or not sites:
        return
    rows = []
    for site, score in fits.items():
        found = {part: fixed(parts[part]["scores"].get(score, {}).get("auc"), 2) for part in sites}
        cells = [f"({area})" if part == f"site.{site}" else area for part, area in found.items()]
        rows.append(Row(site, tuple(cells)))
    head = ("Fitted at", *(f"at {part.removeprefix('site.')}" for part in sites))
    note = "A row is the fit of one site alone, a column where it is judged. In brackets: on the "
    note += "very cases it was fitted on, which is too good."
    yield Table("AUC of every site's fit at every site", head, tuple(rows), (note,))


def outcome_words(view: StepView) -> str:
    """Return the outcome of a step and its event in words."""
    step = view.step
    name = view.label(step.outcome, unit=False)
    return f"{name} ({step.positive})" if step.positive else name


def without_scores(view: StepView) -> Iterator[Block]:
    """Say which parts could not be computed, and why."""
    for part, values in view.parts.items():
        if values.get("note") and not values.get("scores"):
            yield Note(f"{view.title(part)}: {values['note']}.", "warn")


def counts_words(values: Values) -> str:
    """Return patients and events behind an answer."""
    return f"n = {whole(values.get('n'))}, {whole(values.get('events'))} events"


def panels_of(canvas: Canvas, parts: Mapping[str, Values], view: StepView) -> dict[str, Axes]:
    """Return axes for at most six parts, each under its title."""
    chosen = list(parts)[:_MOST_PANELS]
    n_columns = min(3, max(2, len(chosen)))
    n_rows = -(-len(chosen) // n_columns)
    grid = canvas.subplots(n_rows, n_columns, squeeze=False).ravel()
    for axes in grid[len(chosen) :]:
        axes.set_visible(False)
    for axes, part in zip(grid, chosen, strict=False):
        axes.set_title(f"{view.title(part)}\n{counts_words(parts[part])}", fontsize=8.5)
    return dict(zip(chosen, grid, strict=False))


def panels_height(parts: Mapping[str, Values], each: float = 2.7) -> float:
    """Return the height of a picture with a panel for each part."""
    n = min(_MOST_PANELS, len(parts))
    return 0.5 + each * -(-n // min(3, max(2, n)))


def _many(view: StepView) -> bool:
    return len(view.step.scores) > 1


def _figure(view: StepView, parts: Mapping[str, Values]) -> Figure:
    names = score_names(view, view.step.scores)

    def paint(canvas: Canvas) -> None:
        panels = panels_of(canvas, parts, view)
        for part, axes in panels.items():
            axes.plot([0, 1], [0, 1], color=charts.FAINT, lw=0.8, zorder=1)
            for i, (name, score) in enumerate(parts[part]["scores"].items()):
                points = _drawn(score)
                axes.plot(*points, label=names[name], **charts.style_of(i))
                area = f"AUC {estimate(score, 'auc', 2)}{'' if points[0] else '*'}"
                place = 0.05 + 0.075 * (len(parts[part]["scores"]) - 1 - i)
                if len(names) <= _MOST_LABELS:
                    axes.text(0.98, place, area, ha="right", size=7.5, color=charts.COLOURS[i % 7])
            axes.set(xlim=(-0.01, 1.01), ylim=(-0.01, 1.01), aspect="equal")
            axes.set_xlabel(f"1 {MINUS} specificity")
            axes.set_ylabel("sensitivity")
            charts.grid(axes)
        charts.below(canvas, list(panels.values()), columns=3)

    first = next(iter(parts))
    said = [
        f"{names[name]}, AUC {estimate(score, 'auc', 3)}"
        for name, score in parts[first]["scores"].items()
    ]
    return charts.draw(
        view.figure_name("roc"),
        f"ROC curves for {outcome_words(view)}",
        f"{view.title(first)}: {'; '.join(said)}.",
        paint,
        height=panels_height(parts),
        caption=f"ROC curves for {outcome_words(view)}. {_labels(view)} {_cut(parts)}"
        f"{_left_out(parts)}",
    )


def _labels(view: StepView) -> str:
    """Say what the areas in a panel are, or where they stand."""
    if len(view.step.scores) > _MOST_LABELS:
        return "The area under each curve (AUC) stands in the table below."
    return f"AUC with {_percent(view)} confidence interval (DeLong), of all cases."


def _drawn(score: Values) -> tuple[list[float], list[float]]:
    """Return a curve's points; none where only its two ends may be shown."""
    curve = score["curve"]
    return (curve["fpr"], curve["tpr"]) if len(curve["fpr"]) > 2 else ([], [])


def _cut(parts: Mapping[str, Values]) -> str:
    """Say which points of the curves are shown, and what that does to them."""
    scores = [score for values in parts.values() for score in values["scores"].values()]
    text = (
        "To show no group of fewer than five, a curve has points only where five patients "
        "with and five without the event lie between them, and is straight in between"
    )
    off = max((s["curve"].get("bound", 0.0) for s in scores if _drawn(s)[0]), default=0.0)
    if off > _COARSE:
        text += f": the area under the line can be up to {_up(off)} away from the AUC"
    mark = " *:" if max(len(v["scores"]) for v in parts.values()) <= _MOST_LABELS else " Some have"
    bare = any(not _drawn(s)[0] for s in scores)
    return f"{text}.{f'{mark} too few patients to draw the curve.' if bare else ''}"


def _left_out(parts: Mapping[str, Values]) -> str:
    n = len(parts) - _MOST_PANELS
    return f" {n} more are in the table only." if n > 0 else ""


def _percent(view: StepView) -> str:
    return f"{100 * view.step.confidence:g} %"


def _areas(view: StepView, parts: Mapping[str, Values]) -> Table:
    rows, modes, names = [], set(), score_names(view, view.step.scores)
    for part, values in parts.items():
        rows.append(Row(f"{view.title(part)} ({counts_words(values)})", form="group"))
        for name, score in values["scores"].items():
            youden = score.get("curve", {}).get("youden", {})
            if not is_number(youden.get("threshold")):
                youden = {}  # the curve has no point but its ends
            modes.add(score.get("mode"))
            cells = (
                estimate(score, "auc", 3),
                p_value(score.get("p")),
                estimate(score.get("average_precision", {}), "estimate", 3),
                fixed(youden.get("threshold"), 3),
                fixed(youden.get("sensitivity"), 2),
                fixed(youden.get("specificity"), 2),
            )
            rows.append(Row(names[name], cells, "level"))
    head = (
        "Score",
        f"AUC ({_percent(view)} CI)",
        "p (AUC = 0.5)",
        "Average precision",
        "Youden threshold",
        "Sensitivity there",
        "Specificity there",
    )
    notes = ["A threshold chosen on the same cases flatters sensitivity and specificity."]
    if "binned" in modes:
        bound = max(s.get("bound", 0.0) for v in parts.values() for s in v["scores"].values())
        text = "AUC is exact for scores rounded to the grid of their column"
        if bound:
            text += f"; unrounded, patients who share a cell could move one by at most {_up(bound)}"
        notes.append(f"{text}.")
    return Table("Area under the ROC curve", head, tuple(rows), tuple(notes))


def _up(bound: float) -> str:
    """Return a bound with two digits, rounded up: rounded down it would not hold."""
    if bound <= 0:
        return "0"
    unit = 10.0 ** (math.floor(math.log10(bound)) - 1)
    return f"{math.ceil(bound / unit - 1e-9) * unit:.2g}"


def _pairs(view: StepView, part: str, values: Values) -> Table:
    names = score_names(view, view.step.scores)
    rows = tuple(
        Row(
            f"{names[pair['a']]} {MINUS} {names[pair['b']]}",
            (
                estimate(pair, "difference", 3),
                p_value(pair.get("p")),
                p_value(pair.get("p_adjusted")) if "p_adjusted" in pair else NONE,
            ),
        )
        for pair in values["pairs"]
    )
    head = ("Scores", f"Difference of AUC ({_percent(view)} CI)", "p (DeLong)", "p adjusted")
    how = correction_words(view.step.correction)
    notes = [f"Adjusted for {plural(len(rows), 'comparison')} by {how}."]
    if any(not is_number(pair.get("p")) for pair in values["pairs"]):
        notes.append(f"{NONE}: both scores rank these patients alike; there is nothing to test.")
    return Table(f"Comparison, {view.title(part)}", head, rows, tuple(notes))
