"""Features of matrices of grey level by size: runs, zones and dependences.

One set of formulas serves all three (Galloway 1975, Thibault 2009, Sun 1983, in the form
of the IBSI manual and of PyRadiomics): a matrix comes as a list of its entries.
"""

import numpy as np

from client.radiomics.compiled import Array, Floats, kernel
from client.radiomics.firstorder import EPS

_SHORT = 33
N_FEATURES = 16
# From the order in which `size_features` fills them to that of the names.
ZONE_ORDER = np.array([0, 1, 2, 3, 4, 5, 6, 7, 9, 10, 13, 14, 15, 8, 11, 12])
DEPENDENCE_ORDER = np.array([8, 9, 10, 12, 0, 2, 3, 4, 5, 6, 7, 13, 14, 15])


@kernel
def run_features(counts: Array, empty: Array, weights: Floats) -> Floats:
    """Return the sixteen run-length features, in the order of the names.

    Args:
        counts: (directions, levels + 1, longest + 1).
        empty: directions to leave out, because no line holds two voxels.
        weights: one for each direction, or empty for the mean over directions.
    """
    sums, n_known = np.zeros(N_FEATURES), 0
    total = np.zeros(counts.shape[1:])
    for a in range(counts.shape[0]):
        if empty[a]:
            continue
        if weights.shape[0]:
            total += weights[a] * counts[a]
            continue
        levels, lengths, n = _entries(counts[a].astype(np.float64))
        if n.shape[0]:
            sums += size_features(levels, lengths, n)
            n_known += 1
    if weights.shape[0]:
        levels, lengths, n = _entries(total)
        if n.shape[0] == 0:
            return np.full(N_FEATURES, np.nan)
        return size_features(levels, lengths, n)
    return sums / n_known


@kernel
def dependence_features(counts: Array) -> Floats:
    """Return the features of a dependence matrix, (levels + 1, neighbours + 1)."""
    shifted = np.zeros((counts.shape[0], counts.shape[1] + 1))
    shifted[:, 1:] = counts
    levels, sizes, n = _entries(shifted)
    found: Floats = size_features(levels, sizes, n)[DEPENDENCE_ORDER]
    return found


@kernel
def zone_features(levels: Array, sizes: Array, n_levels: int) -> Floats:
    """Return the sixteen zone features from the level and the size of every zone."""
    small = np.zeros((n_levels + 1, _SHORT))
    large = np.empty(levels.shape[0], np.int64)
    stride = sizes.max() + 1
    n_large = 0
    for k in range(levels.shape[0]):
        if sizes[k] < _SHORT:
            small[levels[k], sizes[k]] += 1
        else:
            large[n_large] = levels[k] * stride + sizes[k]
            n_large += 1
    keys = np.sort(large[:n_large])
    first = _entries(small)
    i, j, n = np.empty(n_large, np.int64), np.empty(n_large, np.int64), np.zeros(n_large)
    m = -1
    for k in range(n_large):
        if k == 0 or keys[k] != keys[k - 1]:
            m += 1
            i[m], j[m] = keys[k] // stride, keys[k] % stride
        n[m] += 1
    m += 1
    found: Floats = size_features(
        np.concatenate((first[0], i[:m])),
        np.concatenate((first[1], j[:m])),
        np.concatenate((first[2], n[:m])),
    )[ZONE_ORDER]
    return found


@kernel
def _entries(table: Floats) -> tuple[Array, Array, Floats]:
    """Return level, size and count of every entry but those of level 0 or size 0."""
    n = 0
    for i in range(1, table.shape[0]):
        for j in range(1, table.shape[1]):
            n += table[i, j] != 0
    levels, sizes, counts = np.empty(n, np.int64), np.empty(n, np.int64), np.empty(n)
    k = 0
    for i in range(1, table.shape[0]):
        for j in range(1, table.shape[1]):
            if table[i, j] != 0:
                levels[k], sizes[k], counts[k] = i, j, table[i, j]
                k += 1
    return levels, sizes, counts


@kernel
def size_features(levels: Array, sizes: Array, counts: Floats) -> Floats:
    """Return sixteen features in the order of the run-length names."""
    out = np.zeros(N_FEATURES)
    by_level, by_size = np.zeros(levels.max() + 1), np.zeros(sizes.max() + 1)
    total, n_voxels = 0.0, 0.0
    for k in range(levels.shape[0]):
        n, i, j = counts[k], np.float64(levels[k]), np.float64(sizes[k])
        i2, j2 = i * i, j * j
        by_level[levels[k]] += n
        by_size[sizes[k]] += n
        total += n
        n_voxels += n * j
        out[3] += n * i2
        out[4] += n * j2
        out[5] += n * i2 * j2
        out[6] += n * j2 / i2
        out[7] += n / i2
        out[13] += n / j2
        out[14] += n * i2 / j2
        out[15] += n / (i2 * j2)
    for k in range(N_FEATURES):
        out[k] /= total
    for k in range(levels.shape[0]):
        p = counts[k] / total
        out[8] -= p * np.log2(p + EPS)
    squares, out[2] = _spread(by_level, total)
    out[0], out[1] = squares / total, squares / total**2
    squares, out[12] = _spread(by_size, total)
    out[9], out[10] = squares / total, squares / total**2
    out[11] = total / n_voxels
    return out


@kernel
def _spread(marginal: Floats, total: float) -> tuple[float, float]:
    """Return the sum of squares and the variance of a marginal."""
    squares, mean, variance = 0.0, 0.0, 0.0
    for k in range(marginal.shape[0]):
        squares += marginal[k] * marginal[k]
        mean += marginal[k] / total * k
    for k in range(marginal.shape[0]):
        variance += marginal[k] / total * (k - mean) ** 2
    return squares, variance


@kernel
def difference_features(difference: Floats) -> Floats:
    """Return the NGTDM's five features (Amadasun and King, IEEE Trans SMC 19:1264, 1989).

    Args:
        difference: (levels + 1, 2): voxels of a level, their summed differences.
    """
    levels = np.flatnonzero(difference[:, 0] > 0)
    m = levels.shape[0]
    n = difference[:, 0].sum()
    p, s, i = np.empty(m), np.empty(m), np.empty(m)
    for k in range(m):
        i[k] = levels[k]
        p[k], s[k] = difference[levels[k], 0] / n, difference[levels[k], 1]
    coarse, total = (p * s).sum(), s.sum()
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
