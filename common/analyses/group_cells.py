"""Counts of a column by group beside its counts over all: what of them may be told.

A reader has the sizes of the groups, what is told over all cases, and every cell that is
shown. So cells are hidden until no line of the table gives one of one to four away, and the
rest is audited as a reader could attack it: by the range that all of it leaves for each.
"""

import numpy as np
from numpy.typing import NDArray

from common.analyses import hidden_cells as two_way
from common.analyses.publish import SMALLEST_CELL, with_another
from common.table import Floats

Counts = NDArray[np.int64]
Bools = NDArray[np.bool_]


def closed_groups(sizes: Counts) -> Bools:
    """Return the groups of whom nothing is told: of one to four cases, and one more."""
    return with_another((sizes > 0) & (sizes < SMALLEST_CELL), sizes)


def closed_values(present: Counts, closed: Bools) -> Bools:
    """Return the groups of which no mean is told, of a column that so many of each have.

    The mean over all cases, less those of the groups shown, would be that of the one hidden.
    """
    few = (present > 0) & (present < SMALLEST_CELL)
    return with_another(closed | few, present)


def hidden_in_groups(counts: Counts, closed: Bools, gone: Bools) -> Bools:
    """Return the cells to hide.

    Args:
        counts: cases by level and group, those without a value last, shape (levels + 1, groups).
        closed: groups of whom nothing is told, shape (groups,).
        gone: levels whose count over all is hidden, shape (levels + 1,).
    """
    hidden = (counts > 0) & (counts < SMALLEST_CELL)
    hidden[:-1] |= two_way.hidden_cells(counts[:-1])  # as the columns, crossed, are printed
    hidden |= closed
    while (more := _another(counts, hidden, closed, gone)) is not None:
        hidden[more] = True
    return np.ones_like(hidden) if _tells_of_few(counts, hidden, closed, gone) else hidden


def _another(counts: Counts, hidden: Bools, closed: Bools, gone: Bools) -> tuple[int, int] | None:
    """Return a cell to hide beside those of a row or column from whose total they follow."""
    for i in np.flatnonzero(hidden.any(axis=1) | gone).tolist():
        if (j := _weak(counts[i], hidden[i], total_shown=not gone[i])) is not None:
            return i, j
    for j in np.flatnonzero(hidden.any(axis=0) & ~closed).tolist():
        if (level := _weak(counts[:, j], hidden[:, j], total_shown=True)) is not None:
            return level, j
    return None


def _weak(cells: Counts, hidden: Bools, *, total_shown: bool) -> int | None:
    """Return the smallest open cell of a line whose hidden ones, or total, would be told."""
    open_cells = np.flatnonzero(~hidden)
    if not open_cells.size or (not total_shown and hidden.any()):
        return None
    follows = not hidden.any() or hidden.sum() == 1
    if not follows and not (with_another(hidden, cells) & ~hidden).any():
        return None
    # Other patients first: a hidden zero protects nobody.
    order = sorted(open_cells.tolist(), key=lambda k: (cells[k] == 0, cells[k]))
    return order[0] if follows or cells[order[0]] else None


def _tells_of_few(counts: Counts, hidden: Bools, closed: Bools, gone: Bools) -> bool:
    """Tell whether a hidden cell or total of one to four is known, or known to be so few."""
    if not hidden.any():
        return False
    at = np.cumsum(hidden.ravel()).reshape(hidden.shape) - 1
    of = np.eye(int(hidden.sum()))[at] * hidden[..., None]  # each cell's place, shape (l, g, m)
    lines = [*of[~gone].sum(axis=1), *of[:, ~closed].sum(axis=0), of.sum(axis=(0, 1))]
    unknown = np.where(hidden, counts, 0)
    totals = [*unknown[~gone].sum(axis=1), *unknown[:, ~closed].sum(axis=0), unknown.sum()]
    few = [*of[hidden & (counts > 0) & (counts < SMALLEST_CELL)]]
    few += [of[i].sum(axis=0) for i in np.flatnonzero(gone) if _few(unknown[i].sum())]
    few += [of[:, j].sum(axis=0) for j in np.flatnonzero(closed) if _few(unknown[:, j].sum())]
    return any(_known(target, np.array(lines), np.array(totals)) for target in few)


def _few(n: int) -> bool:
    return 0 < n < SMALLEST_CELL


def _known(target: Floats, lines: Floats, totals: Counts) -> bool:
    """Tell whether a sum of hidden cells has one value, or none but of few, by all the others."""
    from scipy.optimize import linprog

    low, high = (sign * linprog(sign * target, A_eq=lines, b_eq=totals).fun for sign in (1, -1))
    return bool(high - low < 0.5 or high < SMALLEST_CELL - 0.5)
