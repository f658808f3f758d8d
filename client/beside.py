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
from common.beside import ASKED, beside_schema, grouped_by, pairs_of, told_apart
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
    mine = _groups(rows, name)
    found: list[int] = []
    theirs: dict[str, list[Bools]] = {}
    for pair in pairs_of(rows.study, name):
        if pair.other not in theirs:
            theirs[pair.other] = _groups(rows, pair.other)
        groups, whole = theirs[pair.other], rows.chosen(pair.other)
        if not mine or (pair.other_level >= 0 and not groups):
            found.append(0)
            continue
        other = groups[pair.other_level] if pair.other_level >= 0 else whole
        found.append(rows.count(mine[pair.level] ^ other))
    return found


def _rows(study: Study, cases: Sequence[Case]) -> Rows:
    return Rows(study, cases, made_of(study, cases), alone=False)


def _groups(rows: Rows, name: str) -> list[Bools]:
    """Return the rows of a step in each of its groups; none where it has none, or not yet."""
    by, study = grouped_by(rows.study.bound[name]), rows.study
    values = rows.values(by) if by else None
    if values is None:
        return []
    column, inside = study.contract()[by], rows.chosen(name)
    first = 0 if column.levels or column.range is None else round(column.range[0])
    n_levels = len(column.levels) or round((column.range or (0, 1))[1]) - first + 1
    return [inside & (values == first + level) for level in range(n_levels)]


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
    for name in study.bound:
        pairs = pairs_of(study, name)
        asked = [group for group in groups[name].values() if len(group) > 1] if pairs else []
        for group in asked:
            counts = [_between(_rows(study, sites[site]), name) for site in group]
            total = np.sum(counts, axis=0)
            tells = [p for p, n in zip(pairs, total, strict=True) if 0 < n < SMALLEST_CELL]
            if tells:
                where = f"between {told_apart(study, name, tells[0])}"
                yield f"steps.{name}: will not be answered: {where} {_FEW}"
                break
