"""Logistic models: odds ratios as a forest and a table."""

from collections.abc import Iterator

from server.report.blocks import Block
from server.report.forest import model_blocks
from server.report.kinds.roc import outcome_words
from server.report.view import StepView
from server.report.words import listed


def sentence(view: StepView) -> str:
    """Say what is explained by what."""
    models = [
        f"{name.replace('_', ' ')} ({listed([view.label(c, unit=False) for c in columns])})"
        for name, columns in view.step.models.items()
    ]
    return f"Logistic regression of {outcome_words(view)}: {'; '.join(models)}."


def blocks(view: StepView) -> Iterator[Block]:
    """Return the models of every part."""
    yield from model_blocks(view, "odds_ratio")
