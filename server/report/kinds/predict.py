"""Cases predicted at the sites: how many were."""

from collections.abc import Iterator

from server.report.blocks import Block, Row, Table
from server.report.numbers import whole
from server.report.view import StepView


def sentence(view: StepView) -> str:
    """Say which network is applied."""
    trained = view.study.bound[view.step.network]
    text = (
        f"Every site applies the network of {view.step.network}, and its baselines, to its "
        "own cases. What it makes of them and the scores stay there."
    )
    if trained.folds:
        how = "majority vote" if view.step.combine == "vote" else "mean"
        text += (
            " A training case of a developing site is predicted by the network that never saw "
            f"its patient, every other case by all {trained.folds}: their {how}."
        )
    return text


def blocks(view: StepView) -> Iterator[Block]:
    """Return counts of cases by part."""
    rows = tuple(
        Row(view.title(part), (whole(values.get("done")), whole(values.get("failed"))))
        for part, values in view.parts.items()
    )
    note = "Counted over all networks: a case is predicted once by each of them."
    yield Table("Predictions", ("Sites", "Made", "Failed"), rows, (note,))
