"""Cases that came in, were done, and were put aside by reason: for steps that read regions."""

from collections.abc import Iterator, Mapping
from typing import Any

from server.report.blocks import Block, Note, Row, Table
from server.report.numbers import plural, whole

_WORDS = {
    "image_missing": "no image",
    "image_unreadable": "the image cannot be read",
    "image_not_finite": "NaN or infinite voxels",
    "mask_missing": "nobody drew the region",
    "mask_unreadable": "the mask cannot be read",
    "mask_empty": "a region is empty",
    "mask_other_grid": "the mask lies on another grid",
    "mask_off_image": "the mask lies off the image",
    "region_too_small": "the region is too small",
    "region_cut_away": "nothing of the region is within the profile's grey levels",
    "one_grey_level": "a single grey level",
    "too_many_grey_levels": "too many grey levels",
    "out_of_unit": "grey levels not in the declared unit",
    "not_a_number": "a feature is not a number",
    "out_of_memory": "out of memory",
    "crashed": "the extraction crashed",
    "failed": "the extraction failed",
}


def failures(title: str, values: Mapping[str, Any]) -> Iterator[Block]:
    """Return the flow of cases of a part, and a note where some were put aside."""
    rows = []
    if "n_screened" in values:
        rows.append(Row("Screened", (whole(values["n_screened"]),)))
        left_out = values.get("left_out", {})
        rows += [Row(_said(code), (whole(n),), "level") for code, n in left_out.items()]
        rows.append(Row("In the cohort", (whole(values["n_in_cohort"]),)))
    rows.append(Row("Looked at in this step", (whole(values["n_cases"]),)))
    reasons = values.get("reasons", {})
    rows += [Row(_said(code), (whole(n),), "level") for code, n in reasons.items()]
    rows.append(Row("Done", (whole(values["done"]),), "total"))
    yield Table(f"Cases, {title}", ("", "Cases"), tuple(rows))
    n_aside, total = _aside(values)
    if n_aside:
        text = (
            f"{plural(n_aside, 'case')} of {whole(total)} put aside: at least one region has no "
            "features. Each site's own file quarantine.csv names them, those that did not fit "
            "the cohort too, with reason and detail."
        )
        yield Note(text, "warn")


def told(answers: Mapping[str, Mapping[str, Mapping[str, Any]]]) -> Iterator[str]:
    """Yield a line for each part of a step that did not do all cases."""
    for step, parts in answers.items():
        for part, values in parts.items():
            if "done" not in values or "n_cases" not in values:
                continue
            n_aside, total = _aside(values)
            if n_aside:
                where = step if part == "all" else f"{step}/{part}"
                yield f"{where}: {values['done']} of {total} cases done, {n_aside} put aside"


def _aside(values: Mapping[str, Any]) -> tuple[int, int]:
    """Return how many cases were put aside, and of how many: of those the step is about.

    What did not fit the cohort has no values by which a step could select it; it counts.
    """
    n_aside = values["failed"] + values.get("n_screened", 0) - values.get("n_in_cohort", 0)
    return n_aside, values["done"] + n_aside


def reasons_in_words(values: Mapping[str, Any]) -> str:
    """Return why cases or regions were put aside, most of them first; "" where it is not told."""
    reasons = sorted(values.get("reasons", {}).items(), key=lambda item: -item[1])
    return ", ".join(f"{_said(code)}: {n}" for code, n in reasons)


def _said(code: str) -> str:
    return _WORDS.get(code, code.replace("_", " "))
