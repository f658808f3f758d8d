"""Check, before anything is trained, that there is something to learn and to tell apart.

What a study can be told by its file alone is told when it is read. This looks at cases: at
all developing sites together where one machine holds them, at its own site's otherwise.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import isnan

from client.cases import Case
from client.cohorts import fold_in, select
from common.study import Study
from common.tasks.classification import class_of, levels_of
from common.tasks.train import Train

_NAMED = 8  # folds that a line names


@dataclass(frozen=True, slots=True)
class Doubt:
    """Something the matter with what a step learns from.

    Attributes:
        site: where; "" where it is about all sites together.
        text: which step and what.
        stops: whether it cannot be trained so.
    """

    site: str
    text: str
    stops: bool


def doubts(study: Study, sites: Mapping[str, Sequence[Case]], *, all_here: bool) -> list[Doubt]:
    """Return what does not fit training in the cases of developing sites.

    Args:
        study: the study.
        sites: checked cases of each developing site.
        all_here: whether these are all of them, so that what is missing is missing.
    """
    found: list[Doubt] = []
    for name, step in study.bound.items():
        if isinstance(step, Train):
            found += _of_step(study, name, step, sites, all_here=all_here)
    return found


def _of_step(
    study: Study,
    name: str,
    step: Train,
    sites: Mapping[str, Sequence[Case]],
    *,
    all_here: bool,
) -> Iterator[Doubt]:
    usable = {site: usable_cases(study, step, cases) for site, cases in sites.items()}
    for site, cases in usable.items():
        if not cases:
            text = f"no training case has all that it needs ({', '.join(_needs(study, step))})"
            yield Doubt(site, f"steps.{name}: {text}", stops=all_here and len(usable) == 1)
    together = [case for cases in usable.values() for case in cases]
    if not together:
        if all_here and len(usable) > 1:
            text = "no developing site has a training case to learn from"
            yield Doubt("", f"steps.{name}: {text}", stops=True)
        return
    outcome = getattr(step.task, "outcome", "")
    if outcome in study.cohort.columns:
        for site, cases in usable.items():
            yield from _one_sided(study, f"steps.{name}", outcome, site, cases)
    if all_here:
        yield from _of_all(study, f"steps.{name}", step, outcome, together)


def _of_all(
    study: Study, at: str, step: Train, outcome: str, cases: Sequence[Case]
) -> Iterator[Doubt]:
    yield from (Doubt("", f"{at}: {text}", stops=True) for text in _lacking(step, cases))
    if outcome in study.cohort.columns:
        yield from _of_folds(study, at, step, outcome, cases)


def _lacking(step: Train, cases: Sequence[Case]) -> Iterator[str]:
    """Yield what no training case of any site has, so that nothing can be learnt."""
    free = _free(step)
    if free in cases[0].masks and not any(case.masks[free] for case in cases):
        yield (
            f'no training case at any site has the mask "{free}": with consistency cases without '
            "it are learnt from only beside some that have it"
        )
    for column in getattr(step.task, "clinical", ()):
        if column in cases[0].values and all(isnan(case.values[column]) for case in cases):
            yield (
                f'no training case at any site has a value of "{column}": nothing can be learnt '
                "from it; leave it out of `clinical`"
            )


def _one_sided(
    study: Study, at: str, outcome: str, site: str, cases: Sequence[Case]
) -> Iterator[Doubt]:
    missing = _missing(study, outcome, cases)
    if cases and missing:
        text = f'no training case in which "{outcome}" is {" or ".join(missing)}'
        yield Doubt(site, f"{at}: {text}; the site cannot tell it apart alone", stops=False)


def _of_folds(
    study: Study, at: str, step: Train, outcome: str, cases: Sequence[Case]
) -> Iterator[Doubt]:
    """Yield folds, or the whole, whose training or left-out cases lack a class."""
    if missing := _missing(study, outcome, cases):
        text = f'no training case at any site in which "{outcome}" is {" or ".join(missing)}'
        yield Doubt("", f"{at}: {text}: nothing to tell apart", stops=True)
        return
    lacking: dict[int, list[str]] = {}
    for k in range(1, step.folds + 1):
        left = [c for c in cases if 1 + fold_in(study, c, step.folds) == k]
        rest = [c for c in cases if 1 + fold_in(study, c, step.folds) != k]
        if missing := _missing(study, outcome, rest):
            text = f'without fold {k} no training case in which "{outcome}" is'
            yield Doubt("", f"{at}: {text} {' or '.join(missing)}; take fewer folds", stops=True)
        elif missing := _missing(study, outcome, left):
            lacking[k] = missing
    if lacking:
        levels = dict.fromkeys(level for missing in lacking.values() for level in missing)
        some = f"{_listed([*lacking])} of {step.folds} leave" + "s" * (len(lacking) == 1)
        text = f'{some} out nobody in whom "{outcome}" is {" or ".join(levels)}'
        rest_ = "left-out cases of all folds are judged together, so it is answered all the same"
        yield Doubt("", f"{at}: {text}; {rest_}", stops=False)


def _listed(folds: Sequence[int]) -> str:
    """Return folds in words, such as "folds 2, 5 and 7"."""
    shown = [str(k) for k in folds[:_NAMED]]
    if len(folds) > _NAMED:
        shown.append(f"{len(folds) - _NAMED} more")
    if len(shown) == 1:
        return f"fold {shown[0]}"
    return f"folds {', '.join(shown[:-1])} and {shown[-1]}"


def usable_cases(study: Study, step: Train, cases: Sequence[Case]) -> list[Case]:
    """Return training cases with what the task reads, as far as the cohort has it."""
    chosen = [c for c in select(study, cases, step.cases) if c.split == "train"]
    outcome = getattr(step.task, "outcome", "")
    drawn = _needs(study, step)
    return [
        case
        for case in chosen
        if all(case.images.get(name) or case.masks.get(name) for name in drawn if name != outcome)
        and (outcome not in study.cohort.columns or case.values[outcome] == case.values[outcome])
    ]


def _needs(study: Study, step: Train) -> list[str]:
    """Return what of the cohort a case needs to be learnt from."""
    cohort, outcome = study.cohort, getattr(step.task, "outcome", "")
    free = _free(step)
    drawn = [
        name
        for name in step.images()
        if (name in cohort.images or name in cohort.masks) and name != free
    ]
    return [*drawn, *([outcome] if outcome in cohort.columns else [])]


def _free(step: Train) -> str:
    """Return the mask that a case may lack: with a mean teacher it is learnt from without."""
    return getattr(step.task, "mask", "") if getattr(step.task, "consistency", None) else ""


def _missing(study: Study, outcome: str, cases: Sequence[Case]) -> list[str]:
    column = study.cohort.columns[outcome]
    there = {class_of(column, case.values[outcome]) for case in cases}
    return [level for i, level in enumerate(levels_of(column)) if i not in there]
