"""Warn where patients have several cases and a step takes these for patients of their own."""

from collections.abc import Iterator, Mapping, Sequence

from client.cases import Case
from client.cohorts import select
from common.analyses.independence import CASES_AS_INDEPENDENT
from common.study import Study

_NAMED = 6


def several_rows(study: Study, sites: Mapping[str, Sequence[Case]]) -> Iterator[str]:
    """Yield a line for each selection of cases in which a patient has several.

    Args:
        study: the study.
        sites: checked cases of each site.
    """
    found: dict[tuple[int, int], list[str]] = {}
    for name, step in study.steps.items():
        if getattr(step, "kind", "") in CASES_AS_INDEPENDENT:
            seen = {site: select(study, cases, step.cases) for site, cases in sites.items()}
            n = sum(map(len, seen.values()))
            n_patients = sum(len({case.patient_id for case in of}) for of in seen.values())
            if n_patients < n:
                found.setdefault((n, n_patients), []).append(name)
    for (n, n_patients), names in found.items():
        more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
        steps = ", ".join(names[:_NAMED]) + more
        yield (
            f"{n} cases of {n_patients} patients: several cases of a patient count as patients of "
            f"their own in {'step' if len(names) == 1 else 'steps'} {steps}: as far "
            "as they are alike, p is too small and intervals are too narrow. To look at one case "
            "a patient, choose it by `cases`"
        )
