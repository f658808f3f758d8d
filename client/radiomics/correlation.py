"""The maximal correlation coefficient: the second eigenvalue of a co-occurrence matrix.

With the marginal p, the matrix Q of Haralick is similar to S S with
S = P / sqrt(p_i p_j), which is symmetric and has the known first eigenvector sqrt(p).
So the coefficient is the largest absolute eigenvalue of S less that part; Lanczos finds
it from a few products. PyRadiomics adds 2.2e-16 to p_i p_j; to first order that moves
the eigenvalue by - eps s sum u_i u_k S_ik / (p_i p_k), which is added.
"""

import numpy as np

from client.radiomics.compiled import Floats, kernel, regrouping_kernel
from client.radiomics.firstorder import EPS

_SMALL = 20
_TOLERANCE = 1e-10


@kernel
def maximal_correlation(p: Floats, px: Floats) -> float:
    """Return the coefficient of a symmetric matrix of probabilities with marginal px.

    1 for a single level, as in PyRadiomics. Levels without a neighbour count as zero.
    """
    if px.shape[0] < 2:
        return 1.0
    kept = np.flatnonzero(px > 0)
    n = kept.shape[0]
    if n < 2:
        return 0.0
    root = np.empty(n)
    for i in range(n):
        root[i] = np.sqrt(px[kept[i]])
    s = np.empty((n, n))
    for i in range(n):
        for j in range(n):
            s[i, j] = p[kept[i], kept[j]] / (root[i] * root[j]) - root[i] * root[j]
    if n <= _SMALL:
        value, vector = _dense(s)
    else:
        value, vector = _lanczos(s)
    largest = value * value - EPS * _shift(s, root, vector, value)
    return np.sqrt(largest) if largest >= 0 else np.nan


@kernel
def _dense(s: Floats) -> tuple[float, Floats]:
    values, vectors = np.linalg.eigh(s)
    k = 0 if -values[0] > values[-1] else values.shape[0] - 1
    return values[k], vectors[:, k].copy()


@regrouping_kernel
def _shift(s: Floats, root: Floats, u: Floats, value: float) -> float:
    total = 0.0
    for i in range(s.shape[0]):
        for j in range(s.shape[0]):
            both = root[i] * root[j]
            total += u[i] * u[j] * (s[i, j] + both) / (both * both)
    return total * value


@regrouping_kernel
def _multiply(s: Floats, v: Floats, out: Floats) -> None:
    for i in range(s.shape[0]):
        row, total = s[i], 0.0
        for j in range(s.shape[0]):
            total += row[j] * v[j]
        out[i] = total


@regrouping_kernel
def _orthogonalise(basis: Floats, m: int, w: Floats) -> None:
    for k in range(m):
        b, total = basis[k], 0.0
        for i in range(w.shape[0]):
            total += b[i] * w[i]
        for i in range(w.shape[0]):
            w[i] -= total * b[i]


@kernel
def _lanczos(s: Floats) -> tuple[float, Floats]:
    """Return the eigenvalue of largest size and its vector; dense if that is not quick."""
    n = s.shape[0]
    longest = min(n, 60)
    basis = np.zeros((longest + 1, n))
    diagonal, beside = np.zeros(longest), np.zeros(longest + 1)
    w = np.empty(n)
    for i in range(n):
        basis[0, i] = 1.0 + 0.5 * np.cos(1.7 * i * i)
    basis[0] /= np.sqrt((basis[0] ** 2).sum())
    for m in range(longest):
        _multiply(s, basis[m], w)
        diagonal[m] = (w * basis[m]).sum()
        _orthogonalise(basis, m + 1, w)
        _orthogonalise(basis, m + 1, w)
        norm = np.sqrt((w * w).sum())
        beside[m + 1] = norm
        if norm > 1e-14:
            basis[m + 1] = w / norm
        if norm <= 1e-14 or (m >= 9 and m % 5 == 4) or m == longest - 1:
            value, ritz = _dense(_tridiagonal(diagonal, beside, m + 1))
            if norm * abs(ritz[m]) < 1e-7 and norm > 1e-14:
                return value, ritz @ basis[: m + 1]
            if norm <= 1e-14:
                break
    return _dense(s)


@kernel
def _tridiagonal(diagonal: Floats, beside: Floats, m: int) -> Floats:
    t = np.zeros((m, m))
    for k in range(m):
        t[k, k] = diagonal[k]
        if k:
            t[k, k - 1] = t[k - 1, k] = beside[k]
    return t
