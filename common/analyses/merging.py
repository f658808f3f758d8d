"""Merge neighbouring cells until each holds enough patients to be published (R3).

Merging happens on the counts that are to be published, never on a site's part of a
sum, and nobody is dropped: zeroing small cells at each site moves an AUC by 0.1.
"""

import numpy as np
from numpy.typing import NDArray

from common.table import Floats

Ints = NDArray[np.int64]


def runs(counts: Ints, smallest: int, *, each: bool = False, empty: bool = False) -> Ints:
    """Cut cells in a row into runs that may be published.

    Args:
        counts: patients by class and cell, shape (classes, cells).
        smallest: patients a run holds at least.
        each: of every class there are 0 or `smallest` in a run; else of all together.
        empty: a run without anybody may stand alone, else it joins a neighbour.

    Returns:
        Where the runs end (exclusive), increasing, the last one `cells`. A cut between
        two runs lies in the middle of the empty cells between them, so that it is
        not the value of the last patient of one.
    """
    n_cells = counts.shape[1]
    if empty:
        return _join(counts, smallest, each=each, empty=True)
    used = np.flatnonzero(counts.sum(axis=0))
    if not used.size:
        return np.array([n_cells], np.int64)
    inner = _join(counts[:, used], smallest, each=each, empty=False)[:-1]
    cuts = (used[inner - 1] + used[inner] + 2) // 2
    return np.append(cuts, n_cells).astype(np.int64)


def run_sums(counts: Ints, ends: Ints) -> Ints:
    """Return the counts of each run, shape (classes, runs)."""
    below = np.pad(counts.cumsum(axis=1), ((0, 0), (1, 0)))
    return np.diff(below[:, np.append(0, ends)], axis=1)


def _join(counts: Ints, smallest: int, *, each: bool, empty: bool) -> Ints:
    """Close a run as soon as it may stand; the rest joins the runs before it."""
    ends: list[int] = []
    inside: list[list[int]] = []
    now = [0] * len(counts)
    for end, cell in enumerate(counts.T.tolist(), start=1):
        now = [a + b for a, b in zip(now, cell, strict=True)]
        if _stands(now, smallest, each=each, empty=empty):
            ends.append(end)
            inside.append(now)
            now = [0] * len(counts)
    while inside and not _stands(now, smallest, each=each, empty=empty):
        now = [a + b for a, b in zip(now, inside.pop(), strict=True)]
        ends.pop()
    if not ends or ends[-1] != counts.shape[1]:
        ends.append(counts.shape[1])
    return np.array(ends, np.int64)


def _stands(cell: list[int], smallest: int, *, each: bool, empty: bool) -> bool:
    total = sum(cell)
    if total == 0:
        return empty
    if each:
        return all(n == 0 or n >= smallest for n in cell)
    return total >= smallest


def counts_between(values: Floats, events: Floats, cuts: Floats) -> Ints:
    """Return counts by class (0, 1) between increasing cuts, shape (2, cuts + 1).

    A value on a cut lies above it.
    """
    n_parts = cuts.size + 1
    part = np.searchsorted(cuts, values, side="right")
    cell = part + events.astype(np.int64) * n_parts
    return np.bincount(cell, minlength=2 * n_parts).reshape(2, n_parts)


def merged_at(counts: Ints, shown: NDArray[np.bool_]) -> Ints:
    """Return the counts with those below a hidden cut moved to the part above it."""
    out = counts.copy()
    for k in np.flatnonzero(~shown):
        out[:, k + 1] += out[:, k]
        out[:, k] = 0
    return out


def shown_cuts(counts: Ints, smallest: int, *, each: bool = False) -> NDArray[np.bool_]:
    """Say which cuts of a score may be published with the counts on their two sides.

    Two published cuts have 0 or `smallest` patients between them, so that subtracting
    their counts shows no small cell either.

    Args:
        counts: patients by class between increasing cuts, shape (classes, cuts + 1).
        smallest: smallest cell above zero that may be shown.
        each: of every class, else of all together.

    Returns:
        Whether each cut is shown, shape (cuts,).
    """
    ends = runs(counts, smallest, each=each, empty=True)
    return np.isin(np.arange(1, counts.shape[1]), ends)
