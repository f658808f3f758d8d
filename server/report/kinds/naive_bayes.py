"""Naive Bayes: how far the classes lie apart in each column."""

from collections.abc import Iterator, Mapping
from typing import Any

from server.report.blocks import Block, Note, Row, Table
from server.report.classifiers import bars, cases_words, largest, more_words, predicts
from server.report.numbers import decimals_for, fixed, plural
from server.report.view import StepView

_MOST = 40


def sentence(view: StepView) -> str:
    """Say what is predicted from what."""
    return predicts(view, "naive Bayes (columns normal and independent within each class)")


def blocks(view: StepView) -> Iterator[Block]:
    """Return for each part a picture of the differences and a table of both classes."""
    for part, values in view.parts.items():
        terms = values.get("terms")
        if not terms:
            yield Note(f"{view.title(part)}: {values.get('note') or 'no fit'}.", "warn")
            continue
        apart = {name: of.get("standardised_difference") for name, of in terms.items()}
        if top := largest(apart):
            yield bars(
                view,
                part,
                "Standardised difference",
                top,
                caption="Mean of the events less mean of the others, in their common standard "
                f"deviation: the {plural(len(top), 'column')} farthest apart.",
            )
        yield _table(view, part, values)


def _table(view: StepView, part: str, values: Mapping[str, Any]) -> Table:
    terms = values["terms"]
    order = sorted(terms, key=lambda name: -abs(terms[name].get("standardised_difference") or 0))
    rows = tuple(
        Row(
            view.label(name),
            (
                *_means(terms[name]),
                fixed(terms[name].get("standardised_difference"), 2),
            ),
        )
        for name in order[:_MOST]
    )
    head = ("", "Events, mean (SD)", "Others, mean (SD)", "Standardised difference")
    notes = ("SD with n, as the classifier has it.", *more_words(len(rows), len(terms)))
    title = f"Classes by column, {view.title(part)}: {cases_words(values)}"
    return Table(title, head, rows, notes)


def _means(of: Mapping[str, Any]) -> Iterator[str]:
    decimals = decimals_for(of.get("sd_non_events"))
    for class_ in ("events", "non_events"):
        mean, sd = of.get(f"mean_{class_}"), of.get(f"sd_{class_}")
        yield f"{fixed(mean, decimals)} ({fixed(sd, decimals)})"
