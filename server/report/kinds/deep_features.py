"""Features of a network's layers: how many, and cases put aside."""

from collections.abc import Iterator

from server.report.blocks import Block, Items
from server.report.kinds.put_aside import failures
from server.report.numbers import whole
from server.report.view import StepView


def sentence(view: StepView) -> str:
    """Say where the features are from."""
    step = view.step
    if step.network:
        source = f"the convolutions of the network that step {step.network} trained"
    else:
        source = f"random filters (seed {step.seed}), which have learnt nothing"
    return f"Every site pools {source} over {', '.join(step.masks)}. The features stay there."


def blocks(view: StepView) -> Iterator[Block]:
    """Return counts."""
    for part, values in view.parts.items():
        each = whole(values["n_features"])
        if view.step.of:
            each = ", ".join(f"{each} of {image}" for image in view.step.of)
        yield Items((("Features of a region", each),))
        yield from failures(view.title(part), values)
