"""Quantiles by search on counts: no value leaves a site, only "how many are <= c".

A window around the wanted rank is cut into parts, and the narrowest run of parts that
still holds `smallest` patients becomes the next window; so a published quantile is
never one patient's value (rule R7). Beyond each of its ends lie `smallest` patients too,
or it is the end of the declared range: else the end would close in on the largest value.
Exact where values lie on a grid with enough ties;
otherwise the answer comes with the width of its window.
"""

import math
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from common.cohort import Column
from common.table import Floats

PARTS = 256
_ROUNDS = 3

Counts = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Window:
    """Where a quantile lies: rank `rank` of n, in (low, high], with `below` at or under low.

    An open one reaches to an end of the declared range and is wide: it says no value.
    """

    low: float
    high: float
    below: int
    inside: int
    rank: int
    open: bool = False

    @property
    def value(self) -> float:
        """The quantile, by even spacing of the patients inside the window."""
        if not self.inside or self.open:
            return math.nan
        if self.high - self.low == 1 and (self.low - 0.5).is_integer():
            return self.low + 0.5  # one whole number
        share = (self.rank - self.below - 0.5) / self.inside
        return self.low + share * (self.high - self.low)


def search(
    column: Column, quantiles: Sequence[float], smallest: int
) -> Generator[Floats, Counts, list[Window]]:
    """Find quantiles of one column; yields edges, receives the counts at or below them.

    Args:
        column: with its public range.
        quantiles: in (0, 1).
        smallest: least number of patients in a published window.

    Yields:
        Edges, shape (len(quantiles), PARTS + 1); expects integer counts of values <= edge.

    Returns:
        A window for each quantile. Its width is at most range / PARTS**3, or the
        narrowest that holds `smallest` patients.
    """
    low, high = _domain(column)
    windows, n = [Window(low, high, 0, 0, 0)] * len(quantiles), 0
    for step in range(_rounds(column)):
        edges = np.stack([_cut(w, column) for w in windows])
        counts = yield edges
        if step == 0:
            windows = [_start(q, low, high, int(counts[0, -1])) for q in quantiles]
            n = int(counts[0, -1])
        rules = _Rules(smallest, n, (low, high))
        windows = [_narrow(w, edges[i], counts[i], rules) for i, w in enumerate(windows)]
    return [_opened(w, column) for w in windows]


def _opened(window: Window, column: Column) -> Window:
    """Return a window marked as open if even spacing inside it would mean nothing."""
    low, high = _domain(column)
    narrow = max((high - low) / PARTS, 1.0 if column.type == "integer" else 0.0)
    at_end = window.low <= low or window.high >= high
    return replace(window, open=at_end and window.high - window.low > narrow)


def search_here(
    column: Column, quantiles: Sequence[float], values: Floats, smallest: int
) -> list[Window]:
    """Return the windows `search` would find if `values` were all there is."""
    searching = search(column, quantiles, smallest)
    edges = next(searching)
    try:
        while True:
            edges = searching.send(count_below(values, edges))
    except StopIteration as stop:
        windows: list[Window] = stop.value
        return windows


def _start(q: float, low: float, high: float, n: int) -> Window:
    return Window(low, high, 0, n, max(1, math.ceil(q * n)))


def _domain(column: Column) -> tuple[float, float]:
    if column.range is None:
        raise ValueError("a quantile search needs the column's range")
    low, high = column.range
    if column.type == "integer":
        return low - 0.5, high + 0.5
    # The lowest possible value must lie inside the half-open first window.
    return float(np.nextafter(low, -math.inf)), high


def _rounds(column: Column) -> int:
    low, high = _domain(column)
    if column.type == "integer":
        return max(1, math.ceil(math.log(high - low, PARTS)))
    return _ROUNDS


def _cut(window: Window, column: Column) -> Floats:
    edges = np.linspace(window.low, window.high, PARTS + 1)
    if column.type == "integer":  # between whole numbers, where no value can lie
        edges[1:-1] = np.floor(edges[1:-1]) + 0.5
    return edges


@dataclass(frozen=True, slots=True)
class _Rules:
    """What a window must hold: `smallest` of n patients, inside a domain."""

    smallest: int
    n: int
    domain: tuple[float, float]

    def may_begin(self, edges: Floats, counts: Counts) -> NDArray[np.bool_]:
        """Return which edges may be a window's lower end."""
        may: NDArray[np.bool_] = (counts >= self.smallest) | (edges <= self.domain[0])
        return may

    def may_end(self, edge: float, count: int) -> bool:
        """Return whether an edge may be a window's upper end."""
        return self.n - count >= self.smallest or edge >= self.domain[1]


def _narrow(window: Window, edges: Floats, counts: Counts, rules: _Rules) -> Window:
    """Return the narrowest run of parts that holds the rank and keeps the rules."""
    best = window
    first = np.searchsorted(counts, window.rank, side="left")  # first edge at or above it
    begins = rules.may_begin(edges, counts)
    for j in range(int(first), len(edges)):
        most = min(counts[j] - rules.smallest, window.rank - 1)
        i = int(np.searchsorted(counts, most, side="right"))
        while i > 0 and not begins[i - 1]:
            i -= 1
        if i == 0 or not rules.may_end(edges[j], int(counts[j])):
            continue
        if not edges[j] - edges[i - 1] < best.high - best.low:
            continue
        inside = int(counts[j] - counts[i - 1])
        best = Window(float(edges[i - 1]), float(edges[j]), int(counts[i - 1]), inside, window.rank)
    return best


def count_below(values: Floats, edges: Floats) -> Counts:
    """Return how many values are at or below each edge, in the shape of `edges`."""
    ordered = np.sort(values)
    return np.searchsorted(ordered, edges, side="right").astype(np.int64)


def search_many(
    contract: Mapping[str, Column],
    columns: Sequence[str],
    quantiles: Sequence[float],
    smallest: int,
) -> Generator[dict[str, Floats], Mapping[str, Counts], dict[str, list[Window]]]:
    """Run `search` for many columns side by side.

    Yields:
        Edges of the columns still searched; expects the counts at or below them.
    """
    running = {c: search(contract[c], quantiles, smallest) for c in columns}
    edges = {c: next(searching) for c, searching in running.items()}
    found: dict[str, list[Window]] = {}
    while edges:
        counts = yield edges
        edges = {}
        for c, below in counts.items():
            try:
                edges[c] = running[c].send(below)
            except StopIteration as stop:
                found[c] = stop.value
    return found
