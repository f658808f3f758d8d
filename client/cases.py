"""A site's cases, as everything behind the cohort check sees them.

Nothing in this file leaves a site: identifiers, paths and texts stay in its own log.
Only the counts of a `Flow` may pass the gate.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from common.drawing import Drawing
from common.errors import Finding
from common.flow import Code


@dataclass(frozen=True, slots=True)
class Case:
    """One examination that fits the study's contract.

    Attributes:
        case_id: the site's own name of the case, distinct within the site.
        patient_id: the person; two cases of one patient share it.
        split: "train", "validation", "test", or "" where the site gave no split.
        session: the site's name of the visit, or "".
        images: file or DICOM folder of each image that the case has.
        masks: file of every mask of the contract, None where the case has none.
        values: number of every column of the contract; NaN means missing, a category
            is the index of its level.
        drawing: of folds among all patients of the site; None: of this patient by itself.
    """

    case_id: str
    patient_id: str
    split: str
    session: str
    images: Mapping[str, Path]
    masks: Mapping[str, Path | None]
    values: Mapping[str, float]
    drawing: Drawing | None = field(default=None, compare=False, repr=False)


class Severity(StrEnum):
    """What a problem does to its case."""

    ERROR = "error"  # the case is left out
    WARNING = "warning"  # the case stays


@dataclass(frozen=True, slots=True)
class CaseProblem:
    """One thing the matter with one case; an error leaves the case out.

    Attributes:
        case_id: the case.
        severity: whether the case stays.
        code: what is counted.
        text: for the site's own people; never sent.
        row: line of the case in cohort.csv, the heading being line 1.
        column: column of cohort.csv that it is about, or "".
    """

    case_id: str
    severity: Severity
    code: Code
    text: str
    row: int
    column: str

    def __str__(self) -> str:
        what = f'"{self.column}": ' if self.column else ""
        return f"row {self.row} ({self.case_id}): {what}{self.text}"

    def finding(self, file: str) -> Finding:
        """Return it in the form of every other mistake in a file."""
        return Finding(file, self.row, self.column, f"{self.case_id}: {self.text}")


@dataclass(frozen=True, slots=True)
class Flow:
    """How many cases and patients came in and why others did not: counts only.

    Attributes:
        n_screened: rows of cohort.csv.
        n_included: cases that fit the contract.
        n_patients: distinct patients of the included cases.
        excluded: cases left out, by their first error; adds up with `n_included`.
        warned: included cases with a warning, by code.
        splits: included cases by split; "" holds those without one.
    """

    n_screened: int
    n_included: int
    n_patients: int
    excluded: Mapping[Code, int]
    warned: Mapping[Code, int]
    splits: Mapping[str, int]
