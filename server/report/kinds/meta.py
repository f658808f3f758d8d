"""Effects of sites put together: a forest of the pooled effects, and a table in words."""

import math
from collections.abc import Iterator, Mapping
from typing import Any

from matplotlib.figure import Figure as Canvas

from server.report import charts
from server.report.blocks import Block, Figure, Note, Row, Table
from server.report.numbers import NONE, fixed, is_number, p_value, plural, told_p, whole
from server.report.view import StepView

Values = Mapping[str, Any]
_EFFECTS = {
    "log_odds_ratio": "Odds ratio",
    "proportion": "Proportion",
    "mean": "Mean",
    "mean_difference": "Difference of means",
    "standardised_difference": "Standardised difference (Hedges' g)",
    "auc": "AUC",
}
_MODELS = {
    "fixed": "Fixed effect",
    "random": "Random effects (DerSimonian and Laird)",
    "hksj": "Random effects, interval of Hartung, Knapp, Sidik and Jonkman (HKSJ)",
    "prediction": "Prediction interval: where a new site's effect may lie",
}
_NULL = {"log_odds_ratio": 1.0, "mean_difference": 0.0, "standardised_difference": 0.0, "auc": 0.5}


def sentence(view: StepView) -> str:
    """Say which effect of every site is put together."""
    step = view.step
    of = f" of {view.label(step.of, unit=False)}" if step.of else ""
    by = f" for {view.label(step.outcome, unit=False)}" if step.outcome else ""
    what = _EFFECTS[step.effect]
    what = what if what == "AUC" else what[:1].lower() + what[1:]
    return f"Meta-analysis over sites: the {what}{of}{by}; no site's own effect is shown."


def blocks(view: StepView) -> Iterator[Block]:
    """Return a forest and a table of every part."""
    for part, values in view.parts.items():
        if not isinstance(values.get("random"), dict):
            yield Note(f"{view.title(part)}: {values.get('note') or 'no effect'}.", "warn")
            continue
        yield _figure(view, part, values)
        yield _table(view, part, values)


def _back(effect: str, value: Any) -> float | None:
    """Return an effect on the scale it is printed on: ratios and shares, not their logs."""
    if not is_number(value):
        return None
    if effect == "log_odds_ratio":
        return math.exp(min(value, 700.0))
    if effect == "proportion":
        return 1 / (1 + math.exp(-max(value, -700.0)))
    return float(value)


def _lines(values: Values) -> dict[str, tuple[float | None, float | None, float | None]]:
    """Return estimate and interval of every model."""
    effect = values["effect"]
    found = {name: values[name] for name in _MODELS if isinstance(values.get(name), dict)}
    return {
        name: (
            _back(effect, of.get("estimate")),
            _back(effect, of.get("ci_low")),
            _back(effect, of.get("ci_high")),
        )
        for name, of in found.items()
    }


def _figure(view: StepView, part: str, values: Values) -> Figure:
    lines = {
        name: (middle, low, high)
        for name, (middle, low, high) in _lines(values).items()
        if low is not None and high is not None
    }
    effect = values["effect"]

    def paint(canvas: Canvas) -> None:
        axes = canvas.subplots()
        for k, (name, (middle, low, high)) in enumerate(lines.items()):
            colour = charts.FAINT if name == "prediction" else charts.BLUE
            axes.plot([low, high], [k, k], color=colour, lw=2.2 if name == "prediction" else 1.5)
            if middle is not None:
                axes.plot([middle], [k], "D", color=colour, ms=6)
        if effect in _NULL:
            axes.axvline(_NULL[effect], color=charts.INK, lw=0.9)
        if effect == "log_odds_ratio":
            axes.set_xscale("log")
            charts.plain_ticks(axes)
        short = ("Fixed effect", "Random effects", "Random, HKSJ", "Prediction")
        named = dict(zip(_MODELS, short, strict=True))
        axes.set_yticks(range(len(lines)), [named[name] for name in lines])
        axes.set_ylim(len(lines) - 0.5, -0.5)
        axes.set_xlabel(_EFFECTS[effect] + (" (log scale)" if effect == "log_odds_ratio" else ""))
        charts.grid(axes, "x")

    return charts.draw(
        view.figure_name("forest", part),
        f"{_EFFECTS[effect]} over sites, {view.title(part)}",
        "Pooled effects with their intervals; the numbers are in the table.",
        paint,
        height=0.9 + 0.3 * len(lines),
        caption=f"{view.title(part)}: pooled over {plural(int(values['k']), 'site')}; the sites' "
        "own effects are never shown.",
    )


