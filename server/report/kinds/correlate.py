"""Correlations: a heat map of the columns, and what a filter kept."""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from matplotlib.figure import Figure as Canvas

from server.report.blocks import Block, Row, Table, Text
from server.report.charts import draw
from server.report.numbers import fixed, p_value, plural, whole
from server.report.view import StepView

_MOST = 20
_MOST_NAMES = 12
_LINKAGES = {"clusters": "average linkage", "ward": "Ward's linkage"}


def blocks(view: StepView) -> Iterator[Block]:
    """Return for each part the picture of the pairs, and the filter's outcome."""
    for part, values in view.parts.items():
        pairs = values.get("pairs") or []
        names = list(dict.fromkeys([c for pair in pairs for c in (pair["a"], pair["b"])]))
        if len(names) > 2:
            yield draw(
                view.figure_name(part, "matrix"),
                f"Correlations, {view.title(part)}",
                "A square for each pair of columns, coloured by its correlation.",
                lambda canvas, pairs=pairs, names=names: _paint(canvas, view, names, pairs),  # type: ignore[misc]
                height=1.3 + 0.24 * len(names),
                caption=f"{view.title(part)}. {_method(values)}, n = {whole(values['n'])}.",
            )
        if pairs:
            yield _table(view, part, values, pairs)
        if "kept" in values:
            yield Text(_kept(view, part, values))
        for key, how in _LINKAGES.items():
            if values.get(key):
                yield _groups(view, part, values[key], how)


def _paint(canvas: Canvas, view: StepView, names: list[str], pairs: list[dict[str, Any]]) -> None:
    axes = canvas.subplots()
    r = np.eye(len(names))
    at = {name: i for i, name in enumerate(names)}
    for pair in pairs:
        i, j = at[pair["a"]], at[pair["b"]]
        r[i, j] = r[j, i] = np.nan if pair["estimate"] is None else pair["estimate"]
    picture = axes.imshow(r, cmap="RdBu_r", vmin=-1, vmax=1)
    labels = [view.label(name, unit=False) for name in names]
    axes.set_xticks(range(len(names)), labels, rotation=90)
    axes.set_yticks(range(len(names)), labels)
    axes.tick_params(length=0)
    canvas.colorbar(picture, ax=axes, shrink=0.7, label="Correlation")


def _table(
    view: StepView, part: str, values: Mapping[str, Any], pairs: list[dict[str, Any]]
) -> Table:
    order = sorted(pairs, key=lambda pair: -abs(pair["estimate"] or 0.0))
    rows = tuple(
        Row(
            f"{view.label(pair['a'], unit=False)} and {view.label(pair['b'], unit=False)}",
            (
                fixed(pair["estimate"], 2),
                f"{fixed(pair.get('ci_low'), 2)} to {fixed(pair.get('ci_high'), 2)}",
                p_value(pair.get("p")),
            ),
        )
        for pair in order[:_MOST]
    )
    title = f"{_method(values)}, {view.title(part)} (n = {whole(values['n'])})"
    left = len(order) - _MOST
    notes = (f"And {plural(left, 'weaker pair')}: see answers.json.",) if left > 0 else ()
    return Table(title, ("Pair", "r", "CI", "p"), rows, notes)


def _groups(view: StepView, part: str, groups: list[list[str]], how: str) -> Table:
    rows = []
    for k, group in enumerate(sorted(groups, key=len, reverse=True)[:_MOST]):
        names = [view.label(name, unit=False) for name in group[:_MOST_NAMES]]
        more = len(group) - len(names)
        cells = (whole(len(group)), ", ".join(names) + (f" and {more} more" if more else ""))
        rows.append(Row(f"Group {k + 1}", cells))
    left = len(groups) - len(rows)
    notes = (f"And {plural(left, 'smaller group')}: see answers.json.",) if left else ()
    title = f"Columns that go together ({how}), {view.title(part)}"
    return Table(title, ("", "Columns", "Which"), tuple(rows), notes, words=True)


def _method(values: Mapping[str, Any]) -> str:
    return "Spearman's rho" if values.get("method") == "spearman" else "Pearson's r"


def _kept(view: StepView, part: str, values: Mapping[str, Any]) -> str:
    text = (
        f"{view.title(part)}: of columns that correlate above {view.step.at_most:g} one was kept: "
        f"{whole(len(values['kept']))} kept, {whole(len(values['dropped']))} dropped"
    )
    n = values.get("n_undecided", 0)
    return text + (f"; {plural(n, 'pair')} too close to the limit to decide." if n else ".")
