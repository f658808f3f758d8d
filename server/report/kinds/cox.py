"""Cox models: hazard ratios as a forest and a table."""

from collections.abc import Iterator

from server.report.blocks import Block
from server.report.forest import model_blocks
from server.report.view import StepView


def blocks(view: StepView) -> Iterator[Block]:
    """Return the models of every part."""
    yield from model_blocks(view, "hazard_ratio")
