"""Survival models with one baseline for all sites: hazard ratios as a forest and a table."""

from collections.abc import Iterator

from server.report.blocks import Block, Text
from server.report.forest import model_blocks
from server.report.numbers import is_number, whole
from server.report.view import StepView
from server.report.words import listed


def sentence(view: StepView) -> str:
    """Say what is explained by what, and how the hazard is modelled."""
    step = view.step
    models = [
        f"{name.replace('_', ' ')} ({listed([view.label(c, unit=False) for c in columns])})"
        for name, columns in step.models.items()
    ]
    return (
        f"Piecewise exponential regression of {view.label(step.event, unit=False)} over "
        f"{view.label(step.time)}, one baseline hazard for all sites: {'; '.join(models)}."
    )


def blocks(view: StepView) -> Iterator[Block]:
    """Return the models of every part."""
    yield from model_blocks(view, "hazard_ratio")
    for part, values in view.parts.items():
        if is_number(values.get("n_intervals")):
            n = whole(values["n_intervals"])
            yield Text(f"{view.title(part)}: the baseline hazard is constant within {n} intervals.")
