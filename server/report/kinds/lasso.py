"""A LASSO, elastic net or ridge: the error by lambda, the coefficients, what was selected."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from matplotlib.figure import Figure as Canvas
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from common.nested import AT
from server.report.blocks import Block, Note, Row, Table, Text
from server.report.charts import BLUE, FAINT, RED, below, draw, grid, style_of
from server.report.classifiers import cases_words
from server.report.numbers import is_number, plural, significant
from server.report.view import StepView

_MOST = 40
_NAMED = 7  # paths with a name of their own


def sentence(view: StepView) -> str:
    """Say what is predicted from how many columns, by which penalty."""
    step = view.step
    outcome = view.label(step.outcome, unit=False)
    outcome += f" ({step.positive})" if step.positive else ""
    how = penalty_words(step.alpha)
    what = "Weigh" if step.alpha == 0 else "Select and weigh"
    columns = plural(len(step.of), "column")
    text = f"{what} {columns} into a score of {outcome} by {how}, {step.family} family; lambda by"
    return f"{text} {step.folds}-fold cross-validation."


def penalty_words(alpha: float) -> str:
    """Return the name of a penalty by its share of the absolute kind."""
    if alpha == 1:
        return "LASSO"
    return "elastic net" if alpha > 0 else "ridge regression"


def blocks(view: StepView) -> Iterator[Block]:
    """Return for each part the curves, and the columns selected with their weights."""
    for part, values in view.parts.items():
        path = values.get("path")
        if not path:
            yield Note(f"{view.title(part)}: {values.get('note') or 'no fit'}.", "warn")
            continue
        yield draw(
            view.figure_name(part),
            f"Cross-validation and coefficient path, {view.title(part)}",
            "Left the cross-validated error by lambda, right the coefficients.",
            lambda canvas, values=values: _paint(canvas, view, values),  # type: ignore[misc]
            height=3.6,
            caption=_caption(view, part, values),
        )
        if values.get("note"):
            yield Note(f"{view.title(part)}: {values['note']}.", "warn")
        if values["terms"]:
            yield _table(view, part, values)
    yield from _stability(view)


def _paint(canvas: Canvas, view: StepView, values: Mapping[str, Any]) -> None:
    left, right = canvas.subplots(1, 2)
    path = values["path"]
    lambdas = [row["lambda"] for row in path]
    rows = [row for row in path if is_number(row["error"])]
    left.errorbar(
        [row["lambda"] for row in rows],
        [row["error"] for row in rows],
        yerr=[row["error_se"] or 0.0 for row in rows],
        color=BLUE,
        ecolor=FAINT,
        elinewidth=0.8,
        marker="o",
        markersize=2.5,
        linewidth=1.0,
    )
    left.set_ylabel(f"Cross-validated {values['error']} per case")
    names = sorted(
        {name for row in path for name in row["estimates_per_sd"]},
        key=lambda name: -max(abs(row["estimates_per_sd"].get(name, 0.0)) for row in path),
    )
    for i, name in enumerate(names):
        style = style_of(i) if i < _NAMED else {"color": FAINT, "linewidth": 0.7}
        curve = [row["estimates_per_sd"].get(name, 0.0) for row in path]
        right.plot(lambdas, curve, label=view.label(name) if i < _NAMED else None, **style)
    right.set_ylabel("Coefficient per SD")
    below(canvas, [right])
    for axes in (left, right):
        axes.set_xscale("log")
        axes.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axes.xaxis.set_minor_formatter(NullFormatter())
        axes.invert_xaxis()
        axes.set_xlabel("Lambda")
        axes.axvline(values["lambda_min"], color=RED, linestyle="--", linewidth=0.9)
        axes.axvline(values["lambda_1se"], color=RED, linestyle=":", linewidth=0.9)
        grid(axes)


def _caption(view: StepView, part: str, values: Mapping[str, Any]) -> str:
    rule = "least error" if view.step.choose == "min" else "one standard error"
    return (
        f"{view.title(part)}. Error of {view.step.folds}-fold cross-validation with one standard "
        f"error (left), coefficients per SD (right). Dashed: lambda of the least error; dotted: "
        f"largest within one standard error of it. Chosen by the {rule} rule: "
        f"{significant(values['lambda'])}, {plural(values['n_selected'], 'column')}."
    )


def _table(view: StepView, part: str, values: Mapping[str, Any]) -> Table:
    terms = sorted(
        values["terms"].items(), key=lambda item: -abs(item[1]["estimate_per_sd"] or 0.0)
    )
    rows = tuple(
        Row(
            view.label(name),
            (significant(of["estimate_per_sd"]), significant(of["estimate"])),
        )
        for name, of in terms[:_MOST]
    )
    left = len(terms) - _MOST
    notes = (f"And {plural(left, 'more column')}: see answers.json.",) if left > 0 else ()
    what = "Weights" if view.step.alpha == 0 else "Columns selected"
    title = f"{what}, {view.title(part)}: {cases_words(values)}"
    return Table(title, ("Column", "Weight per SD", "Weight"), rows, notes)


def _stability(view: StepView) -> Iterator[Block]:
    """Say how often refits without a fold selected the same columns."""
    found = [_selected(view, name) for name in view.record.answers if _refit_of(view, name)]
    refits = [one for one in found if one is not None]
    if not refits:
        return
    names: dict[str, int] = {}
    for selected in refits:
        for name in selected:
            names[name] = names.get(name, 0) + 1
    order = sorted(names.items(), key=lambda item: (-item[1], item[0]))
    rows = tuple(Row(view.label(name), (f"{n} of {len(refits)}",)) for name, n in order[:_MOST])
    left = len(order) - _MOST
    notes = (f"And {plural(left, 'more column')}.",) if left > 0 else ()
    yield Text(
        "Nested validation selects afresh without each fold of patients; a column that is "
        "selected in few of them is not to be relied on."
    )
    yield Table("How often refits selected a column", ("Column", "Refits"), rows, notes)


def _refit_of(view: StepView, name: str) -> bool:
    return name.startswith(f"{view.name}{AT}")


def _selected(view: StepView, name: str) -> Sequence[str] | None:
    """Return what a refit selected, named as the fit of all cases names it."""
    parts = view.record.answers[name]
    fold = name.partition(AT)[2]
    for values in parts.values():
        if isinstance(values.get("selected"), list):
            return [str(c).replace(f"{AT}{fold}.", ".") for c in values["selected"]]
    return None
