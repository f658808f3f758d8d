"""Coefficients of models as papers print them: a table and a forest of ratios."""

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from matplotlib.figure import Figure as Canvas

from server.report import charts
from server.report.blocks import Block, Figure, Note, Row, Table
from server.report.numbers import NONE, fixed, interval, is_number, p_value, significant, whole
from server.report.view import StepView
from server.report.words import by_cause, some

Values = Mapping[str, Any]
_INTERCEPTS = ("intercept", "(intercept)", "const")
_MOST = 30
_WIDEST = 200.0
_FINEST = 5  # decimals
_NO_RATIO = "1.000 (1.000 to 1.000)"


def model_blocks(view: StepView, ratio: str) -> Iterator[Block]:
    """Return forest and table of every part.

    Args:
        view: a step whose answer has "models", each with "terms".
        ratio: the key of exp(coefficient), such as "odds_ratio".
    """
    for part, values in view.parts.items():
        models = {
            name: model for name, model in values.get("models", {}).items() if model.get("terms")
        }
        lines = [
            line for name, model in models.items() for line in _lines(view, name, model, ratio)
        ]
        if lines:
            yield _figure(view, part, lines, ratio)
        yield _table(view, part, values, ratio)
        yield from _tests(view, part, values)
    yield from _notes(view)


def _notes(view: StepView) -> Iterator[Note]:
    """Say what is to be said of models, once for all models and parts that have it alike."""
    said: list[tuple[str, str]] = []
    for part, values in view.parts.items():
        notes = [
            (name, str(model["note"]))
            for name, model in values.get("models", {}).items()
            if model.get("note")
        ]
        said += [
            (view.title(part), f"{some(names)}: {why}") for why, names in by_cause(notes).items()
        ]
    for what, parts in by_cause(said).items():
        yield Note(f"{some(parts)}, {what}.", "warn")


def ratio_text(term: Values, ratio: str) -> str:
    """Return a ratio with its interval."""
    value, low, high = (term.get(key) for key in (ratio, "ci_low", "ci_high"))
    if not is_number(value):
        return NONE
    if not is_number(low) or not is_number(high):
        return significant(value)
    if high >= 1000:
        return f"{significant(value)} ({significant(low)} to {significant(high)})"
    close = low > 0.9 and high < 1.1
    decimals = 3 if close or value < 0.1 else 2
    return f"{fixed(value, decimals)} ({interval(low, high, decimals)})"


def _title(ratio: str) -> str:
    return ratio.replace("_", " ").capitalize()


def _lines(
    view: StepView, model: str, found: Values, ratio: str
) -> Iterator[tuple[str, str, Values]]:
    for name, term in found["terms"].items():
        drawable = all(is_number(term.get(k)) and term[k] > 0 for k in (ratio, "ci_low", "ci_high"))
        if name.lower() not in _INTERCEPTS and drawable:
            yield model, view.label(name), term


