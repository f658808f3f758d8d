"""Agreement of two readers' categories: kappa, who leans higher, and how they cross."""

from collections.abc import Iterator, Mapping
from typing import Any

from server.report.blocks import Block, Row, Table
from server.report.numbers import NONE, estimate, fixed, is_number, told_p, whole
from server.report.table_one import HIDDEN
from server.report.view import StepView

Pair = Mapping[str, Any]
_WEIGHTS = {
    "none": "Cohen's kappa: agreement beyond chance, 1 where readers always agree.",
    "linear": "Kappa with linear weights: levels that lie close count in part.",
    "quadratic": "Kappa with quadratic weights: levels that lie close count almost whole.",
}
_TESTS = {"mcnemar": "McNemar, exact", "bowker": "Bowker"}


def sentence(view: StepView) -> str:
    """Say who is compared with whom."""
    pairs = [_named(view, a, b) for a, b in view.step.pairs]
    return f"Agreement of {'; of '.join(pairs)}: kappa, and whether one of a pair leans higher."


def blocks(view: StepView) -> Iterator[Block]:
    """Return for each part a table of kappas, then one of counts a pair."""
    for part, values in view.parts.items():
        yield _kappas(view, part, values)
        for one in values["pairs"]:
            if isinstance(one.get("counts"), dict):
                yield _crossed(view, part, one)


def _named(view: StepView, a: str, b: str) -> str:
    return f"{view.label(a, unit=False)} and {view.label(b, unit=False)}"


def _kappas(view: StepView, part: str, values: Mapping[str, Any]) -> Table:
    level = f"{100 * view.step.level:g} % CI"
    head = ("", "n", "Missing", "Agreement", f"Kappa ({level})", "p", "One leans higher, p")
    rows, notes = [], [_WEIGHTS.get(str(values.get("weights")), "")]
    notes.append("Agreement: share of cases that both put into one level. p: of kappa being 0.")
    for one in values["pairs"]:
        name = _named(view, one["a"], one["b"])
        rows.append(Row(name, _cells(one)))
        said = [one, one.get("kappa") or {}, one.get("symmetry") or {}]
        told = (of.get(key) for of in said for key in ("note", "hidden"))
        notes += [f"{name}: {text}." for text in dict.fromkeys(filter(None, told))]
    return Table(f"Agreement, {view.title(part)}", head, tuple(rows), tuple(filter(None, notes)))


def _cells(one: Pair) -> tuple[str, ...]:
    found, lean = one.get("kappa") or {}, one.get("symmetry") or {}
    agreed = found.get("agreement")
    test = _TESTS.get(str(lean.get("test")), "")
    return (
        whole(found.get("n")),
        whole(one.get("missing")),
        f"{fixed(100 * agreed, 1)} %" if is_number(agreed) else NONE,
        " to ".join(fixed(x, 2) for x in found.get("between", ()))
        or estimate(dict(found), "estimate", 2),
        told_p(found),
        f"{told_p(lean)}\n{test}" if test else NONE,
    )


def _crossed(view: StepView, part: str, one: Pair) -> Table:
    a, b = (view.label(one[key], unit=False) for key in ("a", "b"))
    levels = list(one["counts"])
    rows = []
    for level, of in one["counts"].items():
        cells = tuple(HIDDEN if of.get(x) is None else whole(of[x]) for x in levels)
        rows.append(Row(str(level), cells))
    notes = ["Cells: cases; on the diagonal both agree."]
    if any(HIDDEN in row.cells for row in rows):
        notes.append("Hidden: fewer than five patients, or what would give such a count away.")
    head = (f"{a}, below; {b}, across", *map(str, levels))
    return Table(f"{a} by {b}, {view.title(part)}", head, tuple(rows), tuple(notes))
