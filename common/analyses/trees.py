"""Trees on binned columns, as arrays: how a case falls through them, and a level's sums.

Node i of a tree has the children 2 i + 1 and 2 i + 2; a case goes to the first if the
code of its bin is at most the node's cut. So a split value is the edge of a bin, never a
value of a case (rule R9).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from common.analyses.analysis import Ask
from common.analyses.classifier import Bools, Ints
from common.seeds import numpy_rng
from common.sums import Array, Field, Schema
from common.table import Floats

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
        codes: bin of each value, shape (n, p).
        counted: 1 for one case of each patient, else 0, shape (n,).
    """

    codes: Ints
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

    def values_of(self, codes: Ints) -> Floats:
        """Return what each tree says of each case, shape (n, trees)."""
        out = np.empty((len(codes), len(self.feature)))
        for some in _pieces(len(self.feature), len(codes)):
            node = nodes_of(codes, self.feature[some], self.cut[some])
            out[:, some] = np.take_along_axis(self.value[some], node, axis=1).T
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


def nodes_of(codes: Ints, feature: Ints, cut: Ints) -> Ints:
    """Return the node each case ends in, shape (trees, n), of the splits of trees."""
    node = np.zeros((len(feature), len(codes)), np.int64)
    rows, here = np.arange(len(codes)), np.ones(node.shape, np.bool_)
    for _ in range(int(feature.shape[1]).bit_length()):
        at = np.where(here, node, 0)
        split = np.take_along_axis(feature, at, axis=1)
        here &= split != _LEAF
        right = codes[rows, split] > np.take_along_axis(cut, at, axis=1)
        node = np.where(here, 2 * node + 1 + right, node)
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


def binned(codes: Ints, patients: NDArray[np.str_]) -> Binned:
    """Return cases in bins; the first case of a patient is the one that counts."""
    _, first = np.unique(patients, return_index=True)
    counted = np.zeros(len(patients), np.int64)
    counted[first] = 1
    return Binned(codes, counted)


def level_schema(ask: Ask, bins: int) -> Schema:
    """Declare the histograms of the nodes an ask names.

    By node, column tried, and bin (or side of a cut), two sums over cases and the number of
    patients, each counted at one of its cases: no more than there are.
    """
    n_nodes, n_tried = ask.arrays["tried"].shape
    width = 2 if "cuts" in ask.arrays else bins
    shape = (n_nodes, n_tried, width, CHANNELS)
    return {"histogram": Field(shape, _BOUND, "count", "n_patients", "never")}


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
        entry = codes[rows[:, None], arrays["tried"][asked][mine]]
        if "cuts" in arrays:
            entry = (entry > arrays["cuts"][asked][mine]).astype(np.int64)
        flat = (mine[:, None] * n_tried + np.arange(n_tried)) * width + entry
        n_asked = asked.stop - asked.start
        for c in range(CHANNELS):
            repeated = np.repeat(stats[:, c], n_tried).astype(np.float64)
            found = np.bincount(flat.ravel(), repeated, n_asked * n_tried * width)
            out[asked, :, c] = np.rint(found).reshape(n_asked, -1)
    return {"histogram": out.reshape(n_nodes, n_tried, width, CHANNELS)}


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
