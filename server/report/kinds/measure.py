"""Sizes of masks and slices in the middle of them: how many were made."""

from collections.abc import Iterator

from common.tasks.measure import Slice
from server.report.blocks import Block, Row, Table
from server.report.numbers import whole
from server.report.view import StepView
from server.report.words import listed

_SIZES = {"area_cm2": "area", "volume_ml": "volume"}
_WORDS = {3: "three", 5: "five", 7: "seven", 9: "nine"}


def sentence(view: StepView) -> str:
    """Say what is measured, and what is cut out."""
    step = view.step
    texts = []
    if step.sizes:
        texts.append(f"measures the {listed([_SIZES[s] for s in step.sizes])} of {step.mask}")
    if step.slice:
        of = f"{step.slice.label} of {step.mask}" if step.slice.label else step.mask
        cut = listed([*step.slice.images, *step.slice.masks])
        texts.append(f"cuts the {_slices(step.slice)} in the middle of {of} out of {cut}")
    return f"Every site {' and '.join(texts)}, case by case. Nothing of it leaves but counts."


def _slices(cut: Slice) -> str:
    n = cut.slices
    return f"{cut.plane} slice" if n == 1 else f"{_WORDS.get(n, n)} {cut.plane} slices"


def blocks(view: StepView) -> Iterator[Block]:
    """Return counts of cases by part."""
    rows = tuple(
        Row(view.title(part), tuple(whole(v[name]) for name in ("done", "empty", "failed")))
        for part, v in view.parts.items()
    )
    yield Table("Cases measured", ("Sites", "Measured", "Nothing marked", "Failed"), rows)
