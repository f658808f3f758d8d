"""Ranks without values: counts in cells, cut finer where they hold too many.

A cell is an interval (low, high] between two numbers of the float64 line, which has an
order of its own, 64-bit keys: so no column needs a declared range, and a cell one key
wide holds one value only, a tie. Ranks are exact once every cell holds one patient or
one value; before, a cell's patients share its mid-rank.
"""

from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from common.cohort import Column
from common.known import KNOWN
from common.sums import Array
from common.table import Floats, Table

Keys = NDArray[np.uint64]
Counts = NDArray[np.int64]

_HALF = np.uint64(1 << 63)
_FIRST_CUT = 256
_MOST_DIGITS = 15
_MOST_WHOLE = 4096  # whole numbers that get a cell each at once
_SMALLEST_POWER, _LARGEST_POWER = -40, 60
_LARGEST = np.finfo(np.float64).max


@dataclass(frozen=True)
class Line:
    """What is ranked: a column's numbers, or whole multiples of a resolution.

    Attributes:
        whole: the numbers are whole, so that a cell between neighbours holds one value.
        range: lowest and highest possible number, None where not declared.
    """

    whole: bool
    range: tuple[float, float] | None


@dataclass(frozen=True)
class Cells:
    """Counts of one column's cells.

    Attributes:
        keys: of the m + 1 ends of m cells, increasing.
        counts: shape (n_groups, m).
    """

    keys: Keys
    counts: Counts

    @property
    def total(self) -> Counts:
        """Patients in each cell, shape (m,)."""
        total: Counts = self.counts.sum(axis=0)
        return total

    @property
    def uncertain(self) -> NDArray[np.bool_]:
        """Cells whose patients may differ in rank."""
        uncertain: NDArray[np.bool_] = (self.total > 1) & (np.diff(self.keys) > 1)
        return uncertain

    def edges(self, line: Line) -> Floats:
        """Return the numbers between the cells, shape (m - 1,)."""
        return values_on(self.keys[1:-1], line)

    @property
    def doubled_midranks(self) -> Counts:
        """Twice the mid-rank of each cell: a whole number."""
        total = self.total
        midranks: Counts = 2 * (np.cumsum(total) - total) + total + 1
        return midranks


def line_of(column: Column, resolution: float | None) -> Line:
    """Return the line a column is ranked on."""
    if resolution is None:
        return Line(column.type == "integer", column.range)
    if column.range is None:
        return Line(whole=True, range=None)
    low, high = column.range
    return Line(True, (float(np.rint(low / resolution)), float(np.rint(high / resolution))))


def on_line(values: Floats, column: Column, resolution: float | None) -> Floats:
    """Return values as they are ranked: snapped to the resolution, -0.0 as 0.0."""
    if resolution is not None:
        return np.rint(values / resolution) + 0.0
    return (np.rint(values) if column.type == "integer" else values) + 0.0


def lines_here(table: Table, names: Sequence[str], resolution: float | None = None) -> Floats:
    """Return columns as they are ranked, not to be changed, shape (p, n)."""

    def make() -> Floats:
        values = table.by_column(names) + 0.0
        for row, name in zip(values, names, strict=True):
            if resolution is not None or table.contract[name].type == "integer":
                row[:] = on_line(row, table.contract[name], resolution)
        return values

    return KNOWN.of(table, ("lines", tuple(names), resolution), make)


def cut(
    lines: Sequence[Line], share: float, most_rounds: int, *, twice: bool = False
) -> Generator[dict[int, Floats], dict[int, Counts], list[Cells]]:
    """Cut every line until no cell that can be cut holds more than it may.

    Args:
        lines: one a column.
        share: of all patients that a cell may hold; 0 for exact ranks.
        most_rounds: after which cells stay as they are.
        twice: columns that need no cut are counted in the same cells a second time, as
            the first counts are of all groups together.

    Yields:
        Edges, increasing, by index of the column; expects counts of the cells they
        make, shape (n_groups, n_edges + 1). A column without counts is cut no further.
    """
    keys = {i: start(line) for i, line in enumerate(lines)}
    found: dict[int, Cells] = {}
    for nth in range(most_rounds):
        received = yield {i: values_on(k[1:-1], lines[i]) for i, k in keys.items()}
        for i, counts in received.items():
            found[i] = Cells(keys[i], counts)
        finer = {i: _finer(found[i], lines[i], share) for i in received}
        if twice and nth == 0:
            finer = {i: keys[i] if k is None else k for i, k in finer.items()}
        keys = {i: k for i, k in finer.items() if k is not None}
        if not keys:
            break
    return [found[i] for i in range(len(lines))]


