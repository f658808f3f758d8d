"""Patients whose gaps few others share (policy `smallest_gap`).

A step counts the cases that have all its columns. If one patient lacks column c, the mean
of a in one step, and in another that reads a and c, differ by that patient: count times
mean, subtracted, is the patient's a. So a hospital may have those left out of a study
whose pattern of missing values it has too few of: then whichever columns two steps read,
they differ by so many of its patients or by none.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from client.cases import Case, CaseProblem, Flow, Severity
from client.check import Checked
from common.analyses.publish import SMALLEST_CELL
from common.flow import Code
from common.sites import PolicySettings
from common.study import Study

_SHOWN = 5  # names that a warning says

Pattern = tuple[tuple[frozenset[str], tuple[bool, ...]], ...]
"""Of each case of a patient, in an order of its own: what it lacks, and what selects it."""


def lone_gaps(
    study: Study, cases: Iterable[Case], selections: Sequence[Iterable[Case]], least: int
) -> dict[str, frozenset[str]]:
    """Return what those patients lack whose pattern too few share.

    Args:
        study: says which columns, images and masks there are.
        cases: of one hospital.
        selections: the cases in each selection by level (`where`) that the study makes.
        least: fewest patients of a pattern.

    Returns:
        Names of columns, images and masks by patient; of those who lack something.
    """
    chosen = [{case.case_id for case in selection} for selection in selections]
    of_patient: dict[str, list[tuple[frozenset[str], tuple[bool, ...]]]] = defaultdict(list)
    for case in cases:
        within = tuple(case.case_id in of for of in chosen)
        of_patient[case.patient_id].append((_lacks(study, case), within))
    shared: dict[Pattern, list[str]] = defaultdict(list)
    for patient, rows in of_patient.items():
        shared[tuple(sorted(rows, key=_in_order))].append(patient)
    return {
        patient: lacks
        for pattern, patients in shared.items()
        if (lacks := frozenset().union(*(names for names, _ in pattern))) and len(patients) < least
        for patient in patients
    }


def without_lone_gaps(
    study: Study, checked: Checked, selections: Sequence[Iterable[Case]], least: int
) -> Checked:
    """Return a checked cohort without those patients, who are counted and named as others are."""
    lone = lone_gaps(study, checked.cases, selections, least)
    gone = [case for case in checked.cases if case.patient_id in lone]
    if not gone:
        return checked
    kept = tuple(case for case in checked.cases if case.patient_id not in lone)
    problems = (*checked.problems, *(_problem(case, lone[case.patient_id], least) for case in gone))
    return replace(
        checked, cases=kept, problems=problems, flow=_flow(checked.flow, kept, len(gone))
    )


def gaps_in_words(
    study: Study, checked: Checked, selections: Sequence[Iterable[Case]], policy: PolicySettings
) -> str:
    """Return what a hospital should know of its patients' gaps, "" where there is nothing."""
    least = max(policy.smallest_gap, SMALLEST_CELL)
    lone = lone_gaps(study, checked.cases, selections, least)
    if not lone:
        return ""
    names = Counter(name for lacks in lone.values() for name in lacks)
    which = ", ".join(f'"{name}" of {n}' for name, n in names.most_common(_SHOWN))
    more = ", ..." if len(names) > _SHOWN else ""
    who = f"{len(lone)} patients lack what fewer than {least} do in the same way ({which}{more})"
    if policy.smallest_gap >= least:
        return f"{who}: left out, as the policy's smallest_gap says"
    return f"{who}: sums with and without it tell of them; smallest_gap: {least} leaves them out"


def _lacks(study: Study, case: Case) -> frozenset[str]:
    values = {name for name in study.cohort.columns if case.values[name] != case.values[name]}
    images = {name for name in study.cohort.images if name not in case.images}
    masks = {name for name in study.cohort.masks if case.masks.get(name) is None}
    return frozenset(values | images | masks)


def _in_order(row: tuple[frozenset[str], tuple[bool, ...]]) -> tuple[list[str], tuple[bool, ...]]:
    return sorted(row[0]), row[1]


def _problem(case: Case, lacks: frozenset[str], least: int) -> CaseProblem:
    names = ", ".join(f'"{name}"' for name in sorted(lacks))
    text = (
        f"fewer than {least} patients lack just {names}; the policy's smallest_gap leaves them out"
    )
    return CaseProblem(case.case_id, Severity.ERROR, Code.RARE_GAP, text, 0, "")


def _flow(flow: Flow, kept: Sequence[Case], n_gone: int) -> Flow:
    splits: Mapping[str, int] = {
        split: sum(case.split == split for case in kept) for split in {c.split for c in kept}
    }
    return replace(
        flow,
        n_included=len(kept),
        n_patients=len({case.patient_id for case in kept}),
        excluded={**flow.excluded, Code.RARE_GAP: n_gone},
        splits=splits,
    )
