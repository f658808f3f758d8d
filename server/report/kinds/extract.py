"""Radiomics extracted at the sites: how many features, cases put aside, grey levels."""

from collections.abc import Iterator, Mapping
from typing import Any

from server.report.blocks import Block, Items, Note, Row, Table
from server.report.kinds.put_aside import failures
from server.report.numbers import plural, whole
from server.report.view import StepView

_LEVELS = {"below_8": "fewer than 8", "8_to_256": "8 to 256", "above_256": "more than 256"}


def sentence(view: StepView) -> str:
    """Say what is extracted of what."""
    images, masks = ", ".join(view.step.of), ", ".join(view.step.masks)
    what = f"radiomic features from {images} within {masks}" if images else f"the shape of {masks}"
    return (
        f"Every site extracts {what}, on its own computers. The features stay there as columns "
        "of its table; counts leave."
    )


def blocks(view: StepView) -> Iterator[Block]:
    """Return counts of features and cases, failures by reason, grey levels."""
    for part, values in view.parts.items():
        yield Items(tuple(_about(values)))
        yield from failures(view.title(part), values)
        yield from _levels(view.title(part), values.get("grey_levels", {}))


def _about(values: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    counts = values["features"]
    each = ", ".join(f"{whole(n)} of {image}" for image, n in counts.items())
    yield "Features of a region", each
    yield "Profile", ", ".join(sorted({f[:12] for f in values["fingerprints"].values()}))
    yield "Same software at all sites", "yes: each passed the self-test with the same result"


def _levels(title: str, found: Mapping[str, Mapping[str, int]]) -> Iterator[Block]:
    if not found:
        return
    rows = tuple(
        Row(image, tuple(whole(counts.get(key, 0)) for key in _LEVELS))
        for image, counts in found.items()
    )
    yield Table(f"Grey levels of a region, {title}", ("Image", *_LEVELS.values()), rows)
    n_odd = sum(counts["below_8"] + counts["above_256"] for counts in found.values())
    if n_odd:
        text = (
            f"{plural(n_odd, 'region has', 'regions have')} fewer than 8 or more than 256 grey "
            "levels: texture features of them say little. Is the bin width in the image's unit?"
        )
        yield Note(text, "warn")