def count_cells(values: Floats, codes: Counts, n_groups: int, edges: Floats) -> Counts:
    """Return the counts of values in the cells of `edges`, by group.

    Args:
        values: shape (n,), NaN where missing.
        codes: group of each value, below 0 where none.
        n_groups: how many.
        edges: increasing, shape (m - 1,); a value equal to an edge lies below it.

    Returns:
        Shape (n_groups, m).
    """
    there = ~np.isnan(values) & (codes >= 0)
    cell = np.searchsorted(edges, values[there], side="left")
    m = len(edges) + 1
    flat = np.bincount(codes[there] * m + cell, minlength=n_groups * m)
    return flat.reshape(n_groups, m).astype(np.int64)


def count_columns(
    values: Floats, codes: Counts, n_groups: int, edges: Mapping[int, Floats]
) -> Counts:
    """Return the counts of many columns in their cells, side by side in the order of `edges`.

    Args:
        values: a row for each column of `edges`, shape (p, n), NaN where missing.
        codes: group of each value, below 0 where none, shape (n,).
        n_groups: how many.
        edges: of each column, as in `count_cells`.

    Returns:
        Shape (n_groups, all cells).
    """
    ends = np.cumsum([0, *(e.size + 1 for e in edges.values())])
    cell = places(values, list(edges.values()))
    cell += ends[:-1, None] + ends[-1] * codes
    there = ~np.isnan(values) & (codes >= 0)
    flat = cell.ravel() if there.all() else cell[there]
    counts = np.bincount(flat, minlength=n_groups * ends[-1]).reshape(n_groups, -1)
    return counts.astype(np.int64, copy=False)


def places(values: Floats, edges: Sequence[Floats]) -> Counts:
    """Return the cell of each value, shape (p, n); a value equal to an edge lies below it.

    Args:
        values: a row for each column, shape (p, n).
        edges: of each column, increasing.
    """
    cell = np.empty(values.shape, np.int64)
    if _all_the_same(edges):
        cell[:] = edges[0].searchsorted(values)
        return cell
    for row, of, e in zip(cell, values, edges, strict=True):
        row[:] = e.searchsorted(of)
    return cell


def _all_the_same(edges: Sequence[Floats]) -> bool:
    """Tell whether all columns have one line, as most have in the first round."""
    if len({e.size for e in edges}) != 1:
        return False
    return bool((np.stack(edges) == edges[0]).all())


def pack(edges: Mapping[int, Floats]) -> dict[str, Array]:
    """Return the edges of some columns as the arrays of an ask."""
    which = list(edges)
    return {
        "which": np.array(which, np.int64),
        "n_edges": np.array([edges[i].size for i in which], np.int64),
        "edges": np.concatenate([edges[i] for i in which]),
    }


def unpack(arrays: Mapping[str, Array]) -> dict[int, Floats]:
    """Return the edges of each column, the inverse of `pack`."""
    ends = np.cumsum([0, *arrays["n_edges"]]).tolist()
    edges = np.asarray(arrays["edges"], np.float64)
    which = arrays["which"].tolist()
    return {i: edges[a:b] for i, a, b in zip(which, ends[:-1], ends[1:], strict=True)}


def unpack_counts(edges: Mapping[int, Floats], counts: Array) -> dict[int, Counts]:
    """Split counts of cells side by side, shape (n_groups, all cells), by column."""
    ends = np.cumsum([0, *(e.size + 1 for e in edges.values())]).tolist()
    counts = np.asarray(counts, np.int64)
    return {i: counts[:, a:b] for i, a, b in zip(edges, ends[:-1], ends[1:], strict=True)}


def cells_here(values: Floats, codes: Counts, n_groups: int) -> Cells:
    """Return exact cells of values that are all at hand."""
    there = values[~np.isnan(values) & (codes >= 0)]
    edges = np.unique(there)[:-1]
    counts = count_cells(values, codes, n_groups, edges)
    return Cells(np.arange(counts.shape[1] + 1, dtype=np.uint64), counts)