def _table(view: StepView, part: str, values: Values) -> Table:
    rows = []
    for name, (middle, low, high) in _lines(values).items():
        interval = f"{_told(values, low)} to {_told(values, high)}" if low is not None else NONE
        p = told_p(values[name]) if values["effect"] in _NULL_OF_P else NONE
        rows.append(Row(_MODELS[name], (_told(values, middle), interval, p)))
    notes = [_spread(values)]
    if int(values["k"]) < 5:
        notes.append("With so few sites the variance between them is hardly known.")
    if values.get("rounded"):
        notes.append(f"Rounded, {values['rounded']}.")
    if values.get("left_out"):
        n = plural(int(values["left_out"]), "site")
        notes.append(f"Left out: {n} with fewer than five in a class, or no variance.")
    if values["effect"] in ("log_odds_ratio", "proportion"):
        notes.append("Pooled as log odds, printed back on the scale of the heading.")
    elif values["effect"] == "auc":
        notes.append("An end of an interval beyond 0 or 1 means only that it is not known.")
    head = ("", _EFFECTS[values["effect"]], f"{100 * view.step.confidence:g} % CI", "p")
    about = f"{plural(int(values['k']), 'site')}, n = {whole(values.get('n'))}"
    return Table(f"Meta-analysis, {view.title(part)}: {about}", head, tuple(rows), tuple(notes))


_NULL_OF_P = ("log_odds_ratio", "mean_difference", "standardised_difference")
"""Effects whose p is of no effect; that of a mean, a share or an AUC is of zero."""


def _told(values: Values, printed: float | None) -> str:
    """Return an effect, on the scale it is printed on, with no digit that is not known.

    A rounded answer is known to half of what it is rounded to: the last digit, to one.
    """
    effect = values["effect"]
    most = 3 if effect in ("auc", "proportion") else 2
    if printed is None or not is_number(unit := values.get("rounded_to")):
        return fixed(printed, most)
    slope = {"log_odds_ratio": printed, "proportion": printed * (1 - printed)}.get(effect, 1.0)
    known = unit / 2 * slope
    decimals = min(most, math.floor(-math.log10(known))) if known > 0 else most
    return fixed(round(printed, decimals), max(decimals, 0))


def _spread(values: Values) -> str:
    q, df = values.get("q"), values.get("df")
    p = p_value(values.get("p_heterogeneity"))
    i2 = values.get("i2") or {}
    share = f"I\N{SUPERSCRIPT TWO} {fixed(100 * (i2.get('estimate') or 0.0), 0)} %"
    if q is None:
        return f"Heterogeneity: {share}, to the nearest ten."
    text = f"Heterogeneity: Q {fixed(q, 2)}, df {whole(df)}, p {p}"
    if is_number(i2.get("estimate")):
        text += f"; {share}"
        if is_number(i2.get("ci_low")) and is_number(i2.get("ci_high")):
            text += f" ({fixed(100 * i2['ci_low'], 0)} to {fixed(100 * i2['ci_high'], 0)} %)"
    text += f"; tau\N{SUPERSCRIPT TWO} {fixed(values.get('tau2'), 3)}"
    return f"{text}{' (of log odds)' if 'odds' in str(values['effect']) else ''}."
