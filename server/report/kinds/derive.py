"""Columns made by arithmetic: the formulas, which are all there is to tell."""

from collections.abc import Iterator

from common.analyses.derive import Below, Log, Product, Sum
from server.report.blocks import Block, Row, Table
from server.report.view import StepView
from server.report.words import some


def sentence(view: StepView) -> str:
    """Say what is made from what."""
    made = [view.label(f"{view.name}.{name}", unit=False) for name in view.step.make]
    of = [view.label(c, unit=False) for c in dict.fromkeys(view.step.columns())]
    return f"Make {some(made)} from {some(of)}, case by case."


def blocks(view: StepView) -> Iterator[Block]:
    """Return the formula of each new column."""
    rows = tuple(
        Row(view.label(f"{view.name}.{name}"), (_formula(formula),))
        for name, formula in view.step.make.items()
    )
    yield Table("Derived columns", ("Column", "Formula"), rows, words=True)


def _formula(formula: Product | Sum | Log | Below) -> str:
    if isinstance(formula, Product):
        powers = [c if p == 1 else f"{c}^{p:g}" for c, p in formula.of.items()]
        return " x ".join([f"{formula.factor:g}"] * (formula.factor != 1) + powers)
    if isinstance(formula, Sum):
        terms = [c if w == 1 else f"{w:g} x {c}" for c, w in formula.of.items()]
        return " + ".join([f"{formula.offset:g}"] * (formula.offset != 0) + terms)
    if isinstance(formula, Log):
        return f"log of {formula.of[0]}, base {formula.base:.4g}"
    if isinstance(formula.cut, dict):
        cuts = ", ".join(f"{cut:g} ({level})" for level, cut in formula.cut.items())
        return f"{formula.of[0]} below {cuts}"
    return f"{formula.of[0]} below {formula.cut:g}"
