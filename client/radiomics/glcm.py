"""Co-occurrence features (Haralick et al., IEEE Trans SMC 3:610, 1973) from counted pairs.

Formulas and treatment of empty directions are PyRadiomics'; the matrices are symmetric.
"""

import numpy as np

from client.radiomics.compiled import Array, Floats, inner, kernel
from client.radiomics.correlation import maximal_correlation
from client.radiomics.firstorder import EPS

_LN2 = 0.6931471805599453
_PER_DIRECTION = 24


@kernel
def glcm_features(counts: Array, present: Array, weights: Floats) -> Floats:
    """Return the 24 features of a region.

    Args:
        counts: (levels + 1, A, levels + 1), one-sided counts; row and column 0 are ignored.
        present: the levels that occur, ascending.
        weights: (A,), a weight for each direction, or empty for the mean over directions.
    """
    n_levels, n = counts.shape[0] - 1, present.shape[0]
    p, one = np.zeros((n, n)), np.empty(_PER_DIRECTION)
    out, known = np.zeros(_PER_DIRECTION), np.zeros(_PER_DIRECTION)
    weighted = weights.shape[0] > 0
    total = 0.0
    for a in range(counts.shape[1]):
        before = total if weighted else 0.0
        total = before + _add_direction(counts, a, present, weights[a] if weighted else 1.0, p)
        if not total > 0 or (weighted and a < counts.shape[1] - 1):
            continue
        _direction(p, total, (present, n_levels), one)
        _clear(p)
        for k in range(_PER_DIRECTION):
            if not np.isnan(one[k]):
                out[k] += one[k]
                known[k] += 1
    for k in range(_PER_DIRECTION):
        out[k] /= known[k]
    return out


@inner
def _add_direction(counts: Array, a: int, present: Array, weight: float, p: Floats) -> float:
    """Add both orders of every pair, for the levels that occur; return how many."""
    n, total = present.shape[0], 0.0
    for i in range(n):
        row = counts[present[i], a]
        for j in range(n):
            pairs = np.float64(row[present[j]]) + np.float64(counts[present[j], a, present[i]])
            p[i, j] += weight * pairs
            total += weight * pairs
    return total


@inner
def _clear(p: Floats) -> None:
    for i in range(p.shape[0]):
        for j in range(p.shape[1]):
            p[i, j] = 0.0


@inner
def _direction(p: Floats, total: float, levels: tuple[Array, int], out: Floats) -> None:
    """Write the features of one symmetric matrix, which is divided by its total."""
    present, n_levels = levels
    n = present.shape[0]
    px = np.zeros(n)
    for i in range(n):
        for j in range(n):
            p[i, j] /= total
            px[i] += p[i, j]
    mean, variance = _mean_variance(px, present)
    out[16], out[23] = mean, variance
    sums, apart = np.zeros(2 * n_levels + 1), np.zeros(n_levels)
    _from_pairs(p, present, out, (sums, apart))
    _from_sums(sums, mean, out)
    _from_differences(apart, n_levels, out)
    tendency, contrast = out[3], out[4]
    out[5] = (tendency - contrast) / 4 / (variance + EPS) if variance != 0 else 1.0
    out[13], out[14] = _information(p, px, out[18])
    out[19] = maximal_correlation(p, px)


@inner
def _mean_variance(px: Floats, present: Array) -> tuple[float, float]:
    mean, variance = 0.0, 0.0
    for i in range(px.shape[0]):
        mean += present[i] * px[i]
    for i in range(px.shape[0]):
        variance += px[i] * (present[i] - mean) ** 2
    return mean, variance


@inner
def _from_pairs(p: Floats, present: Array, out: Floats, lines: tuple[Floats, Floats]) -> None:
    """Fill what needs every pair of levels, and the marginals of sum and difference."""
    sums, apart = lines
    autocorrelation, energy, entropy, largest = 0.0, 0.0, 0.0, 0.0
    n = present.shape[0]
    for i in range(n):
        u = present[i]
        for j in range(i, n):
            q = p[i, j]
            if q == 0:
                continue
            v = present[j]
            twice = q if i == j else 2 * q
            autocorrelation += twice * (u * v)
            energy += twice * q
            entropy -= twice * np.log2(q + EPS)
            largest = max(largest, q)
            sums[u + v] += twice
            apart[v - u] += twice
    out[0], out[17], out[18], out[20] = autocorrelation, energy, entropy, largest


@inner
def _from_sums(sums: Floats, mean: float, out: Floats) -> None:
    prominence, shade, tendency, average, entropy = 0.0, 0.0, 0.0, 0.0, 0.0
    for k in range(2, sums.shape[0]):
        q = sums[k]
        if q == 0:
            continue
        d = k - mean - mean
        tendency += q * d**2
        shade += q * d**3
        prominence += q * d**4
        average += k * q
        entropy -= q * np.log2(q + EPS)
    out[1], out[2], out[3], out[21], out[22] = prominence, shade, tendency, average, entropy


@inner
def _from_differences(apart: Floats, n_levels: int, out: Floats) -> None:
    contrast, average, entropy = 0.0, 0.0, 0.0
    near, near2, near2n, nearn, inverse = 0.0, 0.0, 0.0, 0.0, 0.0
    for k in range(apart.shape[0]):
        q = apart[k]
        if q == 0:
            continue
        contrast += q * (k * k)
        average += k * q
        entropy -= q * np.log2(q + EPS)
        near += q / (1 + k)
        near2 += q / (1 + k * k)
        near2n += q / (1 + (k * k) / (n_levels * n_levels))
        nearn += q / (1 + k / n_levels)
        if k:
            inverse += q / (k * k)
    variance = 0.0
    for k in range(apart.shape[0]):
        variance += apart[k] * (k - average) ** 2
    out[4], out[6], out[7], out[8] = contrast, average, entropy, variance
    out[9], out[10], out[11], out[12], out[15] = near, near2, near2n, nearn, inverse


@inner
def _information(p: Floats, px: Floats, hxy: float) -> tuple[float, float]:
    """Return the informational measures of correlation, 1 and 2."""
    n = px.shape[0]
    hx = 0.0
    for i in range(n):
        hx -= px[i] * np.log2(px[i] + EPS)
    hxy1, hxy2 = 0.0, 0.0
    same = 0.0
    for i in range(n):
        for j in range(i, n):
            q = px[i] * px[j]
            twice = 1.0 if i == j else 2.0
            log = np.log2(q + EPS)
            hxy2 -= twice * q * log
            if p[i, j] != 0:
                hxy1 -= twice * p[i, j] * log
                same -= twice * p[i, j] * np.log2(p[i, j] + EPS)
    first = (hxy - hxy1) / hx if hx != 0 else 0.0
    if hxy2 == same:
        return first, 0.0
    return first, (1 - np.exp(-2 * (hxy2 - same))) ** 0.5
