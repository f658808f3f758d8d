"""Columns compared between the groups of a category."""

from collections.abc import Iterator, Mapping
from typing import Any

from server.report.blocks import Block, Row, Table
from server.report.group_parts import compared_parts
from server.report.numbers import (
    NONE,
    decimals_for,
    estimate,
    fixed,
    is_number,
    p_value,
    significant,
    whole,
)
from server.report.table_one import HIDDEN
from server.report.view import StepView
from server.report.words import adjusted_heading, listed

_TESTS = {
    "t": "Student's t test",
    "welch": "Welch's t test",
    "anova": "analysis of variance",
    "welch_anova": "Welch's analysis of variance",
    "levene": "Levene's test of equal spread",
    "brown_forsythe": "the Brown-Forsythe test of equal spread",
    "mann_whitney": "the Mann-Whitney test",
    "kruskal_wallis": "the Kruskal-Wallis test",
}
_EFFECTS = {
    "estimate": "Difference of means (CI)",
    "hedges_g": "Hedges' g",
    "auc": "AUC",
    "eta_squared": "Eta squared",
    "epsilon_squared": "Epsilon squared",
}
_DIRECTIONS = {
    "estimate": "Difference and Hedges' g: group {1} less group {0}.",
    "auc": "AUC: the chance that a case of group {1} has the larger value than one of group {0}.",
}
_MOST = 100


def sentence(view: StepView) -> str:
    """Say what is compared between which groups."""
    step = view.step
    names = [view.label(c, unit=False) for c in step.of]
    if len(names) > 6:
        names = [*names[:5], f"{len(names) - 5} more columns"]
    by, test = view.label(step.by, unit=False), _TESTS.get(step.test, step.test)
    return f"Compare {listed(names)} between the groups of {by} by {test}."


def blocks(view: StepView) -> Iterator[Block]:
    """Return one table for each part."""
    for part, values in compared_parts(view).items():
        yield _table(view, part, values)


def _table(view: StepView, part: str, values: Mapping[str, Any]) -> Table:
    columns = values["columns"]
    groups = list(dict.fromkeys(g for c in columns.values() for g in c.get("groups", {})))
    adjusted = values.get("correction", "none") != "none"
    effects = [k for k in _EFFECTS if any(is_number(c.get(k)) for c in columns.values())]
    rows = []
    for name, found in list(columns.items())[:_MOST]:
        cells = [_group(found.get("groups", {}).get(g, {})) for g in groups]
        cells += _effects(found, effects)
        cells += [significant(found.get("statistic")), p_value(found.get("p"))]
        if adjusted:
            cells.append(p_value(found.get("p_adjusted")))
        rows.append(Row(view.label(name), tuple(cells)))
    head = ["", *(f"{view.label(view.step.by, unit=False)}: {g}" for g in groups)]
    head += [_EFFECTS[key] for key in effects] + ["Statistic", "p"]
    if adjusted:
        head.append(adjusted_heading(values["correction"]))
    notes = ["Cells: n, below it mean (SD) where the test is one of means."]
    if len(groups) == 2 and {"estimate", "auc"} & set(effects):
        notes += [_DIRECTIONS[k].format(*groups) for k in effects if k in _DIRECTIONS]
    notes += view.notes(columns.items())
    if len(columns) > _MOST:
        notes.append(f"And {len(columns) - _MOST} more columns: see answers.json.")
    title = f"{_TESTS.get(view.step.test, view.step.test)}, {view.title(part)}"
    return Table(title[:1].upper() + title[1:], tuple(head), tuple(rows), tuple(notes))


def _effects(found: Mapping[str, Any], keys: list[str]) -> list[str]:
    """Return the difference with its interval, and how large the effect is."""
    decimals = max((decimals_for(g.get("sd")) for g in found.get("groups", {}).values()), default=2)
    difference = estimate(dict(found), "estimate", decimals)
    return [difference if key == "estimate" else fixed(found.get(key), 3) for key in keys]


def _group(found: Mapping[str, Any]) -> str:
    if not found:
        return NONE
    n = HIDDEN if found.get("n") is None else whole(found["n"])
    if not is_number(found.get("mean")):
        return n
    decimals = decimals_for(found.get("sd"))
    return f"{n}\n{fixed(found['mean'], decimals)} ({fixed(found.get('sd'), decimals)})"
