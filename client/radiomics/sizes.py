"""Features of matrices of grey level by size: runs, zones and dependences.

One set of formulas serves all three (Galloway 1975, Thibault 2009, Sun 1983, in the form
of the IBSI manual and of PyRadiomics): a matrix and the sizes that its columns stand for.
"""

import numpy as np

from client.radiomics.compiled import Array, Floats, inner, kernel
from client.radiomics.firstorder import EPS

N_FEATURES = 16
# From the order in which `size_features` fills them to that of the names.
ZONE_ORDER = np.array([0, 1, 2, 3, 4, 5, 6, 7, 9, 10, 13, 14, 15, 8, 11, 12])
DEPENDENCE_ORDER = np.array([8, 9, 10, 12, 0, 2, 3, 4, 5, 6, 7, 13, 14, 15])


def run_features(counts: Array, empty: Array, weights: Floats) -> Floats:
    """Return the sixteen run-length features, in the order of the names.

    Args:
        counts: (directions, levels + 1, longest + 1).
        empty: directions to leave out, because no line holds two voxels.
        weights: one for each direction, or empty for the mean over directions.
    """
    lengths = np.arange(counts.shape[2])
    if len(weights):
        total = np.tensordot(weights[~empty], counts[~empty], 1)
        return size_features(np.ascontiguousarray(total, np.float64), lengths)
    return _mean_run_features(counts, empty, lengths)


def dependence_features(counts: Array) -> Floats:
    """Return the features of a dependence matrix, (levels + 1, neighbours + 1)."""
    sizes = np.arange(1, counts.shape[1] + 1)
    return np.asarray(size_features(counts.astype(np.float64), sizes)[DEPENDENCE_ORDER])


def zone_features(levels: Array, sizes: Array, n_levels: int) -> Floats:
    """Return the sixteen zone features from the level and the size of every zone."""
    return np.asarray(size_features(*_zone_table(levels, sizes, n_levels))[ZONE_ORDER])


@kernel
def _mean_run_features(counts: Array, empty: Array, lengths: Array) -> Floats:
    out, n_known = np.zeros(N_FEATURES), 0
    table = np.zeros((counts.shape[1], counts.shape[2]))
    for a in range(counts.shape[0]):
        if empty[a]:
            continue
        for i in range(counts.shape[1]):
            row, source = table[i], counts[a, i]
            for j in range(counts.shape[2]):
                row[j] = source[j]
        one = size_features(table, lengths)
        if not np.isnan(one[0]):
            n_known += 1
            for k in range(N_FEATURES):
                out[k] += one[k]
    for k in range(N_FEATURES):
        out[k] /= n_known
    return out


@kernel
def _zone_table(levels: Array, sizes: Array, n_levels: int) -> tuple[Floats, Array]:
    """Return counts by level and by each size that occurs, and these sizes."""
    largest = 0
    for k in range(sizes.shape[0]):
        largest = max(largest, sizes[k])
    column = np.zeros(largest + 1, np.int64)
    for k in range(sizes.shape[0]):
        column[sizes[k]] = 1
    n_sizes = 0
    for size in range(largest + 1):
        if column[size]:
            column[size] = n_sizes
            n_sizes += 1
    found = np.empty(n_sizes, np.int64)
    table = np.zeros((n_levels + 1, n_sizes))
    for k in range(sizes.shape[0]):
        at = column[sizes[k]]
        found[at] = sizes[k]
        table[levels[k], at] += 1
    return table, found


@kernel
def size_features(table: Floats, sizes: Array) -> Floats:
    """Return sixteen features in the order of the run-length names; nan without an entry.

    Args:
        table: (levels + 1, n) counts; level 0 is left out.
        sizes: (n,), the size that a column stands for, ascending; size 0 is left out.
    """
    out = np.zeros(N_FEATURES)
    n_levels, n_sizes = table.shape
    by_level, by_size = np.zeros(n_levels), np.zeros(n_sizes)
    total, n_voxels = 0.0, 0.0
    for level in range(1, n_levels):
        row, i2 = table[level], np.float64(level * level)
        for k in range(n_sizes):
            n = row[k]
            if n == 0 or sizes[k] == 0:
                continue
            by_level[level] += n
            by_size[k] += n
            n_voxels += n * sizes[k]
            _add_moments(n, i2, np.float64(sizes[k]) ** 2, out)
        total += by_level[level]
    for k in range(N_FEATURES):
        out[k] /= total
    for level in range(1, n_levels):
        for k in range(n_sizes):
            if table[level, k] != 0 and sizes[k] != 0:
                p = table[level, k] / total
                out[8] -= p * np.log2(p + EPS)
    squares, out[2] = _spread(by_level, np.arange(n_levels), total)
    out[0], out[1] = squares / total, squares / total**2
    squares, out[12] = _spread(by_size, sizes, total)
    out[9], out[10] = squares / total, squares / total**2
    out[11] = total / n_voxels
    return out


@inner
def _add_moments(n: float, i2: float, j2: float, out: Floats) -> None:
    """Add n entries of a level and a size, whose squares are given."""
    out[3] += n * i2
    out[4] += n * j2
    out[5] += n * i2 * j2
    out[6] += n * j2 / i2
    out[7] += n / i2
    out[13] += n / j2
    out[14] += n * i2 / j2
    out[15] += n / (i2 * j2)


@inner
def _spread(marginal: Floats, at: Array, total: float) -> tuple[float, float]:
    """Return the sum of squares and the variance of a marginal."""
    squares, mean, variance = 0.0, 0.0, 0.0
    for k in range(marginal.shape[0]):
        squares += marginal[k] * marginal[k]
        mean += marginal[k] / total * at[k]
    for k in range(marginal.shape[0]):
        variance += marginal[k] / total * (at[k] - mean) ** 2
    return squares, variance


@kernel
def difference_features(difference: Floats) -> Floats:
    """Return the NGTDM's five features (Amadasun and King, IEEE Trans SMC 19:1264, 1989).

    Args:
        difference: (levels + 1, 2): voxels of a level, their summed differences.
    """
    n, m = 0.0, 0
    most = difference.shape[0]
    p, s, i = np.empty(most), np.empty(most), np.empty(most)
    for level in range(difference.shape[0]):
        if difference[level, 0] > 0:
            i[m], p[m], s[m] = level, difference[level, 0], difference[level, 1]
            n += p[m]
            m += 1
    coarse, total = 0.0, 0.0
    for k in range(m):
        p[k] /= n
        coarse += p[k] * s[k]
        total += s[k]
    spread, apart, complexity, strength = 0.0, 0.0, 0.0, 0.0
    for a in range(m):
        for b in range(a + 1, m):
            d = i[b] - i[a]
            both = p[a] + p[b]
            spread += 2 * p[a] * p[b] * d * d
            apart += 2 * abs(i[a] * p[a] - i[b] * p[b])
            complexity += 2 * d * (p[a] * s[a] + p[b] * s[b]) / both
            strength += 2 * both * d * d
    out = np.empty(5)
    out[0] = coarse / apart if apart != 0 else 0.0
    out[1] = 1 / coarse if coarse != 0 else 1e6
    out[2] = complexity / n
    out[3] = spread * total / n / (m * (m - 1)) if m > 1 else 0.0
    out[4] = strength / total if total != 0 else 0.0
    return out
