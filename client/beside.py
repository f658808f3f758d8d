"""How many patients of a site lie between a step's groups and what other steps tell of."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from client.cases import Case
from client.derived import made_of
from client.selections import Rows
from common.analyses.newton import Bools
from common.analyses.publish import SMALLEST_CELL
from common.beside import ASKED, beside_schema, pairs_of, told_apart
from common.crossing import grouped_by
from common.messages import Posed
from common.study import Study
from common.sums import Sums

if TYPE_CHECKING:
    from client.steps import Work

_FEW = "lie one to four patients, of whom the means of both would tell"


def with_counts_beside(work: "Work", rows: Rows, posed: Posed) -> "Work":
    """Return the work of an ask with these counts, where the ask wants them."""
    asked = posed.ask.values.get(ASKED) is True and len(posed.group) > 1
    schema = beside_schema(rows.study, posed.step, asked=asked)
    if not schema:
        return work

    def summarise() -> Sums:
        return {**work.summarise(), ASKED: np.array(_between(rows, posed.step), np.int64)}

    return replace(work, schema={**work.schema, **schema}, summarise=summarise)


def few_beside(rows: Rows, others: Sequence[str], name: str, least: int) -> str:
    """Say which group of a step in clear differs by few from what others in clear tell of."""
    pairs = pairs_of(rows.study, name)
    for pair, n in zip(pairs, _between(rows, name) if pairs else (), strict=True):
        if 0 < n < least and pair.other in others:
            return f"{n} patients between {told_apart(rows.study, name, pair)}"
    return ""


def _between(rows: Rows, name: str) -> list[int]:
    """Return the patients between the two of each pair; none where groups are not made yet."""
    groups = {n: _groups(rows, n) for n in (name, *(p.other for p in pairs_of(rows.study, name)))}
    found = []
    for pair in pairs_of(rows.study, name):
        mine = groups[name][pair.level : pair.level + 1]
        theirs = [rows.chosen(pair.other)]
        if pair.other_level >= 0:
            theirs = groups[pair.other][pair.other_level : pair.other_level + 1]
        apart = [a ^ b for a, b in zip(mine, theirs, strict=False)]
        found.append(rows.count(apart[0]) if apart else 0)
    return found


def _groups(rows: Rows, name: str) -> list[Bools]:
    """Return the rows of a step in each of its groups; none where it has none, or not yet."""
    by, inside = grouped_by(rows.study.bound[name]), rows.chosen(name)
    return [inside & level for level in rows.in_levels(by)] if by else []


def beside_in_words(
    study: Study,
    groups: Mapping[str, Mapping[str, Sequence[str]]],
    sites: Mapping[str, Sequence[Case]],
) -> Iterator[str]:
    """Yield why steps will not be answered, of whose groups and others' cases few lie between.

    Args:
        study: the study.
        groups: the sites that each step asks, by the word that asks for them.
        sites: checked cases of all of them.
    """
    rows = {s: Rows(study, of, made_of(study, of), alone=False) for s, of in sites.items()}
    for name in study.bound:
        pairs = pairs_of(study, name)
        asked = [group for group in groups[name].values() if len(group) > 1] if pairs else []
        for group in asked:
            counts = [_between(rows[site], name) for site in group]
            total = np.sum(counts, axis=0)
            tells = [p for p, n in zip(pairs, total, strict=True) if 0 < n < SMALLEST_CELL]
            if tells:
                where = f"between {told_apart(study, name, tells[0])}"
                yield f"steps.{name}: will not be answered: {where} {_FEW}"
                break
