"""Two columns compared case by case: the difference with its tests, and the agreement."""

from collections.abc import Iterator, Mapping
from typing import Any

from server.report.blocks import Block, Row, Table
from server.report.numbers import NONE, decimals_for, estimate, fixed, interval, p_value, whole
from server.report.view import StepView
from server.report.words import by_cause, some

Pair = Mapping[str, Any]
_DIFFERENCE = ("", "n", "First", "Second", "Difference (CI)", "p, paired t", "p, Wilcoxon")
_AGREEMENT = ("", "Limits of agreement", "Lin's concordance (CI)", "Mean absolute difference")
_MEANS = "Means over the cases that have both; the difference is first less second."
_LIMITS = "Limits of agreement: Bland and Altman, mean difference plus and minus 1.96 SD."


def blocks(view: StepView) -> Iterator[Block]:
    """Return two tables for each part: of differences, of agreement."""
    for part, values in view.parts.items():
        pairs = values["pairs"]
        title = view.title(part)
        rows = tuple(Row(_named(view, one), _difference(one)) for one in pairs)
        yield Table(f"Paired comparisons, {title}", _DIFFERENCE, rows, tuple(_notes(view, values)))
        rows = tuple(Row(_named(view, one), _agreement(one)) for one in pairs)
        yield Table(f"Agreement, {title}", _AGREEMENT, rows, (_LIMITS,))


def _named(view: StepView, one: Pair) -> str:
    return f"{view.label(one['a'])} \N{MINUS SIGN} {view.label(one['b'], unit=False)}"


def _difference(one: Pair) -> tuple[str, ...]:
    decimals = _decimals(one)
    means = (fixed(one[key], decimals) for key in ("mean_a", "mean_b"))
    t_test = one.get("t_test") or {}
    tests = (p_value(_p(one.get(name))) for name in ("t_test", "wilcoxon"))
    return (whole(one["n"]), *means, estimate(dict(t_test), "estimate", decimals), *tests)


def _agreement(one: Pair) -> tuple[str, ...]:
    decimals = _decimals(one)
    limits = one.get("limits_of_agreement")
    ends = NONE
    if limits:
        ends = interval(limits["lower"]["estimate"], limits["upper"]["estimate"], decimals)
    lin = estimate(dict(one.get("concordance") or {}), "estimate", 3)
    return ends, lin, fixed(one.get("mean_absolute_difference"), decimals)


def _decimals(one: Pair) -> int:
    limits = one.get("limits_of_agreement") or {}
    return decimals_for(limits.get("sd"))


def _p(test: Pair | None) -> Any:
    return None if test is None else test.get("p_adjusted", test.get("p"))


def _notes(view: StepView, values: Mapping[str, Any]) -> Iterator[str]:
    yield _MEANS
    if values["correction"] != "none":
        yield f"p adjusted ({str(values['correction']).replace('_', ' ').capitalize()})."
    said = [
        (_named(view, one), str(note))
        for one in values["pairs"]
        if (note := one.get("note") or (one.get("wilcoxon") or {}).get("note"))
    ]
    for why, of in by_cause(said).items():
        yield f"{some(of)}: {why}."
