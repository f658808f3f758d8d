"""Whether an answer has a result, or only says why it has none."""

from collections.abc import Iterable, Mapping
from typing import Any

from common.analyses.analysis import APPLY
from common.analyses.publish import NOBODY
from server.report.kinds.put_aside import reasons_in_words

_MADE = ("done", "true", "accepted", "rejected", "empty")
"""Counts of cases that a step on images has dealt with."""

_SETTINGS = ("rule", "threshold")
"""Keys whose numbers are what was asked, not what was found."""


def why_no_result(values: Mapping[str, Any]) -> str | None:
    """Return in an answer's own words why it has no result; None where it has one.

    A result is a number that is no count: an answer without one, beside a note, only says
    why. So does a test with a note and no p, whatever it says of its groups. An answer of
    counts and no note, such as the check of a cohort, is its own result; but a step on images
    that had to put every case aside has made nothing.
    """
    if why := _all_aside(values):
        return why
    notes: list[str] = []
    if values.get("n") == 0 and not _told(values, notes):
        return "; ".join(dict.fromkeys(notes)) or NOBODY
    if _told(values, notes) or not notes:
        return None
    return "; ".join(dict.fromkeys(notes))


def without_result(
    steps: Iterable[str], answers: Mapping[str, Mapping[str, Mapping[str, Any]]]
) -> dict[str, str]:
    """Return why steps have no result over any of their sites; those without an answer not."""
    found = {}
    for step in steps:
        parts = [v for part, v in answers.get(step, {}).items() if part != APPLY]
        why = [why_no_result(values) for values in parts]
        if parts and all(why):
            found[step] = "; ".join(dict.fromkeys(filter(None, why)))
    return found


def _all_aside(values: Mapping[str, Any]) -> str:
    """Return in words that every case was put aside, and why; "" where not."""
    made = [values[name] for name in _MADE if name in values]
    why = reasons_in_words(values)
    if made and values.get("failed") and not any(n != 0 for n in made):
        return f"every case was put aside{f' ({why})' if why else ''}"
    if values.get("n_failed") and values["n_failed"] == values.get("n_regions"):
        return f"every region was put aside{f' ({why})' if why else ''}"
    return ""


def _told(value: Any, notes: list[str]) -> bool:
    """Return whether there is a result in a value; collect the notes of what has none."""
    if isinstance(value, Mapping):
        inside: list[str] = []
        told = any(_told(v, inside) for k, v in value.items() if k not in _SETTINGS)
        note = value.get("note")
        if isinstance(note, str) and note and (not told or _untested(value)):
            notes.append(note)
            return False
        notes += inside
        return told
    if isinstance(value, list):
        return any(_told(v, notes) for v in value)
    return isinstance(value, float)


def _untested(value: Mapping[str, Any]) -> bool:
    return "p" in value and value["p"] is None and value.get("estimate") is None