def _figure(
    view: StepView, part: str, lines: Sequence[tuple[str, str, Values]], ratio: str
) -> Figure:
    shown = lines[:_MOST]
    models = list(dict.fromkeys(model for model, _, _ in shown))
    labels = list(dict.fromkeys(label for _, label, _ in shown))

    def paint(canvas: Canvas) -> None:
        axes = canvas.subplots()
        step = 0.7 / len(models)
        for k, model in enumerate(models):
            of = {label: term for m, label, term in shown if m == model}
            y = [labels.index(x) + (k - (len(models) - 1) / 2) * step for x in of]
            x = [term[ratio] for term in of.values()]
            low = [max(term["ci_low"], 1 / _WIDEST) for term in of.values()]
            high = [min(term["ci_high"], _WIDEST) for term in of.values()]
            axes.errorbar(
                x,
                y,
                xerr=charts.reach(x, low, high),
                fmt=charts.MARKERS[k % 7],
                color=charts.COLOURS[k % 7],
                ms=5,
                lw=1.3,
                label=model.replace("_", " "),
            )
        axes.axvline(1, color=charts.INK, lw=0.9)
        axes.set_xscale("log")
        charts.plain_ticks(axes)
        axes.set_yticks(range(len(labels)), labels)
        axes.set_ylim(len(labels) - 0.4, -0.6)
        axes.set_xlabel(f"{_title(ratio).lower()} (log scale)")
        charts.grid(axes, "x")
        if len(models) > 1:
            charts.below(canvas, [axes])

    return charts.draw(
        view.figure_name("forest", part),
        f"{_title(ratio)}s, {view.title(part)}",
        "; ".join(f"{label} {ratio_text(term, ratio)}" for _, label, term in shown) + ".",
        paint,
        height=0.9 + len(labels) * (0.16 + 0.13 * len(models)),
        caption=f"{_title(ratio)}s with confidence intervals, {view.title(part)}; numbers per unit "
        "of the column, levels against the column's first one.",
    )


def _table(view: StepView, part: str, values: Values, ratio: str) -> Table:
    rows = []
    for name, model in values.get("models", {}).items():
        rows.append(Row(_model_head(name, model), form="group"))
        for term, found in model.get("terms", {}).items():
            rows.append(
                Row(
                    view.label(term),
                    (
                        _coefficient(found),
                        NONE if term.lower() in _INTERCEPTS else ratio_text(found, ratio),
                        p_value(found.get("p")),
                    ),
                    "level",
                )
            )
    head = ("Model and term", "Coefficient (SE)", f"{_title(ratio)} (CI)", "p")
    counts = [f"n = {whole(values.get('n'))}"]
    if is_number(values.get("events")):
        counts.append(f"{whole(values['events'])} events")
    if values.get("n_excluded"):
        counts.append(f"{whole(values['n_excluded'])} left out for missing values")
    notes: tuple[str, ...] = ()
    if any(row.cells[1:2] == (_NO_RATIO,) for row in rows):
        notes = (
            f"{_NO_RATIO}: one unit is tiny beside the values of the column; its coefficient says "
            "more, or the column in a larger unit.",
        )
    return Table(f"Models, {view.title(part)}: {', '.join(counts)}", head, tuple(rows), notes)


def _coefficient(found: Values) -> str:
    if not is_number(found.get("estimate")):
        return NONE
    if is_number(found.get("se")) and 0 < found["se"] < 10.0**-_FINEST:
        return f"{significant(found['estimate'])} ({significant(found['se'])})"
    digits = 3 if not is_number(found.get("se")) else min(_FINEST, max(2, 1 - _power(found["se"])))
    return f"{fixed(found['estimate'], digits)} ({fixed(found.get('se'), digits)})"


def _power(value: float) -> int:
    return math.floor(math.log10(value)) if value > 0 else 0


def _model_head(name: str, model: Values) -> str:
    words = [str(model.get("method", ""))] if model.get("method") else []
    for key, label in (("aic", "AIC"), ("nagelkerke_r2", "Nagelkerke R²"), ("concordance", "C")):
        found = model.get(key)
        if isinstance(found, dict):
            found = found.get("estimate")
        if is_number(found):
            words.append(f"{label} {fixed(found, 1 if key == 'aic' else 3)}")
    return f"{name.replace('_', ' ')} ({'; '.join(words)})" if words else name.replace("_", " ")


def _tests(view: StepView, part: str, values: Values) -> Iterator[Table]:
    rows = tuple(
        Row(
            f"{test['larger']} against {test['smaller']}",
            (fixed(test.get("chi2"), 2), whole(test.get("df")), p_value(test.get("p"))),
        )
        for test in values.get("tests", ())
    )
    if rows:
        head = ("Nested models", "Chi-square", "df", "p")
        yield Table(f"Likelihood-ratio tests, {view.title(part)}", head, rows)
