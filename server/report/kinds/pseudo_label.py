"""Masks that a network drew where nobody did: how many, and how sure it was."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from matplotlib.figure import Figure as Canvas

from common.tasks.pseudo_label import COUNTS, N_BINS, PseudoLabel
from server.report import charts
from server.report.blocks import Block, Figure, Row, Table
from server.report.numbers import fixed, share, whole
from server.report.view import StepView

_HEADS = {
    "true": "Outlined by a reader",
    "accepted": "Accepted",
    "rejected": "Rejected",
    "failed": "Failed",
}


def sentence(view: StepView) -> str:
    """Say which network labels what, and from when on it is believed."""
    step = view.step
    mirrored = f" and mirrored along {', '.join(step.flips)}" if step.flips else ""
    return (
        f"Every site applies the network of {step.network} to its own cases without a mask, as "
        f"they are{mirrored}. Voxels with a probability below {step.voxel_confidence:g} are "
        f"ignored, cases with {_measure(step)} below {step.case_confidence:g} rejected. Masks "
        "stay there; masks of readers are kept as they are."
    )


def _measure(step: PseudoLabel) -> str:
    if step.case_judged_by == "agreement":
        return "a Dice between image and mirror image"
    return "a mean probability"


def blocks(view: StepView) -> Iterator[Block]:
    """Return counts by what became of cases, and a histogram of confidence."""
    rows = tuple(
        Row(view.title(part), (*(whole(v[name]) for name in COUNTS), _accepted(v)))
        for part, v in view.parts.items()
    )
    head = ("Sites", *(_HEADS[name] for name in COUNTS), "Accepted of all tried")
    yield Table("Pseudo-labels", head, rows)
    for part, values in view.parts.items():
        if sum(values["confidence"]):
            yield _figure(view, part, values["confidence"])


def _accepted(values: Mapping[str, Any]) -> str:
    tried = values["accepted"] + values["rejected"]
    return share(values["accepted"], tried) if tried else "-"


def _figure(view: StepView, part: str, counts: Sequence[int]) -> Figure:
    threshold = view.step.case_confidence
    if view.step.case_judged_by == "agreement":
        means = "the Dice of what is found in the image and in its mirror images"
    else:
        means = "the mean probability of the voxels that are not background"

    def paint(canvas: Canvas) -> None:
        axes = canvas.subplots()
        width = 1.0 / N_BINS
        at = [(i + 0.5) * width for i in range(N_BINS)]
        kept = [charts.COLOURS[0] if x > threshold else charts.FAINT for x in at]
        axes.bar(at, counts, width * 0.92, color=kept)
        axes.axvline(threshold, color=charts.INK, lw=1, ls=charts.LINES[1])
        axes.set_xlim(0, 1)
        axes.set_xlabel("confidence of a case")
        axes.set_ylabel("cases")
        charts.grid(axes, "y")

    return charts.draw(
        view.figure_name("confidence", part),
        "Confidence of cases",
        f"Cases without a mask by the network's confidence; {fixed(threshold, 2)} accepts them.",
        paint,
        height=2.4,
        caption=f"Cases by confidence, {view.title(part)}: {means}. Dashed: {threshold:g}, "
        "from where on a case is accepted.",
    )
