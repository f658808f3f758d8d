"""Trees on binned columns, as arrays: how a case falls through them, and a level's sums.

Node i of a tree has the children 2 i + 1 and 2 i + 2; a case goes to the first if the
code of its bin is at most the node's cut. So a split value is the edge of a bin, never a
value of a case (rule R9).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from common.analyses.analysis import Ask
from common.analyses.bins import codes_of
from common.analyses.classifier import Bools, Cases, Ints
from common.known import KNOWN, digest
from common.seeds import numpy_rng
from common.sums import Array, Field, Schema
from common.table import Floats, Table

Codes: TypeAlias = NDArray[np.uint8] | Ints

CHANNELS = 3
_BOUND = float(2**53)  # of a double's whole numbers, and what one site may send
_LEAF = -1
_PIECE = 1 << 20  # numbers worked on at once
# P(Poisson(1) <= k): a place among them is a draw, the same with every library.
_POISSON = np.exp(-1.0) * np.cumsum(1.0 / np.cumprod([1.0, *range(1, 12)]))


@dataclass(frozen=True)
class Binned:
    """A site's cases as trees see them.

    Attributes:
        codes: bin of each value, a byte each, shape (n, p).
        counted: 1 for one case of each patient, else 0, shape (n,).
    """

    codes: NDArray[np.uint8]
    counted: Ints


@dataclass(frozen=True)
class Trees:
    """Many trees of the same largest depth.

    Attributes:
        feature: column of each split, -1 at a leaf, shape (trees, 2**depth - 1).
        cut: code of the last bin that goes left, same shape.
        value: of each node as a leaf, shape (trees, 2**(depth + 1) - 1).
    """

    feature: Ints
    cut: Ints
    value: Floats

    @property
    def depth(self) -> int:
        """Number of levels of splits."""
        return int(self.feature.shape[1]).bit_length()

    def arrays(self, prefix: str = "") -> dict[str, Array]:
        """Return them as the arrays of an ask or answer."""
        return {f"{prefix}{name}": getattr(self, name) for name in ("feature", "cut", "value")}

    def some(self, which: slice) -> "Trees":
        """Return a part of the trees."""
        return Trees(self.feature[which], self.cut[which], self.value[which])

    def values_of(self, codes: Codes) -> Floats:
        """Return what each tree says of each case, shape (n, trees)."""
        out = np.empty((len(codes), len(self.feature)))
        for some in _pieces(len(self.feature), len(codes)):
            node = nodes_of(codes, self.feature[some], self.cut[some])
            value = self.value[some]
            out[:, some] = value.take(value.shape[1] * np.arange(len(value))[:, None] + node).T
        return out


def stumps(n_trees: int, depth: int) -> Trees:
    """Return trees that do not split yet."""
    shape = (n_trees, 2**depth - 1)
    value = np.zeros((n_trees, 2 ** (depth + 1) - 1))
    return Trees(np.full(shape, _LEAF, np.int64), np.zeros(shape, np.int64), value)


def read_trees(arrays: dict[str, Array], prefix: str = "") -> Trees:
    """Return the trees that `Trees.arrays` wrote."""
    names = ("feature", "cut", "value")
    feature, cut, value = (np.asarray(arrays[prefix + name]) for name in names)
    return Trees(feature.astype(np.int64), cut.astype(np.int64), value.astype(np.float64))


def nodes_of(codes: Codes, feature: Ints, cut: Ints) -> Ints:
    """Return the node each case ends in, shape (trees, n), of the splits of trees."""
    n_trees, width = feature.shape
    node = np.zeros((n_trees, len(codes)), np.int64)
    tree, row = width * np.arange(n_trees)[:, None], codes.shape[1] * np.arange(len(codes))
    for _ in range(int(width).bit_length()):
        split = feature.take(tree + node)
        goes_on = split != _LEAF
        if not goes_on.any():
            break
        right = codes.take(row + np.maximum(split, 0)) > cut.take(tree + node)
        node = np.where(goes_on, 2 * node + 1 + right, node)
    return node


def _pieces(n_trees: int, per_tree: int) -> Iterator[slice]:
    """Cut trees into parts that are worked on at once, in memory that stays small."""
    step = max(1, _PIECE // max(per_tree, 1))
    return (slice(i, i + step) for i in range(0, n_trees, step))


def bootstrap(patients: NDArray[np.str_], key: Sequence[str | int], n_trees: int) -> Ints:
    """Return how often each case is drawn for each tree, Poisson(1), shape (n, n_trees).

    Draws follow the patient, not the row, so they do not depend on the split over sites;
    all cases of a patient are drawn alike. The law of large samples' bootstrap (Oza,
    Russell, AISTATS 2001).
    """
    unique, row = np.unique(patients, return_inverse=True)
    draws = np.empty((len(unique), n_trees))
    for i, patient in enumerate(unique):
        draws[i] = numpy_rng(*key, str(patient)).random(n_trees)
    drawn: Ints = np.searchsorted(_POISSON, draws, side="right").astype(np.int64)
    return drawn[row]


def binned(table: Table, cases: Cases, of: tuple[str, ...], edges: Floats) -> Binned:
    """Return a table's complete cases in bins; the first case of a patient is the one that counts.

    Args:
        table: what the cases are of.
        cases: the complete ones.
        of: the outcome, and the columns that are binned.
        edges: of the bins, shape (p, bins - 1).
    """

    def make() -> Binned:
        _, first = np.unique(cases.patients, return_index=True)
        counted = np.zeros(len(cases.patients), np.int64)
        counted[first] = 1
        return Binned(codes_of(cases.x, edges).astype(np.uint8), counted)

    return KNOWN.of(table, ("binned", of, digest(edges)), make)


def level_schema(ask: Ask, bins: int, bound: float = _BOUND) -> Schema:
    """Declare the histograms of the nodes an ask names.

    By node, column tried, and bin (or side of a cut), two sums over cases and the number of
    patients, each counted at one of its cases: no more than there are.

    Args:
        ask: names the nodes and the columns tried.
        bins: the most of a column.
        bound: of a sum; small where it counts.
    """
    n_nodes, n_tried = ask.arrays["tried"].shape
    width = 2 if "cuts" in ask.arrays else bins
    shape = (n_nodes, n_tried, width, CHANNELS)
    return {"histogram": Field(shape, bound, "count", "n_patients", "never")}


def level_sums(
    ask: Ask, cases: Binned, drawn: Ints, problems: Sequence[tuple[Bools, Ints]], bins: int
) -> dict[str, Array]:
    """Return a site's histograms: whole numbers, so that they add without rounding.

    Args:
        ask: the splits so far, and the nodes asked for: tree, increasing, node, columns tried.
        cases: the site's.
        drawn: how often a case is drawn for each tree of a problem, shape (n, trees).
        problems: who takes part, shape (n,), and two whole numbers a case, shape (n, 2).
        bins: the most of a column.
    """
    arrays, codes = ask.arrays, cases.codes
    width = 2 if "cuts" in arrays else bins
    n_nodes, n_tried = arrays["tried"].shape
    out = np.zeros((n_nodes, n_tried * width, CHANNELS), np.int64)
    trees = np.unique(arrays["tree"])
    for some in _pieces(len(trees), len(codes) * n_tried):
        first, last = trees[some][0], trees[some][-1] + 1
        asked = slice(*np.searchsorted(arrays["tree"], [first, last]).tolist())
        mine, rows, stats = _taking_part(ask, cases, drawn, problems, trees[some], asked)
        n_asked = asked.stop - asked.start
        if "cuts" in arrays:
            out[asked] = _sides(ask, codes, asked, (mine, rows, stats)).reshape(n_asked, -1, 3)
            continue
        entry = codes[rows[:, None], arrays["tried"][asked][mine]]
        flat = (mine[:, None] * n_tried + np.arange(n_tried)) * width + entry
        for c in range(CHANNELS):
            repeated = np.repeat(stats[:, c], n_tried).astype(np.float64)
            found = np.bincount(flat.ravel(), repeated, n_asked * n_tried * width)
            out[asked, :, c] = np.rint(found).reshape(n_asked, -1)
    return {"histogram": out.reshape(n_nodes, n_tried, width, CHANNELS)}


def _sides(ask: Ask, codes: Codes, asked: slice, part: tuple[Ints, Ints, Ints]) -> Ints:
    """Return the sums on both sides of the cuts of nodes, shape (nodes, columns tried, 2, 3)."""
    tried, cuts = ask.arrays["tried"][asked], ask.arrays["cuts"][asked]
    out = np.zeros((*tried.shape, 2, CHANNELS), np.int64)
    order = np.argsort(part[0], kind="stable")
    mine, rows, stats = (of[order] for of in part)
    begin = np.flatnonzero(np.diff(mine, prepend=-1))
    nodes = mine[begin]
    if not nodes.size:
        return out
    right = codes[rows, tried.T[:, mine]] > cuts.T[:, mine]
    for c in range(CHANNELS):
        out[nodes, :, 1, c] = np.add.reduceat(right * stats[:, c], begin, axis=1).T
    out[nodes, :, 0] = np.add.reduceat(stats, begin)[:, None] - out[nodes, :, 1]
    return out


def _taking_part(
    ask: Ask,
    cases: Binned,
    drawn: Ints,
    problems: Sequence[tuple[Bools, Ints]],
    trees: Ints,
    asked: slice,
) -> tuple[Ints, Ints, Ints]:
    """Return the pairs of an asked node and a case in it: place among `asked`, row, numbers."""
    arrays = ask.arrays
    problem, nth = np.divmod(trees, drawn.shape[1])
    train = np.stack([mine for mine, _ in problems])[problem]
    weight = drawn.T[nth] * train
    node = nodes_of(cases.codes, arrays["feature"][trees], arrays["cut"][trees])
    place = np.full((len(trees), 2 * arrays["feature"].shape[1] + 1), -1, np.int64)
    nodes = arrays["node"][asked]
    place[np.searchsorted(trees, arrays["tree"][asked]), nodes] = np.arange(nodes.size)
    mine = np.take_along_axis(place, node, axis=1)
    tree, rows = np.nonzero((mine >= 0) & (weight > 0))
    numbers = np.stack([of for _, of in problems])[problem[tree], rows]
    stats = np.column_stack([numbers * weight[tree, rows, None], cases.counted[rows]])
    return mine[tree, rows], rows, stats
