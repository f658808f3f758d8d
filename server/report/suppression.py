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

    Those given last go first, until no hidden cell can be told and none is known to lie
    between zero and the smallest cell. A part with nothing but hidden cells stays.
    """
    if not parts:
        return ()
    audit = _Audit(parts, withheld)
    dropped: list[str] = []
    for part in [None, *reversed([p for p, c in parts.items() if _has_numbers(c)])]:
        if part is not None:
            dropped.append(part)
        if not audit.reveals([p for p in parts if p not in dropped]):
            break
    return tuple(part for part in parts if part not in dropped)


def _has_numbers(counts: Counts) -> bool:
    return counts.n is not None or any(n is not None for n in counts.levels.values())


class _Audit:
    """The cells of all sites and levels, and what a reader can tell of the hidden ones."""

    def __init__(self, parts: Mapping[str, Counts], withheld: Collection[Sites]) -> None:
        self.parts = parts
        self.levels = list(next(iter(parts.values())).levels)
        sites = sorted(frozenset().union(*(c.sites for c in parts.values()), *withheld))
        self.place = {cell: i for i, cell in enumerate(product(sites, self.levels))}
        self.targets = [
            (self._over(counts.sites, [level]), True)
            for counts in parts.values()
            for level, n in counts.levels.items()
            if n is None
        ]
        self.targets += [
            (self._over(of, [level]), False) for of in withheld for level in self.levels
        ]

    def reveals(self, printed: Collection[str]) -> bool:
        """Return whether the printed parts tell a cell that must stay hidden."""
        rows, values = self._equations(printed)
        for target, must_hide in self.targets if rows else ():
            low, high = _range(target, np.array(rows), values)
            small = 0.5 < high < SMALLEST_CELL - 0.5
            if small or (must_hide and high - low < 0.5):
                return True
        return False

    def _over(self, of: Sites, levels: Collection[str]) -> Floats:
        row = np.zeros(len(self.place))
        row[[self.place[cell] for cell in product(of, levels)]] = 1.0
        return row

    def _equations(self, printed: Collection[str]) -> tuple[list[Floats], list[float]]:
        rows: list[Floats] = []
        values: list[float] = []
        for counts in (self.parts[part] for part in printed):
            shown = [(level, n) for level, n in counts.levels.items() if n is not None]
            rows += [self._over(counts.sites, [level]) for level, _ in shown]
            values += [float(n) for _, n in shown]
            if counts.n is not None:
                rows.append(self._over(counts.sites, self.levels))
                values.append(float(counts.n))
        return rows, values


def _range(target: Floats, rows: Floats, values: list[float]) -> tuple[float, float]:
    """Return the ends between which what is printed leaves a sum of cells.

    Where the numbers contradict each other, as when cases changed between two steps,
    they tell nothing: the range is without an end.
    """
    from scipy.optimize import linprog

    ends = []
    for sign in (1.0, -1.0):
        found = linprog(sign * target, A_eq=rows, b_eq=values)
        ends.append(sign * float(found.fun) if found.status == 0 else -sign * np.inf)
    return ends[0], ends[1]


def _indicator(of: Sites, sites: list[str]) -> Floats:
    return np.array([float(site in of) for site in sites])


def _spanned(rows: list[Floats], target: Floats) -> bool:
    rank = np.linalg.matrix_rank
    return bool(rank(np.array(rows)) == rank(np.array([*rows, target])))
