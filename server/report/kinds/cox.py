"""Cox models: hazard ratios as a forest and a table."""

from collections.abc import Iterator

from server.report.blocks import Block, Text
from server.report.forest import model_blocks
from server.report.view import StepView
from server.report.words import listed


def sentence(view: StepView) -> str:
    """Say what is explained by what, and within which strata."""
    step = view.step
    models = [
        f"{name.replace('_', ' ')} ({listed([view.label(c, unit=False) for c in columns])})"
        for name, columns in step.models.items()
    ]
    strata = ["site", *(view.label(c, unit=False) for c in step.strata)]
    return (
        f"Cox regression of {view.label(step.event, unit=False)} over {view.label(step.time)}, "
        f"stratified by {listed(strata)}: {'; '.join(models)}."
    )


def blocks(view: StepView) -> Iterator[Block]:
    """Return the models of every part."""
    yield from model_blocks(view, "hazard_ratio")
    yield Text(
        "Sites share the hazard ratios, each with a baseline hazard of its own. "
        "C: Harrell's concordance over pairs within a stratum."
    )
