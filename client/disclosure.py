"""Rules on cases and sums, enforced in the site's process before masking.

They look at one ask of an approved study and at this site's own cases. What several asks
tell together is the matter of `client.ledger`.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from client.atoms import check_combinations
from client.beside import few_beside
from client.cases import Case
from client.cohorts import select
from client.copies import copies_among
from client.derived import made_of
from client.dominance import few_dominate
from client.made import MadeColumns
from client.powers import powers_of_few
from client.selections import Rows, few_apart, few_in_levels
from client.site import Site
from common.analyses.analysis import APPLY, Ask
from common.analyses.cox import Cox
from common.analyses.design import terms_of
from common.analyses.logistic import Logistic
from common.analyses.newton import Bools
from common.analyses.piecewise_exponential import PiecewiseExponential
from common.analyses.univariable_logistic import UnivariableLogistic
from common.errors import Reason, Refused
from common.messages import Posed, Round
from common.nested import base_of
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


def check_keepers(
    site: Site, study: Study, cases: Sequence[Case], message: Round, posed: Posed
) -> None:
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
    keeping = [name for name in posed.group if not message.members[name].per_site]
    if len(keeping) >= site.policy.fewest_sites:
        return
    each = [name for name, step in study.bound.items() if "each" in step.over]
    run, steps = message.hello.run, (posed.step, *each)
    same = copies_among(site, study, run, cases, steps) if each else {}
    if each and study.asked_of_each(posed.step, same):
        detail = f"it is asked of each site too, and kept by these alone: {', '.join(keeping)}"
        raise Refused(Reason.OWN_SUMS_FOLLOW, detail)


def check_selection(
    policy: PolicySettings,
    study: Study,
    *,
    cases: Sequence[Case],
    posed: Posed,
    made: MadeColumns | None = None,
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
    the policy's `smallest_part` says no; `where` may add nothing about a few, nor may those
    whom formulas leave out, by themselves or in a level, nor the sides of a cut-off.

    Args:
        policy: the hospital's thresholds.
        study: the approved study.
        cases: this site's cohort.
        posed: the ask.
        made: what formulas make of the cohort; None: nothing.

    Raises:
        Refused: SELECTION_TOO_SMALL, DIFFERENCING or CELL_TOO_SMALL.
    """
    name, alone = posed.step, in_clear(study, posed)
    clear = alone or len(posed.group) < _MASKS_HOLD
    made = made or MadeColumns(study, np.array([case.patient_id for case in cases], np.str_))
    rows = Rows(study, cases, made, clear)
    before = [*_steps_before(study, name, alone=alone)]
    given = [] if clear else _drawn(rows, [*before, name])
    told = [rows.told(one) for one in (*before, name)]
    check_combinations(rows, told, policy.smallest_cell, given)
    _check_formulas(rows, before, name, policy.smallest_cell)
    if alone:
        others = [other for other in study.bound if _in_clear_somewhere(study, other)]
        if found := few_beside(rows, others, name, policy.smallest_cell):
            raise Refused(Reason.DIFFERENCING, found)
    if not clear:
        check_combinations(rows, told, policy.smallest_part, [])
        _check_levels(policy, rows, name)


def selections_in_words(
    study: Study, cases: Sequence[Case], policy: PolicySettings, n_sites: int
) -> Iterator[str]:
    """Yield why a developing site will refuse steps for the cases they tell of.

    Args:
        study: the study.
        cases: the site's, with the drawing of its folds.
        policy: the hospital's thresholds.
        n_sites: in a sum over the developing sites; 0: nothing is foreseen.
    """
    made, said = made_of(study, cases), dict[str, list[str]]()
    for name, step in study.bound.items() if n_sites and cases else ():
        if not {"development", "all"} & set(step.over):
            continue
        group = tuple(str(i) for i in range(n_sites))
        posed = Posed(name, name, group, Ask(""))
        try:
            check_selection(policy, study, cases=cases, posed=posed, made=made)
        except Refused as refused:
            text = f"({refused.reason}): {refused.detail}"
            said.setdefault(text, []).append(base_of(name))
    for text, names in said.items():
        yield f"will refuse {', '.join(dict.fromkeys(names))} {text}"


def _drawn(rows: Rows, steps: Sequence[str]) -> list[Bools]:
    """Return the whole splits and folds, which nobody can aim at a patient."""
    of = [rows.study.bound[name].cases for name in steps]
    drawn = {(one.split, one.outside): None for one in of}
    return [rows.of(Cases(split=split, outside=outside)) for split, outside in drawn]


def _check_formulas(rows: Rows, before: Sequence[str], name: str, least: int) -> None:
    if found := few_in_levels(rows, name, least) or few_apart(rows, before, name, least):
        raise Refused(Reason.SELECTION_TOO_SMALL, found)
    if found := powers_of_few(rows, before, name):
        raise Refused(Reason.TOO_MANY_NUMBERS, found)
    if found := few_dominate(rows, before, name):
        raise Refused(Reason.SELECTION_TOO_SMALL, found)


def check_saturation(
    policy: PolicySettings, study: Study, *, cases: Sequence[Case], posed: Posed
) -> None:
    """Check that a regression has few coefficients for its patients (R4).

    Of n patients of all sites one site knows its own; it takes them times the sites,
    which at the smallest site is at most n: where all sites agree the rule holds for n. A
    site without patients in the step does not object: then the coordinator stops, which
    knows n from the first total (`design.saturated`).
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


def _steps_before(study: Study, step: str, *, alone: bool) -> Iterator[str]:
    """Yield the steps before one, in clear only of those asked in clear."""
    for name in study.bound:
        if name == step:
            return
        if not alone or _in_clear_somewhere(study, name):
            yield name


def _in_clear_somewhere(study: Study, name: str) -> bool:
    """Tell whether single sites' sums of a step may go out."""
    over = study.bound[name].over
    return study.tells_of_one(name) or any(word in _IN_CLEAR for word in over)


def _check_levels(policy: PolicySettings, rows: Rows, name: str) -> None:
    """Check the levels of the categories a step reads, where the policy asks for it."""
    contract, here = rows.study.contract(), rows.of(rows.study.bound[name].cases)
    for column in rows.study.bound[name].columns() if policy.smallest_part > 1 else ():
        levels = contract[column].levels
        values = rows.values(column) if levels else None
        for level in range(len(levels)) if values is not None else ():
            n = rows.count(here & (values == level))
            if 0 < n < policy.smallest_part:
                raise Refused(Reason.CELL_TOO_SMALL, f'"{column}": {n} patients in a level')


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
