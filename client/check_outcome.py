"""Warn where all sites together hold one class of an outcome: then nothing can tell two apart."""

from collections.abc import Iterator, Mapping, Sequence
from math import isnan
from typing import Any

from client.cases import Case
from client.cohorts import select
from common.analyses.outcome import event_level
from common.nested import base_of
from common.outlook import groups_of
from common.outlook_parts import EACH
from common.sites import Roster
from common.study import Study
from common.tasks.train import Train


def one_class(study: Study, roster: Roster, sites: Mapping[str, Sequence[Case]]) -> Iterator[str]:
    """Yield a line for each outcome of which steps would see one class, or no event.

    Args:
        study: the study.
        roster: who takes part.
        sites: checked cases; of a group that lacks a site nothing is said.
    """
    said: dict[str, list[str]] = {}
    for name, step in study.bound.items():
        column = _outcome_of(study, step)
        for word, group in groups_of(roster, step).items() if column else ():
            if word == EACH or not set(group) <= sites.keys():
                continue
            cases = [c for site in group for c in select(study, sites[site], step.cases)]
            if text := _one_sided(study, step, column, cases):
                where = f"over `{word.removeprefix('over: ')}` {text}"
                said.setdefault(where, []).append(base_of(name))
    for text, names in said.items():
        steps = list(dict.fromkeys(names))
        at = f"steps.{steps[0]}" if len(steps) == 1 else f"steps {', '.join(steps)}"
        yield f"{at}: {text}, so there will be no result"


def _outcome_of(study: Study, step: Any) -> str:
    """Return the column of the cohort by which a step parts its cases in two; "" without.

    Trainings have a check of their own; and curves can be drawn of who all live.
    """
    if isinstance(step, Train) or getattr(step, "kind", "") == "kaplan_meier":
        return ""
    name = str(getattr(step, "outcome", "") or getattr(step, "event", ""))
    column = study.cohort.columns.get(name)
    return name if column and (column.type == "category" or column.range == (0.0, 1.0)) else ""


def _one_sided(study: Study, step: Any, column: str, cases: Sequence[Case]) -> str:
    try:
        level = event_level(study.contract(), column, step.positive)
    except ValueError:  # told of the study itself
        return ""
    known = [value for case in cases if not isnan(value := case.values[column])]
    n_events = sum(value == level for value in known)
    if not known:
        return f'no case has a "{column}"'
    levels = study.cohort.columns[column].levels
    event = f'"{column}" {levels[level] if levels else level}'
    if not n_events:
        return f"no case of {len(known)} has {event}"
    everyone = n_events == len(known) and not hasattr(step, "event")  # all may die
    return f"every case of {len(known)} has {event}" if everyone else ""
