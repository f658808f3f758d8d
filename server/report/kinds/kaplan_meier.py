"""Survival curves with the numbers at risk, medians and log-rank tests."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure as Canvas

from server.report import charts
from server.report.blocks import Block, Figure, Row, Table
from server.report.median_survival import LATER, NOT_REACHED, TO, follow_up, median_survival
from server.report.numbers import NONE, estimate, fixed, is_number, p_value, told_p, whole
from server.report.survival_parts import printable_parts
from server.report.table_one import HIDDEN
from server.report.view import StepView
from server.report.words import correction_words

Values = Mapping[str, Any]
_LINE_IN = 0.17


def sentence(view: StepView) -> str:
    """Say whose survival is shown, and whether it is compared: strata of `by` are not."""
    step = view.step
    text = (
        f"Kaplan-Meier curves of {view.label(step.event, unit=False)} over {view.label(step.time)}"
    )
    if step.group:
        text += f", by {view.label(step.group, unit=False)}"
    if step.by:
        text += f", for each {view.label(step.by, unit=False)}"
    return f"{text}; groups are compared by the log-rank test." if step.group else f"{text}."


def blocks(view: StepView) -> Iterator[Block]:
    """Return a picture and a table for each part and stratum."""
    for part, values in printable_parts(view).items():
        for stratum, one in values["strata"].items():
            title = view.title(part)
            if len(values["strata"]) > 1:
                title += f", {view.label(view.step.by, unit=False)} {stratum}"
            curves = {name: g for name, g in one["groups"].items() if "curve" in g}
            if curves:
                yield _figure(view, curves, one, (title, view.figure_name(part, stratum)))
            yield _table(view, one, title)
            if len(one["groups"]) > 2 and one.get("pairs"):
                yield _pairs(view, one, title)


def _group(view: StepView, name: str) -> str:
    if name == "all":
        return "All"
    group, cut = view.label(view.step.group, unit=False), view.step.cut
    if isinstance(cut, int | float):
        return f"{group} {name} {cut:g}"
    if cut is not None:
        return f"{group} {name} the cut"
    return f"{group}: {name}"


def _figure(
    view: StepView, curves: Mapping[str, Values], one: Values, named: tuple[str, str]
) -> Figure:
    title, name = named
    p = told_p(one.get("log_rank", {}))
    test = [] if p == NONE else [f"log-rank {_is(p)}"]

    def paint(canvas: Canvas) -> None:
        ratio = [3.0, 0.35 + _LINE_IN * len(curves)]
        upper, lower = canvas.subplots(2, 1, sharex=True, height_ratios=ratio)
        for i, (group, found) in enumerate(curves.items()):
            _curve(upper, found["curve"], _group(view, group), i)
        upper.set(ylim=(0, 1.02), ylabel="survival")
        upper.margins(x=0.02)
        upper.tick_params(labelbottom=True)
        for text in test:
            upper.text(0.02, 0.06, text, transform=upper.transAxes)
        upper.legend(loc=_emptier_corner(curves))
        charts.grid(upper)
        _at_risk(lower, {name: g["at_risk"] for name, g in curves.items()})
        upper.set_xlabel(view.label(view.step.time))

    return charts.draw(
        name,
        f"Survival, {title}",
        "; ".join([*(f"{_group(view, g)}: n = {f['n']}" for g, f in curves.items()), *test]) + ".",
        paint,
        height=3.3 + _LINE_IN * len(curves),
        caption=f"Kaplan-Meier curves, {title}, with {100 * view.step.confidence:g} % "
        "confidence bands and the numbers at risk. Values are exact on the days with a point; "
        "between two of them five patients leave, and a straight line stands for the steps that "
        "are not shown. A curve ends where fewer than ten are left.",
    )


def _is(p: str) -> str:
    """Return a p with its sign; what is told in words has one, or needs none."""
    return f"p = {p}" if p.replace(".", "").isdigit() else f"p {p}"


def _emptier_corner(curves: Mapping[str, Values]) -> str:
    """Return the corner at the right that no curve ends in."""
    last = [found["curve"]["survival"][-1] for found in curves.values()]
    return "lower right" if min(last) > 0.5 else "upper right"


def _curve(axes: Axes, curve: Values, label: str, i: int) -> None:
    style = charts.style_of(i)
    days = curve["days"]  # a step held to the next shown day would lie above the true curve
    axes.plot(days, curve["survival"], label=label, marker="o", ms=2.6, **style)
    axes.fill_between(
        days, curve["ci_low"], curve["ci_high"], color=style["color"], alpha=0.13, lw=0
    )


def _at_risk(axes: Axes, tables: Mapping[str, Sequence[Values]]) -> None:
    axes.axis("off")
    axes.set_ylim(len(tables) - 0.4, -1.1)
    axes.text(0, -0.75, "At risk", transform=axes.get_yaxis_transform(), weight="bold", size=8)
    for i, (name, table) in enumerate(tables.items()):
        colour = charts.COLOURS[i % len(charts.COLOURS)]
        look: dict[str, Any] = {"va": "center", "size": 8, "color": colour}
        if len(tables) > 1:
            axes.text(-0.03, i, name, ha="right", transform=axes.get_yaxis_transform(), **look)
        for mark in table:
            if is_number(mark.get("at_risk")):
                axes.text(mark["day"], i, whole(mark["at_risk"]), ha="center", **look)


def _table(view: StepView, one: Values, title: str) -> Table:
    rows = tuple(Row(_group(view, name), _cells(found)) for name, found in one["groups"].items())
    head = (
        "Group",
        "n",
        "Events",
        "Median survival (CI), days",
        "Median follow-up, days",
        "Restricted mean (CI), days",
    )
    notes = []
    for key, words in (("log_rank", "Log-rank"), ("log_rank_by_site", "Stratified by site")):
        test = one.get(key, {})
        if (p := told_p(test)) != NONE:
            chi2 = f"chi-square {fixed(test['chi2'], 2)}, " if is_number(test.get("chi2")) else ""
            notes.append(f"{words}: {chi2}df {whole(test.get('df'))}, p {p}.")
    if any(HIDDEN in row.cells for row in rows):
        notes.append(
            "Hidden: fewer than five in a group, or with or without the event in it, or what "
            "would give such a number away."
        )
    notes += _of_medians(rows)
    tau = next(
        (g["restricted_mean"].get("tau") for g in one["groups"].values() if "curve" in g), None
    )
    if is_number(tau):
        notes.append(f"Restricted mean up to day {whole(tau)}.")
    return Table(f"Survival, {title}", head, rows, tuple(notes))


def _of_medians(rows: Sequence[Row]) -> list[str]:
    cells = " ".join(row.cells[2] for row in rows)
    notes = []
    if any(TO in cell for row in rows for cell in row.cells[2:4]):
        notes.append(
            "A median printed as a range lies somewhere in it: the curve is shown only on days "
            "between which five patients leave. A median's interval is widened to shown days."
        )
    if LATER in cells or "?" in cells:
        notes.append(
            "Not shown: the curve, or an end of its interval (?), is above one half on the last "
            "day that may be shown: on the next one fewer than ten patients would be left. "
            "This does not say that the median was not reached."
        )
    if NOT_REACHED in cells:
        notes.append(
            "Not reached: the curve is above one half where it ends, and nobody has the event "
            "after that."
        )
    return notes


def _pairs(view: StepView, one: Values, title: str) -> Table:
    rows = tuple(
        Row(
            f"{_group(view, pair['a'])} against {pair['b']}",
            (
                fixed(pair.get("chi2"), 2),
                told_p(pair),
                p_value(pair.get("p_adjusted")),
                p_value(pair.get("p_adjusted_by_site")),
            ),
        )
        for pair in one["pairs"]
    )
    head = ("Groups", "Chi-square", "p (log-rank)", "p adjusted", "p adjusted, stratified by site")
    note = f"Adjusted for {len(rows)} comparisons by {correction_words(view.step.correction)}."
    return Table(f"Pairs of groups, {title}", head, rows, (note,))


def _cells(found: Values) -> tuple[str, ...]:
    if "curve" not in found and is_number(found.get("n")):
        return (whole(found["n"]), HIDDEN, *[NONE] * 3)
    if "curve" not in found:
        return (HIDDEN, *[NONE] * 4)
    return (
        whole(found.get("n")),
        whole(found.get("events")),
        median_survival(found),
        follow_up(found),
        estimate(found["restricted_mean"], "estimate", 0),
    )
