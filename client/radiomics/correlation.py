"""The maximal correlation coefficient: the second eigenvalue of a co-occurrence matrix.

With the marginal p, the matrix Q of Haralick is similar to S S with
S = P / sqrt(p_i p_j), which is symmetric and has the known first eigenvector sqrt(p).
So the coefficient is the largest absolute eigenvalue of S less that part; Lanczos finds
it from a few products. PyRadiomics adds 2.2e-16 to p_i p_j; to first order that moves
the eigenvalue by - eps s sum u_i u_k S_ik / (p_i p_k), which is added.
"""

import numpy as np

from client.radiomics.compiled import Floats, inner, regrouping
from client.radiomics.firstorder import EPS
from client.radiomics.tridiagonal import end_vector, largest_end

_FIRST_LOOK, _NEXT_LOOK = 8, 4  # products before it is asked whether they suffice
_NEAR = 1e-7  # of the vector; the value's error is its square
_SPENT = 1e-14


@inner
def maximal_correlation(p: Floats, px: Floats) -> float:
    """Return the coefficient of a symmetric matrix of probabilities with marginal px.

    1 for a single level, as in PyRadiomics. Levels without a neighbour count as zero.
    """
    if px.shape[0] < 2:
        return 1.0
    kept, root, n = np.empty(px.shape[0], np.int64), np.empty(px.shape[0]), 0
    for i in range(px.shape[0]):
        if px[i] > 0:
            kept[n], root[n] = i, np.sqrt(px[i])
            n += 1
    if n < 2:
        return 0.0
    s, u = np.empty((n, n)), np.empty(n)
    for i in range(n):
        row = p[kept[i]]
        for j in range(n):
            s[i, j] = row[kept[j]] / (root[i] * root[j]) - root[i] * root[j]
    value = _largest(s, u)
    largest = value * value - EPS * _shift(s, root, u, value)
    return np.sqrt(largest) if largest >= 0 else np.nan


@inner
def _largest(s: Floats, u: Floats) -> float:
    """Return the eigenvalue of largest size and write its vector into u, by Lanczos' method.

    Every direction is made orthogonal to all before it, so that after as many products as
    s has rows the result is exact whatever the start.
    """
    n = s.shape[0]
    basis = np.empty((n, n))
    diagonal, beside = np.empty(n), np.empty(n + 1)
    beside[0] = 0.0
    w, ritz = np.empty(n), np.empty(n)
    for i in range(n):
        w[i] = 1.0 + 0.5 * np.cos(1.7 * i * i)
    _keep(basis[0], w, _length(w))
    m = 0
    while True:
        diagonal[m] = _multiply(s, basis[m], w)
        m += 1
        _orthogonalise(basis, m, w)
        _orthogonalise(basis, m, w)
        norm = _length(w)
        beside[m] = norm if norm > _SPENT else 0.0
        if m == n or (m >= _FIRST_LOOK and m % _NEXT_LOOK == 0 and norm > _SPENT):
            value = largest_end(diagonal, beside, m)
            end_vector(diagonal, beside, m, value, ritz)
            if m == n or norm * abs(ritz[m - 1]) < _NEAR:
                _combine(basis, ritz, m, u)
                return value
        if norm <= _SPENT:
            # Nothing new can be reached from here: go on from elsewhere.
            for i in range(n):
                w[i] = np.cos(1.3 * i * i + m)
            for _ in range(3):
                _orthogonalise(basis, m, w)
            norm = _length(w)
        _keep(basis[m], w, norm)


@regrouping
def _shift(s: Floats, root: Floats, u: Floats, value: float) -> float:
    total = 0.0
    for i in range(s.shape[0]):
        for j in range(s.shape[0]):
            both = root[i] * root[j]
            total += u[i] * u[j] * (s[i, j] + both) / (both * both)
    return total * value


@regrouping
def _multiply(s: Floats, v: Floats, out: Floats) -> float:
    """Write s v into out; return its product with v."""
    along = 0.0
    for i in range(s.shape[0]):
        row, total = s[i], 0.0
        for j in range(s.shape[0]):
            total += row[j] * v[j]
        out[i] = total
        along += total * v[i]
    return along


@regrouping
def _orthogonalise(basis: Floats, m: int, w: Floats) -> None:
    for k in range(m):
        b, total = basis[k], 0.0
        for i in range(w.shape[0]):
            total += b[i] * w[i]
        for i in range(w.shape[0]):
            w[i] -= total * b[i]


@regrouping
def _length(w: Floats) -> float:
    total = 0.0
    for i in range(w.shape[0]):
        total += w[i] * w[i]
    return float(np.sqrt(total))


@inner
def _keep(row: Floats, w: Floats, norm: float) -> None:
    for i in range(w.shape[0]):
        row[i] = w[i] / norm


@regrouping
def _combine(basis: Floats, weights: Floats, m: int, out: Floats) -> None:
    for i in range(out.shape[0]):
        out[i] = 0.0
    for k in range(m):
        row, weight = basis[k], weights[k]
        for i in range(out.shape[0]):
            out[i] += weight * row[i]
