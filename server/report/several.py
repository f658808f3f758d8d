"""Several cases of a patient, which tests and intervals take for patients of their own."""

from collections.abc import Iterator, Mapping
from typing import Any

from common.analyses.independence import CASES_AS_INDEPENDENT
from server.report.numbers import is_number, plural, whole
from server.report.record import Record
from server.report.view import StepView

_SAID = "several cases of a patient count as patients of their own: as far as they are alike, p "
_SAID += "is too small and intervals are too narrow"


def several_in_step(view: StepView) -> str | None:
    """Return what is to be said below a step's tables; None where a patient has one case."""
    if view.kind not in CASES_AS_INDEPENDENT:
        return None
    counted = [
        f"{_counts(values)} ({view.title(part)})"
        for part, values in view.parts.items()
        if _several(values)
    ]
    if counted:
        return f"{'; '.join(counted)}: {_SAID}."
    unknown = not any(is_number(values.get("n_patients")) for values in view.parts.values())
    if unknown and any(_all_several(view.record)):
        return f"{_SAID[:1].upper()}{_SAID[1:]}."
    return None


def several_in_study(record: Record) -> str | None:
    """Return what is to be said of the study; None where every patient has one case."""
    found = max(_all_several(record), key=lambda values: float(values["n"]), default=None)
    if found is None:
        return None
    return f"{_counts(found)}. In tests and models {_SAID}. Folds are drawn by patient."


def _all_several(record: Record) -> Iterator[Mapping[str, Any]]:
    for parts in record.answers.values():
        yield from (values for values in parts.values() if _several(values))


def _several(values: Mapping[str, Any]) -> bool:
    n, n_patients = values.get("n"), values.get("n_patients")
    return is_number(n) and is_number(n_patients) and n_patients < n


def _counts(values: Mapping[str, Any]) -> str:
    return f"{whole(values['n'])} cases of {plural(int(values['n_patients']), 'patient')}"
