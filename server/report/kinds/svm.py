"""A support vector machine: which columns it leans on, and its weights."""

from collections.abc import Iterator, Mapping
from typing import Any

from server.report.blocks import Block, Note, Row, Table
from server.report.classifiers import bars, cases_words, largest, more_words, predicts
from server.report.numbers import fixed, plural, significant
from server.report.view import StepView

_MOST = 40
_KERNELS = {"linear": "linear kernel", "rbf_features": "radial kernel by random features"}


def sentence(view: StepView) -> str:
    """Say what is predicted from what."""
    kernel = _KERNELS.get(view.step.kernel, view.step.kernel)
    return predicts(view, f"a support vector machine ({kernel})")


def blocks(view: StepView) -> Iterator[Block]:
    """Return for each part a picture of the weights and a table of them."""
    for part, values in view.parts.items():
        title = view.title(part)
        if values.get("note") or not values.get("importance"):
            yield Note(f"{title}: {values.get('note') or 'no fit'}.", "warn")
        if not values.get("importance"):
            continue
        if not values.get("converged"):
            yield Note(f"{title}: the fit did not settle; its numbers are not to be used.", "bad")
        yield from _pictured(view, part, values)
        yield _table(view, part, values)


def _pictured(view: StepView, part: str, values: Mapping[str, Any]) -> Iterator[Block]:
    terms = values.get("terms")
    if terms:
        top = largest({name: of.get("estimate_per_sd") for name, of in terms.items()})
        what = "Weight per standard deviation"
        said = f"Above zero, more of it speaks for the event. The {_columns(top)} of most weight."
    else:
        top, what = largest(values["importance"]), "Importance"
        said = f"Share of the slope of the decision along each column: the {_columns(top)} of most."
    if top:
        yield bars(view, part, what, top, caption=said)


def _columns(top: list[tuple[str, float]]) -> str:
    return plural(len(top), "column")


def _table(view: StepView, part: str, values: Mapping[str, Any]) -> Table:
    terms, importance = values.get("terms") or {}, values["importance"]
    rows = []
    for name, share in list(importance.items())[:_MOST]:
        cells = [f"{fixed(100 * share, 1)} %"]
        if terms:
            of = terms.get(name, {})
            cells = [significant(of.get(k)) for k in ("estimate_per_sd", "estimate")] + cells
        rows.append(Row(view.label(name), tuple(cells)))
    head = ("", *(("Weight per SD", "Weight per unit") if terms else ()), "Share of all")
    kernel = _KERNELS.get(str(values.get("kernel")), str(values.get("kernel")))
    title = f"Support vector machine, {kernel}, {view.title(part)}: {cases_words(values)}"
    notes = [
        "Weights are of the decision, a number whose sign tells the class; they are no odds "
        "ratios, and have no p."
        if terms
        else "A machine with a radial kernel has no weight of its own for a column."
    ]
    return Table(title, head, tuple(rows), (*notes, *more_words(len(rows), len(importance))))
