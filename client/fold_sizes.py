"""Folds must not be of a few patients (R2): all less all but them is their sums.

Of a masked sum over G sites each asks for its part of `smallest_cell` in every fold: where all
that have patients in the step agree, a fold is of that many. Each site's own part is at least
that large, so nobody is alone in a fold. What a fold of nested validation and one of a step's own
have in common is smaller and taken as given (THREATS.md), as any validated selection needs both.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from math import isnan
from typing import Any

from client.cases import Case
from client.cohorts import fold_in, select
from common.analyses.analysis import APPLY
from common.errors import Reason, Refused
from common.messages import Posed
from common.nested import base_of
from common.sites import PolicySettings
from common.study import Study
from common.tasks.train import Train

FEWER = "take fewer folds"


def check_folds(
    policy: PolicySettings, study: Study, cases: Sequence[Case], posed: Posed, *, alone: bool
) -> None:
    """Check the folds of a step, its own and those of nested validation.

    Filling columns sums nothing by folds, and is not checked; nor are networks that a site trains
    alone, which `share_network` rules.

    Args:
        policy: the hospital's thresholds.
        study: the approved study.
        cases: this site's cohort.
        posed: the ask.
        alone: this site's own sums go out, or follow from those that do.

    Raises:
        Refused: SELECTION_TOO_SMALL.
    """
    step = study.bound[posed.step]
    if posed.ask.phase == APPLY or (alone and isinstance(step, Train)):
        return
    least = _least(policy, 1 if alone else len(posed.group))
    for text in _too_few(study, cases, step, least):
        raise Refused(Reason.SELECTION_TOO_SMALL, text)


def folds_in_words(
    study: Study,
    cases: Sequence[Case],
    policy: PolicySettings,
    n_sites: int,
    but: Collection[str] = (),
) -> Iterator[str]:
    """Yield why a developing site will refuse steps for their folds.

    Args:
        study: the study.
        cases: the site's, with the drawing of its folds.
        policy: the hospital's thresholds.
        n_sites: in a sum over the developing sites; 0: nothing is foreseen, as of one folder of
            several, which fill the folds together.
        but: steps of the study file that are passed over.
    """
    said: dict[str, list[str]] = {}
    wanted = [
        name
        for name, step in study.bound.items()
        if n_sites and base_of(name) not in but and {"development", "all"} & set(step.over)
    ]
    for name, text in fold_refusals(study, cases, policy, n_sites, wanted):
        said.setdefault(text, []).append(base_of(name))
    for text, names in said.items():
        steps = ", ".join(dict.fromkeys(names))
        yield f"will refuse {steps} (selection_too_small): {text}"


def fold_refusals(
    study: Study,
    cases: Sequence[Case],
    policy: PolicySettings,
    n_sites: int,
    names: Iterable[str],
) -> Iterator[tuple[str, str]]:
    """Yield steps whose folds are too small at a site, in a sum over so many, and why."""
    for name in names:
        for text in _too_few(study, cases, study.bound[name], _least(policy, n_sites)):
            yield name, text


def _least(policy: PolicySettings, n_sites: int) -> int:
    return -(-policy.smallest_cell // n_sites)


def _too_few(study: Study, cases: Sequence[Case], step: Any, least: int) -> Iterator[str]:
    """Yield what is too small in the folds of a step: nothing where it has no patients here."""
    whole = step.cases.model_copy(update={"outside": None})
    if step.cases.outside is not None:
        k = step.cases.outside[1]
        yield from _small(study, _complete(select(study, cases, whole), step), k, least, outer=True)
    if getattr(step, "folds", 0) > 1:
        mine = _complete(select(study, cases, whole), step)
        if isinstance(step, Train):
            mine = [case for case in mine if case.split == "train"]
        yield from _small(study, mine, step.folds, least, outer=False)


def _small(
    study: Study, cases: Sequence[Case], k: int, least: int, *, outer: bool
) -> Iterator[str]:
    patients = {case.patient_id: case for case in cases}
    of = Counter(fold_in(study, case, k, outer=outer) for case in patients.values())
    fewest = min(of[i] for i in range(k))
    if patients and fewest < least:
        which = "of nested validation" if outer else "of its own"
        yield (
            f"{len(patients)} patients in {k} folds {which}: {fewest} in one of them, "
            f"this site asks for {least}: {FEWER}"
        )


def _complete(cases: Sequence[Case], step: Any) -> list[Case]:
    """Return the cases that lack none of the columns a step reads, of those in the table."""
    columns = step.columns()
    return [c for c in cases if not any(isnan(c.values.get(name, 0.0)) for name in columns)]
