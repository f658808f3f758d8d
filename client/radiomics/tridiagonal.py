"""The eigenvalue of largest size of a symmetric tridiagonal matrix, and its vector.

Laguerre's method from outside the spectrum, where it falls or rises monotonically to the
first eigenvalue (B. N. Parlett, The Symmetric Eigenvalue Problem, 1980, section 8), on
the pivots of T - x, all of one sign there; then inverse iteration, which needs no pivoting
for the same reason.
"""

import numpy as np

from client.radiomics.compiled import Floats, inner

_MOST_TURNS = 100
_TINY = 1e-290


@inner
def largest_end(diagonal: Floats, beside: Floats, m: int) -> float:
    """Return the eigenvalue of largest absolute value.

    Args:
        diagonal: at least m entries.
        beside: entry k joins rows k - 1 and k; the first is not looked at.
        m: rows and columns.
    """
    reach = 0.0
    for k in range(m):
        behind = abs(beside[k + 1]) if k + 1 < m else 0.0
        before = abs(beside[k]) if k else 0.0
        reach = max(reach, abs(diagonal[k]) + before + behind)
    top = _end(diagonal, beside, m, 1.0, reach)
    bottom = _end(diagonal, beside, m, -1.0, reach)
    return top if top >= bottom else -bottom


@inner
def _end(diagonal: Floats, beside: Floats, m: int, sign: float, reach: float) -> float:
    """Return the largest eigenvalue of sign T, from above."""
    x = reach * (1 + 1e-12) + _TINY
    for _ in range(_MOST_TURNS):
        first, second = 0.0, 0.0
        pivot, q, t = 1.0, 0.0, 0.0
        for k in range(m):
            r = beside[k] * beside[k] / pivot if k else 0.0
            pivot = sign * diagonal[k] - x - r
            if pivot >= 0:
                return x  # at the eigenvalue, up to rounding
            t = -r * (2 * q * q - t) / pivot
            q = (r * q - 1) / pivot
            first += q
            second += q * q - t
        root = np.sqrt(max(0.0, (m - 1) * (m * second - first * first)))
        step = m / (first + root)
        x -= step
        if step <= 1e-15 * reach:
            break
    return x


@inner
def end_vector(diagonal: Floats, beside: Floats, m: int, value: float, out: Floats) -> None:
    """Write the vector of an eigenvalue at an end of the spectrum, of length 1, into out."""
    pivots = np.empty(m)
    for k in range(m):
        r = beside[k] * beside[k] / pivots[k - 1] if k else 0.0
        pivot = diagonal[k] - value - r
        pivots[k] = pivot if abs(pivot) > 1e-18 else (-1e-18 if value >= 0 else 1e-18)
        out[k] = 1.0 + 0.25 * np.cos(2.3 * k)
    for _ in range(3):
        for k in range(1, m):
            out[k] -= beside[k] / pivots[k - 1] * out[k - 1]
        for k in range(m - 1, -1, -1):
            behind = beside[k + 1] * out[k + 1] if k + 1 < m else 0.0
            out[k] = (out[k] - behind) / pivots[k]
        total = 0.0
        for k in range(m):
            total += out[k] * out[k]
        length = np.sqrt(total)
        for k in range(m):
            out[k] /= length
