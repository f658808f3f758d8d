"""Rules on cases and sums, enforced in the site's process before masking.

They look at one ask of an approved study and at this site's own cases. What several asks
tell together is the matter of `client.ledger`.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from itertools import combinations
from typing import Any

import numpy as np

from client.cases import Case
from client.cohorts import select
from client.site import Site
from common.analyses.analysis import APPLY
from common.analyses.cox import Cox
from common.analyses.design import terms_of
from common.analyses.logistic import Logistic
from common.analyses.piecewise_exponential import PiecewiseExponential
from common.analyses.univariable_logistic import UnivariableLogistic
from common.errors import Reason, Refused
from common.messages import Posed, Round
from common.sites import PolicySettings
from common.step import Cases
from common.study import Study
from common.sums import Field, Schema, Sums

_MASKS_HOLD = 3  # in a sum of two sites each knows the other's part
_IN_CLEAR = ("each", "external")


def check_sums(policy: PolicySettings, sums: Sums, schema: Schema, *, alone: bool) -> None:
    """Check the counts behind every array, and cells where the reply goes out in clear.

    Args:
        policy: the hospital's thresholds.
        sums: conforming to `schema`.
        schema: says which count stands behind each array.
        alone: this site's own sums go out, or follow from those that do.

    Raises:
        Refused: CELL_TOO_SMALL, ONLY_TOGETHER or NETWORK_NOT_SHARED.
    """
    if not alone:
        return
    for name, field in schema.items():
        _check_alone(policy, name, sums, field)


def check_cohort(policy: PolicySettings, n_patients: int) -> None:
    """Check that this site's cohort for the study is large enough for any reply at all.

    Raises:
        Refused: NO_CASES or COHORT_TOO_SMALL.
    """
    if n_patients < policy.smallest_cohort:
        detail = f"{n_patients} patients, policy: {policy.smallest_cohort}"
        raise Refused(Reason.COHORT_TOO_SMALL if n_patients else Reason.NO_CASES, detail)


def in_clear(study: Study, posed: Posed) -> bool:
    """Tell whether this site's own sums go out, or follow from those that do."""
    return len(posed.group) == 1 or (posed.ask.phase != APPLY and study.tells_of_one(posed.step))


def check_by_site(policy: PolicySettings, study: Study, posed: Posed) -> None:
    """Check an ask of a step that is fitted without each site, or at one alone.

    Without a site: what a total over all has more than that without it is this site's own, so
    every site that the study lists must let its own sums out.

    Raises:
        Refused: PER_SITE_NOT_ALLOWED or ROSTER_MISMATCH.
    """
    by_site = study.by_site
    if by_site is None or posed.ask.phase == APPLY:
        return
    if by_site.tells_of_one(posed.step) and not policy.per_site:
        detail = "fits with and without this site tell its own sums, which the policy keeps"
        raise Refused(Reason.PER_SITE_NOT_ALLOWED, detail)
    if not by_site.allows(posed.step, posed.group):
        detail = f"{posed.step} is not of the sites {list(posed.group)}"
        raise Refused(Reason.ROSTER_MISMATCH, detail)


def check_keepers(site: Site, study: Study, message: Round, posed: Posed) -> None:
    """Check that this site's own sums do not follow from a total and what the others show.

    Where a step, or one that reads a column of it, is asked of each site too, a total less
    those of all who show theirs is the sum of those who keep theirs, as they said on
    joining. So a site that keeps its own needs `fewest_sites` of them in the total (R1).
    Making columns counts what was filled, and is asked of all sites together only.

    Raises:
        Refused: OWN_SUMS_FOLLOW.
    """
    if site.policy.per_site or len(posed.group) == 1 or posed.ask.phase == APPLY:
        return
    if not study.asked_of_each(posed.step):
        return
    keeping = [name for name in posed.group if not message.members[name].per_site]
    if len(keeping) < site.policy.fewest_sites:
        detail = f"it is asked of each site too, and kept by these alone: {', '.join(keeping)}"
        raise Refused(Reason.OWN_SUMS_FOLLOW, detail)


def check_selection(
    policy: PolicySettings, study: Study, *, cases: Sequence[Case], posed: Posed
) -> None:
    """Check that a step's cases do not single out a few patients of this site (R2, R6).

    Neither they, nor any combination of them with the cases of the steps before it in the
    study, may depend on 1 to `smallest_cell` - 1 patients. The study is a file, so all of
    this is known beforehand: where a step would tell of so few, it is refused and the
    steps before it are not.

    A split is different: its site drew it, nobody can aim it at a patient by a property,
    and a hospital with four validation cases could not be validated; the same holds for
    the folds of nested validation, which a key draws. So in a masked sum of three sites
    or more whole splits and folds, and what they tell, are taken as given, unless
    the policy's `smallest_part` says no; `where` may add nothing about a few.

    Args:
        policy: the hospital's thresholds.
        study: the approved study.
        cases: this site's cohort.
        posed: the ask.

    Raises:
        Refused: SELECTION_TOO_SMALL, DIFFERENCING or CELL_TOO_SMALL.
    """
    mine, alone = study.bound[posed.step].cases, in_clear(study, posed)
    upto = [*_cases_before(study, posed.step, alone=alone), mine]
    if alone or len(posed.group) < _MASKS_HOLD:
        _check_combinations(study, cases, upto, policy.smallest_cell)
        return
    drawn = {(one.split, one.outside): None for one in upto}
    splits = [Cases(split=split, outside=outside) for split, outside in drawn]
    wanted = [*splits, *upto]
    _check_combinations(study, cases, wanted, policy.smallest_cell, n_given=len(splits))
    _check_combinations(study, cases, upto, policy.smallest_part)
    _check_levels(policy, study, select(study, cases, mine), posed.step)


