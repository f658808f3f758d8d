"""What may stand side by side on one page: nothing withheld may be had by subtraction.

Answers are safe one by one; a total beside the numbers of all its sites but one is not.
So the page is audited as a reader could attack it: by the range that everything printed
leaves for each hidden cell.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from itertools import product

import numpy as np

from common.analyses.publish import SMALLEST_CELL
from common.table import Floats

Sites = frozenset[str]


@dataclass(frozen=True)
class Counts:
    """Counts of one part in the levels of one column.

    Attributes:
        sites: whose cases they are.
        levels: None where hidden.
        n: their sum, None where hidden.
    """

    sites: Sites
    levels: Mapping[str, int | None]
    n: int | None


def printable(groups: Mapping[str, Sites], withheld: Collection[Sites]) -> tuple[str, ...]:
    """Return the parts that may be printed together.

    Args:
        groups: the sites behind each part that was released, the dearest first.
        withheld: the sites behind parts that were refused.

    Returns:
        As many of the parts as leave every withheld one out of reach of sums and
        differences, in the order given.
    """
    hidden = [sites for sites in withheld if sites not in groups.values()]
    sites = sorted(frozenset().union(*groups.values(), *hidden))
    chosen: list[str] = []
    for part in groups:
        rows = [_indicator(groups[p], sites) for p in (*chosen, part)]
        if not any(_spanned(rows, _indicator(h, sites)) for h in hidden):
            chosen.append(part)
    return tuple(chosen)


def printable_counts(
    parts: Mapping[str, Counts], withheld: Collection[Sites] = ()
) -> tuple[str, ...]:
    """Return the parts whose counts may be printed, of one column.

    The smallest parts of those given last go first, until no hidden cell can be told
    and none is known to lie between zero and the smallest cell.
    """
    kept = dict(parts)
    while kept and _reveals(kept, withheld):
        kept.popitem()
    return tuple(kept)


def _reveals(parts: Mapping[str, Counts], withheld: Collection[Sites]) -> bool:
    from scipy.optimize import linprog

    rows, values, targets = _equations(parts, withheld)
    if not targets:
        return False
    matrix = np.array(rows) if rows else None
    for target, must_hide in targets:
        ends = []
        for sign in (1.0, -1.0):
            found = linprog(sign * target, A_eq=matrix, b_eq=values or None)
            if found.status == 2:  # the counts contradict each other: nothing is told
                return False
            ends.append(sign * found.fun if found.status == 0 else np.inf)
        low, high = ends
        small = 0.5 < high < SMALLEST_CELL - 0.5
        if small or (must_hide and high - low < 0.5):
            return True
    return False


def _equations(
    parts: Mapping[str, Counts], withheld: Collection[Sites]
) -> tuple[list[Floats], list[float], list[tuple[Floats, bool]]]:
    """Return what is printed, as equations in the cells, and the cells to protect."""
    sites = sorted(frozenset().union(*(c.sites for c in parts.values()), *withheld))
    levels = list(next(iter(parts.values())).levels)
    place = {cell: i for i, cell in enumerate(product(sites, levels))}

    def over(of: Sites, names: Collection[str]) -> Floats:
        row = np.zeros(len(place))
        row[[place[cell] for cell in product(of, names)]] = 1.0
        return row

    rows: list[Floats] = []
    values: list[float] = []
    targets: list[tuple[Floats, bool]] = []
    for counts in parts.values():
        for level, n in counts.levels.items():
            if n is None:
                targets.append((over(counts.sites, [level]), True))
            else:
                rows.append(over(counts.sites, [level]))
                values.append(float(n))
        if counts.n is not None:
            rows.append(over(counts.sites, levels))
            values.append(float(counts.n))
    targets += [(over(of, [level]), False) for of in withheld for level in levels]
    return rows, values, targets


def _indicator(of: Sites, sites: list[str]) -> Floats:
    return np.array([float(site in of) for site in sites])


def _spanned(rows: list[Floats], target: Floats) -> bool:
    rank = np.linalg.matrix_rank
    return bool(rank(np.array(rows)) == rank(np.array([*rows, target])))
