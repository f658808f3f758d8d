"""Medians of groups by search on counts, to 2**-42 of their value.

Each ask cuts the windows around the middle ranks; a window ends as one whole number, or
so narrow that its middle is the median for every purpose of a test. They are not for
print: `describe` publishes quantiles, from windows that hold five patients.
"""

from collections.abc import Generator, Sequence
from dataclasses import dataclass

import numpy as np

from common.analyses.quantiles import count_below
from common.analyses.rank_cells import Counts, Keys, Line, start, values_on
from common.table import Floats

Windows = dict[int, Floats]

_MOST_PARTS, _FEWEST_PARTS = 2048, 64
_BUDGET = 2**20  # counts in one ask of all columns
_NARROW = 2**10  # of the 2**52 keys between a number and its double


@dataclass(frozen=True)
class _Search:
    """One column's search: keys of a window for each rank, shape (2 G,)."""

    line: Line
    low: Keys
    high: Keys

    @property
    def done(self) -> bool:
        narrow = 1 if self.line.whole else _NARROW
        return bool((self.high - self.low <= narrow).all())

    def edges(self, n_parts: int) -> Keys:
        """Return the high ends of the parts of each window, shape (2 G, n_parts)."""
        parts = np.minimum(self.high - self.low, np.uint64(n_parts))
        step = (self.high - self.low) // parts
        nth = np.arange(1, n_parts + 1, dtype=np.uint64)
        inner = np.minimum(nth, parts[:, None] - np.uint64(1))
        cut: Keys = self.low[:, None] + step[:, None] * inner
        cut[:, -1] = self.high
        return cut


def search_medians(
    lines: Sequence[Line], n_groups: int
) -> Generator[Windows, dict[int, Counts], Floats]:
    """Find the median of each group in each column.

    Yields:
        Edges by index of the column, rows of edges in the order of the groups: one a
        group in the first ask, then two. Expects, in the same shape, how many values of
        the row's group lie at or below each edge.

    Returns:
        Shape (n_groups, n_columns), NaN where a group has no value.
    """
    first = {i: np.tile(start(line), (n_groups, 1)) for i, line in enumerate(lines)}
    counts = yield {i: values_on(k[:, 1:], lines[i]) for i, k in first.items()}
    n = np.stack([counts[i][:, -1] for i in range(len(lines))], axis=1)
    ranks = np.stack([(n + 1) // 2, n // 2 + 1], axis=1).reshape(2 * n_groups, -1)
    searches = {}
    for i, keys in first.items():
        twice = np.repeat(np.arange(n_groups), 2)
        searches[i] = _narrow(lines[i], ranks[:, i], keys[twice], counts[i][twice])
    n_parts = _BUDGET // (2 * n_groups * max(len(lines), 1))
    n_parts = min(max(n_parts, _FEWEST_PARTS), _MOST_PARTS)
    while running := {i: s.edges(n_parts) for i, s in searches.items() if not s.done}:
        counts = yield {i: values_on(k, lines[i]) for i, k in running.items()}
        for i, edges in running.items():
            keys = np.concatenate([searches[i].low[:, None], edges], axis=1)
            searches[i] = _narrow(lines[i], ranks[:, i], keys, counts[i])
    middle = np.stack([_middle(searches[i]) for i in range(len(lines))], axis=1)
    medians = (middle / 2).reshape(n_groups, 2, -1).sum(axis=1)
    return np.where(n > 0, medians, np.nan)


def count_in_windows(values: Floats, codes: Counts, n_groups: int, edges: Floats) -> Counts:
    """Return how many values of each row's group lie at or below its edges."""
    there = ~np.isnan(values)
    groups = [values[there & (codes == g)] for g in range(n_groups)]
    rows_each = len(edges) // n_groups
    return np.stack([count_below(groups[r // rows_each], row) for r, row in enumerate(edges)])


def _narrow(line: Line, ranks: Counts, keys: Keys, below: Counts) -> _Search:
    """Return the part that holds each rank.

    Args:
        line: of the column.
        ranks: shape (2 G,).
        keys: ends of the parts, shape (2 G, m + 1).
        below: counts at or below the high ends, shape (2 G, m).
    """
    part = np.minimum((below < ranks[:, None]).sum(axis=1), below.shape[1] - 1)
    row = np.arange(len(ranks))
    low, high = keys[row, part], keys[row, part + 1]
    nobody = below[:, -1] == 0
    return _Search(line, low, np.where(nobody, low + np.uint64(1), high))


def _middle(search: _Search) -> Floats:
    high = values_on(search.high, search.line)
    if search.line.whole:
        return high
    return values_on(search.low + np.uint64(1), search.line) / 2 + high / 2