def start(line: Line) -> Keys:
    """Return the first ends of cells; zero and the ends of a range get their own."""
    if line.range is None:
        powers = 2.0 ** np.arange(_SMALLEST_POWER, _LARGEST_POWER)
        inner = np.concatenate([-powers[::-1], [0.0], powers])
        ends = np.array([-1.0, 1.0]) * (2.0**62 if line.whole else _LARGEST)
    else:
        low, high = line.range
        short = line.whole and high - low < _MOST_WHOLE
        inner = np.arange(low, high) if short else np.linspace(low, high, _FIRST_CUT + 1)
        ends = np.array([low, high])
    keys = keys_on((np.floor(inner) if line.whole else inner) + 0.0, line)
    lowest, highest = keys_on(ends + 0.0, line)
    zero = keys_on(np.zeros(1), line)
    one = np.uint64(1)
    alone = np.concatenate([zero - one, zero, [highest - one]])
    inside = np.concatenate([keys, alone[(alone >= lowest) & (alone < highest)]])
    inside = inside[(inside >= lowest) & (inside < highest)]
    return np.unique(np.concatenate([[lowest - one], inside, [highest]]))


def _finer(cells: Cells, line: Line, share: float) -> Keys | None:
    """Return finer keys; None where nothing is left to cut.

    A round number in a heavy cell gets a cell of its own: ties are mostly there.
    """
    total, width = cells.total, np.diff(cells.keys)
    most = max(1, int(share * total.sum()))
    heavy = np.flatnonzero((total > most) & (width > 1))
    if not heavy.size:
        return None
    budget = max(1024, 4 * int(total.sum())) if share == 0 else int(4 / share)
    wanted = np.ceil(budget * total[heavy] / total[heavy].sum()).astype(np.uint64) + 1
    parts = np.minimum(np.maximum(wanted, 2), width[heavy])
    n_new = (parts - 1).astype(np.int64)
    which = np.repeat(np.arange(heavy.size), n_new)
    nth = np.arange(n_new.sum()) - np.repeat(np.cumsum(n_new) - n_new, n_new) + 1
    step = (width[heavy] // parts)[which]
    new = cells.keys[heavy][which] + step * nth.astype(np.uint64)
    # A key between two empty cells says nothing.
    empty = total == 0
    keep = np.concatenate([[True], ~(empty[1:] & empty[:-1]), [True]])
    alone = round_numbers(cells.keys[heavy], cells.keys[heavy + 1], line)
    return np.unique(np.concatenate([cells.keys[keep], new, alone - np.uint64(1), alone]))


def round_numbers(low: Keys, high: Keys, line: Line) -> Keys:
    """Return the places of the roundest numbers in (low, high], binary and decimal."""
    below = low ^ high
    for shift in (1, 2, 4, 8, 16, 32):
        below |= below >> np.uint64(shift)
    binary = high & ~(below >> np.uint64(1))
    a, b = values_on(low, line), values_on(high, line)
    size = np.maximum(np.maximum(np.abs(a), np.abs(b)), np.finfo(np.float64).tiny)
    first = np.floor(np.log10(size))
    decimal, found = b.copy(), np.zeros(b.shape, np.bool_)
    for digits in range(_MOST_DIGITS + 1):
        rounded = _cut_digits(b, first - digits)
        inside = (rounded > a) & (rounded <= b) & ~found
        decimal = np.where(inside, rounded, decimal)
        found |= inside
        if found.all():
            break
    return np.concatenate([binary, keys_on(decimal + 0.0, line)])


def _cut_digits(values: Floats, exponent: Floats) -> Floats:
    """Return the largest multiple of 10**exponent that is not above the value."""
    with np.errstate(over="ignore", under="ignore", invalid="ignore", divide="ignore"):
        # A quotient of two whole numbers is the double that the decimal text reads as.
        unit = 10.0 ** np.abs(exponent)
        big = np.floor(values / unit) * unit
        small = np.floor(values * unit) / unit
        out: Floats = np.where(exponent >= 0, big, small)
    return out


def keys_on(values: Floats, line: Line) -> Keys:
    """Return the place of numbers on a line."""
    if line.whole:
        return values.astype(np.int64).view(np.uint64) ^ _HALF
    bits = np.ascontiguousarray(values).view(np.uint64)
    # The two zeros share a key.
    return np.where(bits >= _HALF, ~bits + np.uint64(1), bits | _HALF)


def values_on(keys: Keys, line: Line) -> Floats:
    """Return the numbers at these places of a line."""
    if line.whole:
        return (keys ^ _HALF).view(np.int64).astype(np.float64)
    bits = np.where(keys >= _HALF, keys ^ _HALF, ~(keys - np.uint64(1)))
    return bits.view(np.float64)
