"""Totals of a run that, put together, are the sums of few sites that keep their own (R1).

The same column over all sites and, whatever else is asked with it, over the developing ones
tells of the external sites, where both are of the same patients, or are put together of them,
as everybody of women and men. Who keeps its own numbers said so on joining.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from client.atoms import meet_but_for_few
from client.cases import Case
from client.copies import copies_among
from client.ledger import Ledger, keeping
from client.made import MadeColumns
from client.selections import Rows
from client.site import Site
from common.analyses.analysis import APPLY
from common.errors import Reason, Refused
from common.messages import Posed, Round
from common.outlook_parts import Group, alike, less_those_of, tells_together
from common.study import Study

Entry = Mapping[str, Any]
_WORDS = {"development", "external", "all"}


def check_between(
    site: Site,
    ledger: Ledger,
    study: Study,
    *,
    cases: Sequence[Case],
    message: Round,
    posed: Posed,
) -> None:
    """Check that no totals, put together, are the sum of few who keep their own (R1).

    Columns that are copies of each other at this site are one.
    What follows from the study's text alone is judged with the levels by which steps part
    their cases, as no site's cases matter; beyond it the selections of this site's own cases
    must not be equal, but for a few patients, when put together.

    Args:
        site: this site.
        ledger: of the study.
        study: the approved study.
        cases: this site's cohort.
        message: the round.
        posed: the ask.

    Raises:
        Refused: DIFFERENCING.
    """
    run = [entry for entry in ledger.entries if entry["run"] == message.hello.run]
    asked_before = any(_same_total(entry, posed) for entry in run)
    if posed.ask.phase == APPLY or len(posed.group) == 1 or asked_before:
        return
    others = [entry for entry in run if _between_few(site, message, entry, posed)]
    if not others:
        return
    mine = [entry["step"] for entry in run if _word(entry["problem"]) == _word(posed.problem)]
    theirs = [entry["step"] for entry in others]
    steps = (posed.step, *mine, *theirs)
    same = copies_among(site, study, message.hello.run, cases, steps)
    told = tells_together(study, posed.step, mine, theirs, same)
    if not told:
        patients = np.array([case.patient_id for case in cases], np.str_)
        rows = Rows(study, cases, MadeColumns(study, patients), alone=False)
        pairs = alike(study, posed.step, mine, theirs, same)
        told = _nearly_together(rows, posed.step, pairs, site.policy.smallest_cell)
    if told:
        apart = sorted({s for entry in others for s in set(posed.group) ^ set(entry["sites"])})
        detail = f"{less_those_of(told)} it would be the sum of {', '.join(apart)}"
        raise Refused(Reason.DIFFERENCING, detail)


def _same_total(entry: Entry, posed: Posed) -> bool:
    return (entry["problem"], tuple(entry["sites"])) == (posed.problem, posed.group)


def _between_few(site: Site, message: Round, entry: Entry, posed: Posed) -> bool:
    """Tell whether few sites, of whom some keep their own, are in but one of two totals.

    Of groups that differ as the study has it. Not because a site failed: which one did, no
    other site can know.
    """
    words = {_word(entry["problem"]), _word(posed.problem)}
    apart = set(posed.group) ^ set(entry["sites"])
    whom = apart & {*keeping(message, posed), *entry.get("keeping", ())}
    return (
        len(words) == 2 and words <= _WORDS and bool(whom) and len(apart) < site.policy.fewest_sites
    )


def _word(problem: str) -> str:
    return problem.partition("/")[2]


def _nearly_together(
    rows: Rows, new: str, pairs: Iterable[tuple[Group, Group]], least: int
) -> tuple[str, ...]:
    """Return the steps that select this site's cases so that they are told together."""
    for along, of in pairs:
        chosen, before = rows.chosen(new), [rows.chosen(step) for step in along]
        for other in of:
            if meet_but_for_few(rows, chosen, (), [rows.chosen(other)], least):
                return (other,)
        if meet_but_for_few(rows, chosen, before, [rows.chosen(step) for step in of], least):
            return (*of, *along)
    return ()
