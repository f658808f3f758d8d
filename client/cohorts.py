"""A site's checked cohort for a study, and the cases a step looks at."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from threading import Lock
from typing import Any

import numpy as np

from client.cases import Case, CaseProblem, Flow, Severity
from client.check import Checked, check
from client.cohort_mark import mark_of
from client.gaps import without_lone_gaps
from client.quarantine import COHORT_CHECK, Aside
from client.site import Site
from common.cohort import SPLITS
from common.drawing import Drawing, fold_of, outer_fold
from common.errors import Reason, Refused
from common.flow import Code
from common.step import Cases
from common.study import Study
from common.sums import Sums


@dataclass(frozen=True)
class SiteCohort:
    """The cases of a site that fit a study.

    Attributes:
        cases: in the order of case_id.
        flow: counts of what came in and what was left out.
        aside: who was left out and why, for the site's own people.
        known: what was worked out of these cases before, by what it is; a cohort never
            changes, so digests and checks of it need to be done once.
    """

    cases: tuple[Case, ...]
    flows: tuple[Flow, ...]
    aside: tuple[Aside, ...] = field(default=(), compare=False, repr=False)
    known: dict[Any, Any] = field(default_factory=dict, compare=False, repr=False)

    @property
    def n_patients(self) -> int:
        """Number of distinct patients."""
        return len({case.patient_id for case in self.cases})


def load_cohort(site: Site, study: Study) -> SiteCohort:
    """Return the site's cases that fit the study's contract; slow only the first time.

    Raises:
        Refused: COHORT_INVALID, with every mistake in the detail.
    """
    mark = mark_of(site, study)
    found = _COHORTS.get(mark)
    if found is None:
        found = _load(site, study)
        with _LOCK:  # sites of a simulation may be threads of one process
            while len(_COHORTS) >= _MOST_COHORTS:
                del _COHORTS[next(iter(_COHORTS))]
            _COHORTS[mark] = found
    return found


_COHORTS: dict[str, SiteCohort] = {}
_MOST_COHORTS = 16
_LOCK = Lock()


def _load(site: Site, study: Study) -> SiteCohort:
    least = site.policy.smallest_gap
    checks = [_check(site, study, i) for i in range(len(site.cohorts))]
    if least > 1:
        checks = [without_lone_gaps(study, c, selections(study, c.cases), least) for c in checks]
    fatal = [finding for checked in checks for finding in checked.findings]
    if fatal:
        raise Refused(Reason.COHORT_INVALID, "\n".join(str(finding) for finding in fatal))
    cases = [c for i, checked in enumerate(checks) for c in _named(checked.cases, i, len(checks))]
    ordered = drawn(study, sorted(cases, key=lambda case: case.case_id), n_folders=len(checks))
    aside = [a for i, checked in enumerate(checks) for a in _aside(checked, i, len(checks))]
    return SiteCohort(ordered, tuple(checked.flow for checked in checks), tuple(aside))


def selections(study: Study, cases: Iterable[Case]) -> list[tuple[Case, ...]]:
    """Return the cases in each selection by level that the steps of a study make."""
    wanted = {repr(step.cases.where): step.cases.where for step in study.bound.values()}
    return [select(study, cases, Cases(where=where)) for where in wanted.values()]


def _aside(checked: Checked, i: int, n: int) -> Iterable[Aside]:
    """Return who does not fit the study, by the first error as counted, with all that is said."""
    found: dict[tuple[int, str], list[CaseProblem]] = {}
    for problem in checked.problems:
        if problem.severity is Severity.ERROR:
            found.setdefault((problem.row, problem.case_id), []).append(problem)
    for (row, _), problems in found.items():
        first = problems[0]
        said = "; ".join(f"{p.column}: {p.text}" if p.column else p.text for p in problems)
        case_id = first.case_id if n == 1 else f"{i}-{first.case_id}"
        where = f"row {row}: " if row else ""
        yield Aside(case_id, COHORT_CHECK, str(first.code), f"{where}{said}")


def select(study: Study, cases: Iterable[Case], wanted: Cases) -> tuple[Case, ...]:
    """Return the cases in one of the wanted splits and levels."""
    return tuple(case for case in cases if _fits(study, case, wanted))


def flow_sums(flows: Sequence[Flow], *, alone: bool) -> Sums:
    """Return a site's counts for `check_cohort`."""
    splits = (*SPLITS, "")
    sums = {
        "n_screened": np.array(sum(f.n_screened for f in flows)),
        "n_included": np.array(sum(f.n_included for f in flows)),
        "n_patients": np.array(sum(f.n_patients for f in flows)),
        "splits": np.array([sum(f.splits.get(s, 0) for f in flows) for s in splits]),
    }
    if not alone:
        sums["excluded"] = np.array([sum(f.excluded.get(c, 0) for f in flows) for c in Code])
    return sums


def _check(site: Site, study: Study, i: int) -> Checked:
    return check(
        study.cohort,
        site.cohorts[i],
        renames=site.settings.columns,
        further=site.further_folders,
        cache=site.room("cache", "check"),
    )


def _named(cases: Iterable[Case], i: int, n: int) -> Iterable[Case]:
    """Keep names apart where several folders are pooled: patients of two hospitals differ."""
    if n == 1:
        return cases
    return [replace(c, case_id=f"{i}-{c.case_id}", patient_id=f"{i}-{c.patient_id}") for c in cases]


def drawn(study: Study, cases: Iterable[Case], n_folders: int = 1) -> tuple[Case, ...]:
    """Return a site's cases with the drawing of its folds."""
    cases = tuple(cases)
    patients: dict[str, tuple[int, str, str]] = {}
    for case in cases:
        part, _, name = case.patient_id.partition("-") if n_folders > 1 else ("0", "", "")
        patients.setdefault(case.patient_id, (int(part), case.split, name or case.patient_id))
    drawing = Drawing(study.name, patients)
    return tuple(replace(case, drawing=drawing) for case in cases)


def fold_in(study: Study, case: Case, k: int, *, outer: bool = False) -> int:
    """Return the fold, 0 to k - 1, of a case's patient, for nested validation or a step's own."""
    if case.drawing is not None:
        return case.drawing.fold(case.patient_id, k, outer=outer)
    return (outer_fold if outer else fold_of)(study.name, case.patient_id, k)


def _fits(study: Study, case: Case, wanted: Cases) -> bool:
    if case.split and case.split not in wanted.split:
        return False
    if wanted.outside is not None:
        fold, n_folds = wanted.outside
        if fold_in(study, case, n_folds, outer=True) == fold:
            return False
    for column, levels in wanted.where.items():
        value = case.values.get(column, float("nan"))
        known = study.cohort.columns[column].levels
        if value != value or known[int(value)] not in levels:
            return False
    return True
