"""Grow many trees side by side at the coordinator: one level of all of them a round."""

from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from common.analyses.analysis import Ask
from common.analyses.classifier import Bools, Ints
from common.analyses.plain import whole
from common.analyses.trees import CHANNELS, Trees, stumps
from common.sums import Array, Sums
from common.table import Floats

# 128 MiB of counts a site and level: what a message, and the memory for it, may hold.
MOST_COUNTS = 2**24
# Gains below this share of what is split are rounding.
_NO_GAIN = 1e-12

Draw: TypeAlias = Callable[[int, "Open", Trees], Mapping[str, Array]]
Gain: TypeAlias = Callable[[Ints, Ints], Floats]


@dataclass(frozen=True)
class Open:
    """Nodes of a level that may still be split.

    Attributes:
        tree: shape (A,).
        node: shape (A,).
    """

    tree: Ints
    node: Ints


@dataclass(frozen=True)
class Rule:
    """How trees grow.

    Attributes:
        depth: levels of splits.
        min_leaf: fewest patients, drawn at least once, on each side of a split.
        draw: by level, open nodes and splits so far, `tried` columns, and `cuts` where a cut each.
        gain: of a split, from the sums left of it and of the node, (..., 3) each.
        value: of a leaf, from its sums.
        pure: whether a node needs no split, from its sums.
    """

    depth: int
    min_leaf: int
    draw: Draw
    gain: Gain
    value: Callable[[Ints], Floats]
    pure: Callable[[Ints], Bools]


@dataclass(frozen=True)
class Grown:
    """Trees, and the gain that each column's splits brought them, shape (trees, p)."""

    trees: Trees
    gains: Floats


def largest_level(n: int, n_trees: int, depth: int, min_leaf: int) -> int:
    """Return the most nodes that can be open at once for n cases."""
    return n_trees * max(1, min(1 << (depth - 1), n // (2 * min_leaf)))


def grow(
    rule: Rule, n_trees: int, n_columns: int, sent: Mapping[str, Array]
) -> Generator[Ask, Sums, Grown]:
    """Grow trees level by level; as many rounds as they become deep.

    Args:
        rule: how.
        n_trees: how many, those of all problems.
        n_columns: p.
        sent: further arrays of every ask, such as the edges.
    """
    trees = stumps(n_trees, rule.depth)
    gains = np.zeros((n_trees, n_columns))
    here = Open(np.arange(n_trees), np.zeros(n_trees, np.int64))
    for level in range(rule.depth):
        if not here.tree.size:
            break
        drawn = rule.draw(level, here, trees)
        splits = {"feature": trees.feature, "cut": trees.cut}
        nodes = {"tree": here.tree, "node": here.node}
        total = yield Ask("level", {}, {**sent, **splits, **nodes, **drawn})
        histogram = whole(total["histogram"])
        if level == 0:
            trees.value[here.tree, 0] = rule.value(histogram[:, 0].sum(axis=1))
        here = _split(rule, trees, gains, here, drawn, histogram)
    return Grown(trees, gains)


def _split(
    rule: Rule,
    trees: Trees,
    gains: Floats,
    here: Open,
    drawn: Mapping[str, Array],
    histogram: Ints,
) -> Open:
    """Split the open nodes where it gains; return the children that are open."""
    all_of = histogram[:, 0].sum(axis=1)
    left = histogram.cumsum(axis=2)[:, :, :-1]
    gain = rule.gain(left, all_of[:, None, None])
    right_n = all_of[:, None, None, 2] - left[..., 2]
    allowed = (left[..., 2] >= rule.min_leaf) & (right_n >= rule.min_leaf)
    gain = np.where(allowed, gain, -np.inf).reshape(len(gain), -1)
    best, rows = gain.argmax(axis=1), np.arange(len(gain))  # the first of equal ones
    found = np.flatnonzero((gain[rows, best] > _NO_GAIN) & ~rule.pure(all_of))
    place, bin_ = np.divmod(best[found], left.shape[2])
    feature = drawn["tried"][found, place]
    cut = drawn["cuts"][found, place] if "cuts" in drawn else bin_
    tree, node = here.tree[found], here.node[found]
    trees.feature[tree, node], trees.cut[tree, node] = feature, cut
    np.add.at(gains, (tree, feature), gain[found, best[found]])
    parts = left.reshape(len(gain), -1, CHANNELS)[found, best[found]]
    return _children(rule, trees, here, found, (parts, all_of[found] - parts))


def _children(rule: Rule, trees: Trees, here: Open, found: Ints, sides: tuple[Ints, Ints]) -> Open:
    trees_of, nodes = [], []
    for side, sums in enumerate(sides):
        tree, node = here.tree[found], 2 * here.node[found] + 1 + side
        trees.value[tree, node] = rule.value(sums)
        go_on = (sums[:, 2] >= 2 * rule.min_leaf) & ~rule.pure(sums)
        trees_of.append(tree[go_on])
        nodes.append(node[go_on])
    tree, node = np.concatenate(trees_of), np.concatenate(nodes)
    order = np.lexsort((node, tree))
    return Open(tree[order], node[order])


def reach(trees: Trees, here: Open, tried: Ints, last_code: Ints) -> tuple[Ints, Ints]:
    """Return the first and last code that the splits above leave of some columns.

    Args:
        trees: the splits so far.
        here: A nodes.
        tried: columns, shape (A, m).
        last_code: of each column in all, shape (p,).
    """
    low, high, node = np.zeros_like(tried), last_code[tried], here.node
    while node.any():
        above = np.maximum((node - 1) // 2, 0)
        is_child = (node > 0)[:, None]
        mine = is_child & (tried == trees.feature[here.tree, above][:, None])
        right, cut = (node % 2 == 0)[:, None], trees.cut[here.tree, above][:, None]
        low = np.where(mine & right, np.maximum(low, cut + 1), low)
        high = np.where(mine & ~right, np.minimum(high, cut), high)
        node = above
    return low, high


def choose(rng: np.random.Generator, n_rows: int, n: int, m: int) -> Ints:
    """Return m of n columns for each row, ascending: Floyd's draws, CACM 30:754 (1987)."""
    chosen = np.empty((n_rows, m), np.int64)
    for i, last in enumerate(range(n - m, n)):
        draw = np.floor(rng.random(n_rows) * (last + 1)).astype(np.int64)
        again = (chosen[:, :i] == draw[:, None]).any(axis=1)
        chosen[:, i] = np.where(again, last, draw)
    return np.sort(chosen, axis=1)
