"""Which cases were put aside, by the cohort's check or any step of a run, and why.

One file a run, `runs/<run>/quarantine.csv`, for the site's own people. It names cases, so
it never leaves the site: the coordinator gets counts by reason.
"""

import csv
import io
import logging
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from client.files import write_atomically

log = logging.getLogger(__name__)

FILE = "quarantine.csv"
_MOST_LOGGED = 100
COHORT_CHECK = "cohort check"
"""Stands for a step; no step can have this name."""
_HEADING = ("case_id", "step", "reason", "detail")


@dataclass(frozen=True, slots=True)
class Aside:
    """A case that was put aside.

    Attributes:
        case_id: the site's own name of it.
        step: that did so, or the check of the cohort.
        reason: what is counted.
        detail: for the site's own people.
    """

    case_id: str
    step: str
    reason: str
    detail: str


def write_cohort_asides(folder: Path, cohort: Iterable[Aside]) -> None:
    """Write a run's file, and the site's log, with what the check has put aside: once a run."""
    cohort = [*cohort]
    if (folder / FILE).exists():
        return
    write_asides(folder, cohort, COHORT_CHECK, ())
    for one in cohort[:_MOST_LOGGED]:
        log.warning("%s: put aside: %s %s", one.case_id, one.reason, one.detail)
    if len(cohort) > _MOST_LOGGED:
        log.warning("%d more cases put aside: see %s", len(cohort) - _MOST_LOGGED, folder / FILE)


def write_asides(folder: Path, cohort: Iterable[Aside], step: str, found: Iterable[Aside]) -> None:
    """Write a run's file anew, with what the cohort's check and a step have put aside.

    Args:
        folder: of the run.
        cohort: put aside by the check.
        step: whose cases are `found`; those of an earlier try are replaced.
        found: put aside by it.
    """
    path = folder / FILE
    others = [one for one in _read(path) if one.step not in (COHORT_CHECK, step)]
    text = io.StringIO()
    sheet = csv.writer(text, lineterminator="\n")
    sheet.writerow(_HEADING)
    for one in dict.fromkeys([*cohort, *others, *found]):
        sheet.writerow((one.case_id, one.step, one.reason, one.detail))
    write_atomically(path, text.getvalue().encode())


def _read(path: Path) -> list[Aside]:
    if not path.exists():
        return []
    rows = csv.DictReader(io.StringIO(path.read_text(encoding="utf-8")))
    return [Aside(*(row[name] for name in _HEADING)) for row in rows]
