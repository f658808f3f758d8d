"""A site's checked cohort for a study, and the cases a step looks at."""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from client.cases import Case, Flow
from client.check import Checked, check
from client.site import Site
from common.errors import Reason, Refused
from common.step import Cases
from common.study import Study


@dataclass(frozen=True)
class SiteCohort:
    """The cases of a site that fit a study.

    Attributes:
        cases: in the order of case_id.
        flow: counts of what came in and what was left out.
    """

    cases: tuple[Case, ...]
    flows: tuple[Flow, ...]

    @property
    def n_patients(self) -> int:
        """Number of distinct patients."""
        return len({case.patient_id for case in self.cases})


def load_cohort(site: Site, study: Study) -> SiteCohort:
    """Return the site's cases that fit the study's contract; slow only the first time.

    Raises:
        Refused: COHORT_INVALID, with every mistake in the detail.
    """
    checks = [_check(site, study, i) for i in range(len(site.cohorts))]
    fatal = [finding for checked in checks for finding in checked.findings]
    if fatal:
        raise Refused(Reason.COHORT_INVALID, "\n".join(str(finding) for finding in fatal))
    cases = [c for i, checked in enumerate(checks) for c in _named(checked.cases, i, len(checks))]
    ordered = tuple(sorted(cases, key=lambda case: case.case_id))
    return SiteCohort(ordered, tuple(checked.flow for checked in checks))


def select(study: Study, cases: Iterable[Case], wanted: Cases) -> tuple[Case, ...]:
    """Return the cases in one of the wanted splits and levels."""
    return tuple(case for case in cases if _fits(study, case, wanted))


def _check(site: Site, study: Study, i: int) -> Checked:
    return check(
        study.cohort, site.cohorts[i], renames=site.settings.columns, cache=site.room("cache", "check")
    )


def _named(cases: Iterable[Case], i: int, n: int) -> Iterable[Case]:
    """Keep names apart where several folders are pooled: patients of two hospitals differ."""
    if n == 1:
        return cases
    return [
        replace(c, case_id=f"{i}-{c.case_id}", patient_id=f"{i}-{c.patient_id}") for c in cases
    ]


def _fits(study: Study, case: Case, wanted: Cases) -> bool:
    if case.split and case.split not in wanted.split:
        return False
    for column, levels in wanted.where.items():
        value = case.values.get(column, float("nan"))
        known = study.cohort.columns[column].levels
        if value != value or known[int(value)] not in levels:  # noqa: PLR0124  (NaN)
            return False
    return True


