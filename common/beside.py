"""Groups of one step beside the cases of another: few between them, and a mean tells of these.

The mean of all women and that of women without stage IV differ by the women of stage IV; if
she is one, her number follows from both. A site knows its own patients only, of whom one to
four in such a difference are common and harmless. So where a step tells of groups by
themselves, its first ask, which counts, counts as well how many patients lie between each group
and what other steps of the study sum of the same columns, and the coordinator asks no further
where that is one to four over all sites. Where a site's own sums go out it judges them itself.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from common.analyses.levels import levels_of
from common.crossing import grouped_by
from common.nested import is_refit
from common.step import Cases
from common.study import Study
from common.sums import Schema, count

ASKED = "beside"
"""In the values of an ask that counts these, and the name of the counts."""


_COUNTED = ("derive", "cross_tabulate", "missingness", "histogram", "agreement_of_categories")
"""Kinds that sum no values."""


@dataclass(frozen=True)
class Pair:
    """A group of a step and what another step tells of.

    Attributes:
        level: the group, index of a level of `by`.
        other: the other step.
        other_level: of its own groups, -1 for all its cases.
    """

    level: int
    other: str
    other_level: int = -1


class TellsOfFew(ValueError):
    """A group differs by so few from what another step tells of that nothing more is asked."""


def pairs_of(study: Study, name: str) -> tuple[Pair, ...]:
    """Return what the groups of a step are held against, in the study's order.

    All that other steps select, and the groups of those before it in the file. Of two
    steps of which one has groups that are made, such as the sides of a cut-off, it is that
    one's matter, as the other may be asked before they are there.
    """
    by = grouped_by(study.bound[name])
    if not by or is_refit(name):
        return ()
    n_levels, known = len(levels_of(by, study.contract())), set[tuple[Any, ...]]()
    found: list[Pair] = []
    for other, levels in _others(study, name):
        key = (_words(study.bound[other].cases), grouped_by(study.bound[other]) if levels else "")
        if key in known:
            continue
        known.add(key)
        found += [Pair(g, other, h) for g in range(n_levels) for h in levels or (-1,)]
    return tuple(found)


def beside_schema(study: Study, name: str, *, asked: bool) -> Schema:
    """Declare the counts of an ask that has them."""
    pairs = pairs_of(study, name) if asked else ()
    return {ASKED: count(len(pairs))} if pairs else {}


def told_apart(study: Study, name: str, pair: Pair) -> str:
    """Say which group and what other step it is."""
    contract, step, other = study.contract(), study.bound[name], study.bound[pair.other]
    group = f"{grouped_by(step)} {levels_of(grouped_by(step), contract)[pair.level]}"
    if pair.other_level < 0:
        return f'group "{group}" and the cases of step {pair.other}'
    theirs = f"{grouped_by(other)} {levels_of(grouped_by(other), contract)[pair.other_level]}"
    return f'group "{group}" and group "{theirs}" of step {pair.other}'


def _others(study: Study, name: str) -> Iterator[tuple[str, tuple[int, ...]]]:
    """Yield the steps that sum the same columns, by their cases, and by their groups."""
    step, order = study.bound[name], list(study.bound)
    for other, of in study.bound.items():
        if other == name or is_refit(other) or not _meet(study, name, other):
            continue
        if _words(of.cases) != _words(step.cases):
            yield other, ()
        same = (grouped_by(of), _words(of.cases)) == (grouped_by(step), _words(step.cases))
        if not grouped_by(of) or same:
            continue
        made, theirs = "." in grouped_by(step), "." in grouped_by(of)
        if made > theirs or (made == theirs and order.index(other) < order.index(name)):
            yield other, tuple(range(len(levels_of(grouped_by(of), study.contract()))))


def _meet(study: Study, name: str, other: str) -> bool:
    """Tell whether two steps sum a column in common, of the same sites.

    Of the columns of their groups only counts are told.
    """
    step, of = study.bound[name], study.bound[other]
    if of.kind in _COUNTED or not hasattr(of, "summarise"):
        return False
    together = set(step.over) & set(of.over) or {"all", "each"} & {*step.over, *of.over}
    mine, theirs = (study.summed(n) - {grouped_by(study.bound[n])} for n in (name, other))
    return bool(together) and not mine.isdisjoint(theirs)


def _words(cases: Cases) -> str:
    return repr(cases)
