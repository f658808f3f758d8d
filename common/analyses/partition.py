"""Two partitions of the same cases: how far they agree; and Ward's tree of a few points."""

import numpy as np

from common.analyses.classifier import Ints
from common.table import Floats


def adjusted_rand(counts: Ints) -> float | None:
    """Return Hubert and Arabie's index (J Classif 2:193, 1985); None without a pair.

    Args:
        counts: cases by group of one and of the other partition.
    """
    n = int(counts.sum())
    if n < 2:
        return None
    both = _pairs(counts)
    rows, columns = _pairs(counts.sum(axis=1)), _pairs(counts.sum(axis=0))
    expected = rows * columns / (n * (n - 1) / 2)
    most = (rows + columns) / 2
    # All in one group, or each alone, in both.
    return 1.0 if most == expected else (both - expected) / (most - expected)


def _pairs(counts: Ints) -> float:
    whole = counts.astype(np.float64)
    return float((whole * (whole - 1) / 2).sum())


def ward(centres: Floats, n: Ints, n_groups: int) -> Ints:
    """Return groups of weighted points by Ward's criterion, numbered from 0.

    Two groups of a and b cases cost a b / (a + b) |difference of means|^2 to join (Ward,
    JASA 58:236, 1963).

    Args:
        centres: shape (m, p).
        n: cases each stands for, all above 0, shape (m,).
        n_groups: how many groups to leave.
    """
    means, weights = centres.copy(), n.astype(np.float64)
    group = np.arange(len(n))
    left = list(range(len(n)))
    while len(left) > max(n_groups, 1):
        of = np.array(left)
        square = ((means[of][:, None] - means[of][None]) ** 2).sum(axis=2)
        a, b = weights[of][:, None], weights[of][None]
        cost = np.where(np.tri(len(of), dtype=bool), np.inf, a * b / (a + b) * square)
        i, j = (int(of[k]) for k in np.unravel_index(cost.argmin(), cost.shape))
        total = weights[i] + weights[j]
        means[i] = (weights[i] * means[i] + weights[j] * means[j]) / total
        weights[i] = total
        group[group == j] = i
        left.remove(j)
    numbered: Ints = np.searchsorted(np.array(left), group).astype(np.int64)
    return numbered
