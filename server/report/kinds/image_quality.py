"""What of the regions a person should look at."""

from collections.abc import Iterator

from server.report.blocks import Block, Note, Row, Table
from server.report.numbers import plural, whole
from server.report.view import StepView


def sentence(view: StepView) -> str:
    """Say what is measured."""
    return (
        f"Every site measures its regions ({', '.join(view.step.masks)}) and counts those that "
        "are small, fall apart, touch the border of the image or are saturated."
    )


def blocks(view: StepView) -> Iterator[Block]:
    """Return counts by image and limit."""
    step = view.step
    words = {
        "too_small": f"below {step.smallest_ml:g} ml",
        "many_parts": f"more than {plural(step.most_parts, 'part')}",
        "single_voxels": "single voxels",
        "one_slice": "one slice only",
        "touches_border": "touches the border",
        "saturated": f"more than {step.most_saturated:.0%} saturated",
    }
    for part, values in view.parts.items():
        flags = values.get("flags", {})
        rows = [
            Row(word, tuple(whole(of[name]) for of in flags.values()))
            for name, word in words.items()
        ]
        counts = [f"{plural(values['n_regions'], 'region')} looked at"]
        counts.append(f"{whole(values['n_flagged'])} beyond a limit")
        counts.append(f"{whole(values['n_failed'])} not measurable")
        note = ", ".join(counts) + ". A region can be beyond several limits."
        if flags:
            title = f"Regions beyond limits, {view.title(part)}"
            yield Table(title, ("", *flags), tuple(rows), (note,))
        if values["n_flagged"]:
            yield Note("The sites' own logs name the cases.", "warn")