def check_saturation(
    policy: PolicySettings, study: Study, *, cases: Sequence[Case], posed: Posed
) -> None:
    """Check that a regression has few coefficients for its patients (R4).

    Of n patients of all sites one site knows its own; it takes them times the sites,
    which at the smallest site is at most n: where all sites agree the rule holds for n.
    Cases that miss a covariate are counted here; a step in clear refuses on complete
    ones (`design.refuse_saturated`). Penalised models are the ledger's matter (R5).

    Raises:
        Refused: MODEL_SATURATED.
    """
    step = study.bound[posed.step]
    n = len({c.patient_id for c in select(study, cases, step.cases)}) * _n_together(study, posed)
    q = _n_coefficients(step, study)
    if n and q > policy.most_coefficients_per_patient * n:
        detail = f"{q} coefficients, {n} patients if all sites are like this one"
        raise Refused(Reason.MODEL_SATURATED, detail)


def _n_together(study: Study, posed: Posed) -> int:
    """Return how many sites an ask's sums can be told apart from: 1 where they are in clear."""
    return 1 if in_clear(study, posed) else len(posed.group)


def _n_coefficients(step: Any, study: Study) -> int:
    """Return the coefficients of a step's largest regression, 0 where it has none."""
    if isinstance(step, UnivariableLogistic):
        return 2 + len(terms_of(step.adjust, study.contract()))
    if isinstance(step, Logistic | Cox | PiecewiseExponential):
        return 1 + max(len(terms_of(of, study.contract())) for of in step.models.values())
    return 0


def _cases_before(study: Study, step: str, *, alone: bool) -> Iterator[Cases]:
    """Yield the cases of the steps before one, in clear only of those asked in clear."""
    for name, other in study.bound.items():
        if name == step:
            return
        clear = study.tells_of_one(name) or any(over in _IN_CLEAR for over in other.over)
        if not alone or clear:
            yield other.cases


def _check_combinations(
    study: Study, cases: Sequence[Case], wanted: Sequence[Cases], least: int, n_given: int = 0
) -> None:
    """Check the last of several selections against those before that are not refused.

    Args:
        study: the study.
        cases: this site's cohort.
        wanted: selections in the order of the study.
        least: fewest patients a combination of them may depend on.
        n_given: so many of them are taken as they are.
    """
    taken: list[Cases] = list(wanted[:n_given])
    for one in wanted[n_given:]:
        if one in taken:
            continue
        if not _tells_of_few(study, cases, [*taken, one], least):
            taken.append(one)
        elif one == wanted[-1]:
            n = len({c.patient_id for c in select(study, cases, one)})
            small = 0 < n < least
            raise Refused(
                Reason.SELECTION_TOO_SMALL if small else Reason.DIFFERENCING,
                f"{n} patients; with other steps it would tell of fewer than {least}",
            )


def _tells_of_few(study: Study, cases: Sequence[Case], wanted: Sequence[Cases], least: int) -> bool:
    """Tell whether the last selection makes a combination that few patients stand behind.

    Cases in the same selections are an atom; sums over selections are combinations of
    sums over atoms. One that needs but a few atoms exists if the selections without
    those atoms have a lower rank.
    """
    if least <= 1:
        return False
    atoms: dict[tuple[bool, ...], set[str]] = defaultdict(set)
    chosen = [{c.case_id for c in select(study, cases, one)} for one in wanted]
    for case in cases:
        atoms[tuple(case.case_id in of for of in chosen)].add(case.patient_id)
    rows = np.array(list(atoms), np.float64).T
    few = [i for i, patients in enumerate(atoms.values()) if len(patients) < least]
    people = list(atoms.values())
    for size in range(1, least):
        for some in combinations(few, size):
            if len(set().union(*(people[i] for i in some))) >= least:
                continue
            if _isolates(rows, some) and not _isolates(rows[:-1], some):
                return True
    return False


def _isolates(rows: np.ndarray, atoms: Sequence[int]) -> bool:
    if not rows.size:
        return False
    rank = np.linalg.matrix_rank
    return bool(rank(np.delete(rows, atoms, axis=1)) < rank(rows))


def _check_levels(policy: PolicySettings, study: Study, cases: Sequence[Case], step: str) -> None:
    """Check the levels of the categories a step reads, where the policy asks for it."""
    for name in study.bound[step].columns() if policy.smallest_part > 1 else ():
        column = study.cohort.columns.get(name)
        for level in range(len(column.levels)) if column else ():
            n = len({c.patient_id for c in cases if c.values.get(name) == level})
            if 0 < n < policy.smallest_part:
                raise Refused(Reason.CELL_TOO_SMALL, f'"{name}": {n} patients in a level')


def _check_alone(policy: PolicySettings, name: str, sums: Sums, field: Field) -> None:
    if field.alone == "never":
        raise Refused(Reason.ONLY_TOGETHER, f"{name} may only leave in a masked sum")
    if field.kind == "weight" and not policy.share_network:
        raise Refused(Reason.NETWORK_NOT_SHARED, "the policy keeps networks trained here")
    if field.alone == "cells":
        _check_cells(policy, name, sums[name])
    if field.behind:
        _check_cells(policy, field.behind, sums[field.behind])


def _check_cells(policy: PolicySettings, name: str, counts: np.ndarray) -> None:
    small = (counts > 0) & (counts < policy.smallest_cell)
    if small.any():
        raise Refused(Reason.CELL_TOO_SMALL, f"{name}: a cell below {policy.smallest_cell}")
