"""Quantiles by search on counts: no value leaves a site, only "how many are <= c".

The declared range is cut into parts, then the run of parts around the wanted rank, and so
on. The answer is the narrowest window between edges seen that holds `smallest` patients;
so a published quantile is of five patients, not of one (rule R7), though an end may happen
to be somebody's value. Beyond each of its ends lie `smallest` patients too, or it is the end
of the declared range: else the end would close in on the largest value. What is cut next need
not be such a window: where most patients lie in two or three parts of a wide range there is
none yet, and only finer parts tell them apart.
Exact where values lie on a grid with enough ties;
otherwise the answer comes with the width of its window.
"""

import math
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

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
        narrowest that holds `smallest` patients; open where no such window is closed.
    """
    low, high = _domain(column)
    cuts = [(low, high)] * len(quantiles)
    windows: list[Window] = []
    n = 0
    for _ in range(_rounds(column)):
        edges = np.stack([_cut(ends, column) for ends in cuts])
        counts = yield edges
        if not windows:
            n = int(counts[0, -1])
            windows = [_start(q, low, high, n) for q in quantiles]
        rules = _Rules(smallest, n, (low, high))
        windows = [_narrow(w, edges[i], counts[i], rules) for i, w in enumerate(windows)]
        cuts = [_around(w.rank, edges[i], counts[i], rules) for i, w in enumerate(windows)]
    return [opened(w, column) for w in windows]


def opened(window: Window, column: Column) -> Window:
    """Return a window marked as open if even spacing inside it would mean nothing.

    One that reaches to an end of the range is a value only where it holds ties there.
    """
    low, high = _domain(column)
    narrow = max((high - low) / PARTS**2, 1.0 if column.type == "integer" else 0.0)
    slack = (high - low) / PARTS**4  # what a window that was sent may have been rounded by
    at_end = window.low <= low + slack or window.high >= high - slack
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
    if column.type == "integer" and high - low <= PARTS:
        return 1  # each whole number is a part
    return _ROUNDS


def _cut(ends: tuple[float, float], column: Column) -> Floats:
    edges = np.linspace(*ends, PARTS + 1)
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
    """Return the narrowest run of parts that holds the rank and keeps the rules.

    Edges cut later do not reach to the ends of the range, which may be a window's too.
    """
    best = window
    edges = np.concatenate([rules.domain[:1], edges, rules.domain[1:]])
    counts = np.concatenate([[0], counts, [rules.n]])
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


def _around(rank: int, edges: Floats, counts: Counts, rules: _Rules) -> tuple[float, float]:
    """Return the run of parts in which a closed window around the rank must end.

    Its low end has `smallest` patients or more below, its high end as many above; so which
    parts are cut, and with them the edges, does not depend on the largest or smallest values.
    """
    n, least = rules.n, rules.smallest
    if n < 2 * least:
        return float(edges[0]), float(edges[-1])
    lowest = max(least, min(rank - least, n - 2 * least))
    highest = min(n - least, max(rank + least - 1, 2 * least))
    first = max(int(np.searchsorted(counts, lowest, side="left")), 1)
    last = max(int(np.searchsorted(counts, highest, side="left")), first)
    return float(edges[first - 1]), float(edges[min(last, len(edges) - 1)])


def count_below(values: Floats, edges: Floats) -> Counts:
    """Return how many values are at or below each edge, in the shape of `edges`."""
    ordered = np.sort(values)
    return np.searchsorted(ordered, edges, side="right").astype(np.int64)


@dataclass
class Search:
    """Searches of many columns, which may begin in different rounds.

    Attributes:
        contract: of the columns; those without a range have no quantiles.
        quantiles: in (0, 1).
        smallest: least number of patients in a published window.
        edges: of the columns still searched, for the next ask.
        windows: of the columns found.
    """

    contract: Mapping[str, Column]
    quantiles: Sequence[float]
    smallest: int
    edges: dict[str, Floats] = field(default_factory=dict)
    windows: dict[str, list[Window]] = field(default_factory=dict)
    _running: dict[str, Generator[Floats, Counts, list[Window]]] = field(default_factory=dict)

    def begin(self, columns: Sequence[str]) -> None:
        """Begin to search more columns; nothing where no quantile is wanted."""
        for c in columns if self.quantiles else ():
            if self.contract[c].range is not None:
                self._running[c] = search(self.contract[c], self.quantiles, self.smallest)
                self.edges[c] = next(self._running[c])

    def take(self, total: Mapping[str, NDArray[Any]]) -> None:
        """Take the counts below the edges asked for, from the total of that ask."""
        asked, self.edges = self.edges, {}
        for c in asked:
            try:
                self.edges[c] = self._running[c].send(np.asarray(total[f"below.{c}"], np.int64))
            except StopIteration as stop:
                self.windows[c] = stop.value
