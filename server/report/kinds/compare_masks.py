"""Pairs of masks compared at the sites: how many."""

from collections.abc import Iterator

from server.report.blocks import Block, Row, Table
from server.report.numbers import whole
from server.report.view import StepView
from server.report.words import listed


def sentence(view: StepView) -> str:
    """Say which masks are compared with which."""
    pairs = [f"{a} with {b} ({name})" for name, (a, b) in view.step.pairs.items()]
    return (
        f"Every site compares, case by case, {listed(pairs)}. The scores stay there, in "
        f"columns/{view.name}.csv of its workspace; later steps describe and test them."
    )


def blocks(view: StepView) -> Iterator[Block]:
    """Return counts of pairs by part."""
    rows = tuple(
        Row(view.title(part), (whole(v["done"]), whole(v["failed"])))
        for part, v in view.parts.items()
    )
    yield Table("Pairs of masks", ("Sites", "Compared", "Failed"), rows)
