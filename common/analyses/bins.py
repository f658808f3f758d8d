"""Bins of columns for trees: of equal depth by counts, or of equal width by range.

An edge is a public number or a place of the float64 line that counts chose, never a
value of a case, and every bin of equal depth holds at least five cases. Edges are of all
complete cases, those left out by a fold included: they do not look at the outcome. The
counts take some 6 kB a column and round, only in masked sums.
"""

from collections.abc import Generator, Mapping, Sequence
from typing import Literal

import numpy as np

from common.analyses import rank_cells
from common.analyses.analysis import Ask
from common.analyses.classifier import Contract, Ints
from common.analyses.merging import runs
from common.analyses.plain import whole
from common.analyses.publish import SMALLEST_CELL
from common.cohort import Column
from common.sums import Array, Schema, Sums, fine_grid
from common.table import Floats

Cut = Literal["depth", "range"]

_FINER = 4  # cells a bin is put together of, at least
_ROUNDS = 3


def check_ranges(of: Sequence[str], contract: Contract) -> None:
    """Refuse equal width for a column without a declared range.

    Raises:
        ValueError: names the columns.
    """
    without = [c for c in of if contract[c].range is None]
    if without:
        raise ValueError(f"edges: range needs columns with a declared range, not {without}")


def find_edges(
    of: Sequence[str], contract: Contract, bins: int, cut: Cut
) -> Generator[Ask, Sums, tuple[Sums, Floats]]:
    """Ask for counts and find the edges of every column.

    Args:
        of: columns of numbers.
        contract: their types and ranges.
        bins: the most of a column.
        cut: rule of the edges.

    Yields:
        Asks of phase "bins", 1 for equal width, at most 3 for equal depth.

    Returns:
        The first round's total, and edges of shape (p, bins - 1), ended with infinities.
    """
    if cut == "range":
        first = yield Ask("bins")
        return first, _padded([_equal_width(contract[c], bins) for c in of], bins)
    lines = [rank_cells.line_of(contract[c], None) for c in of]
    cutting = rank_cells.cut(lines, 1 / (_FINER * bins), _ROUNDS)
    edges, first = next(cutting), {}
    while True:
        total = yield Ask("bins", {}, rank_cells.pack(edges))
        first = first or total
        try:
            edges = cutting.send(rank_cells.unpack_counts(edges, whole(total["below"])))
        except StopIteration as stop:
            found: list[rank_cells.Cells] = stop.value
            pairs = zip(found, lines, strict=True)
            return first, _padded([_equal_depth(c, line, bins) for c, line in pairs], bins)


def bins_schema(ask: Ask) -> Schema:
    """Declare the counts between the edges of an ask."""
    if "edges" not in ask.arrays:
        return {}
    n_cells = int(ask.arrays["n_edges"].sum()) + len(ask.arrays["n_edges"])
    return {"below": fine_grid(1, n_cells, behind="n_patients")}


def bins_here(ask: Ask, x: Floats) -> Mapping[str, Array]:
    """Return a site's counts between the edges of an ask."""
    if "edges" not in ask.arrays:
        return {}
    edges = rank_cells.unpack(ask.arrays)
    together = np.zeros(len(x), np.int64)
    values = x.T if len(edges) == x.shape[1] else x.T[list(edges)]
    return {"below": rank_cells.count_columns(values, together, 1, edges)}


def codes_of(x: Floats, edges: Floats) -> Ints:
    """Return the bin of each value, shape (n, p); a value on an edge lies below it."""
    return np.ascontiguousarray(rank_cells.places(x.T, list(edges)).T)


def _equal_width(column: Column, bins: int) -> Floats:
    if column.range is None:
        raise ValueError("edges of equal width need the column's range")
    low, high = column.range
    inner = np.linspace(low, high, bins + 1)[1:-1]
    return np.unique(np.floor(inner) + 0.5) if column.type == "integer" else inner


def _equal_depth(cells: rank_cells.Cells, line: rank_cells.Line, bins: int) -> Floats:
    total = cells.total
    deep = max(SMALLEST_CELL, -(-int(total.sum()) // bins))
    ends = runs(total[None], deep)[:-1]
    edges: Floats = cells.edges(line)[ends - 1]
    return edges[: bins - 1]


def _padded(edges: Sequence[Floats], bins: int) -> Floats:
    out = np.full((len(edges), bins - 1), np.inf)
    for row, of in zip(out, edges, strict=True):
        row[: of.size] = of
    return out
