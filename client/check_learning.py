"""What is to learn from at which site: told before anything is trained."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from client.cases import Case
from client.cohorts import select
from common.sites import Roster
from common.study import Study
from common.tasks.train import Train


@dataclass(frozen=True, slots=True)
class Lack:
    """Something that a training will miss.

    Attributes:
        site: where, or "" where at every site.
        text: what, for a person.
        stops: whether the study cannot run.
    """

    site: str
    text: str
    stops: bool = False


def lacks(study: Study, roster: Roster, cohorts: Mapping[str, Sequence[Case]]) -> Iterator[Lack]:
    """Yield sites without a case to train on or to validate with, training by training.

    Only images and masks of the cohort are looked at; what steps make is not there yet.

    Args:
        study: the study.
        roster: who develops.
        cohorts: the cases of each site that fit the study.
    """
    sites = [name for name in roster.developing if name in cohorts]
    for name, step in study.bound.items():
        if isinstance(step, Train):
            usable = {s: _usable(study, step, cohorts[s], "train") for s in sites}
            scored = {s: _usable(study, step, cohorts[s], "validation") for s in sites}
            yield from _lacking(name, step, usable, scored)


def _lacking(
    name: str, step: Train, usable: Mapping[str, int], scored: Mapping[str, int]
) -> Iterator[Lack]:
    reads = ", ".join(_needed(step, scoring=False)) or "nothing of the cohort"
    if not any(usable.values()):
        yield Lack("", f'step "{name}": no site has a training case with {reads}', stops=True)
        return
    for site, n in usable.items():
        if not n:
            yield Lack(site, f'step "{name}": no training case has {reads}; it adds nothing here')
    if step.select == "best" and not any(scored.values()):
        wants = ", ".join(_needed(step, scoring=True))
        yield Lack(
            "",
            f'step "{name}": no site has a validation case with {wants}, so the last weights '
            "are taken, not the best",
        )


def _usable(study: Study, step: Train, cases: Sequence[Case], split: str) -> int:
    needed = _needed(step, scoring=split != "train")
    return sum(
        case.split == split and all(_has(case, name) for name in needed)
        for case in select(study, cases, step.cases)
    )


def _needed(step: Train, *, scoring: bool) -> list[str]:
    """Return images and masks of the cohort that a case must have."""
    task: Any = step.task
    mask = getattr(task, "mask", None)
    free = getattr(task, "consistency", None) is not None and not scoring
    return [name for name in task.reads() if "." not in name and not (free and name == mask)]


def _has(case: Case, name: str) -> bool:
    return name in case.images or case.masks.get(name) is not None
