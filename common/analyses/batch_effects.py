"""A site's own batch effect, by empirical Bayes over its features (ComBat).

Johnson, Li, Rabinovic, Biostatistics 8:118 (2007). All of it is local: the site's rows
and the pooled model go in, harmonised rows come out.
"""

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from common.table import Floats

Shrink = Literal["parametric", "nonparametric", "mean_only", "none"]

_TOLERANCE = 1e-4
_MOST_STEPS = 1000
_FLAT = 1e-12  # relative variance below which features share one spread


def harmonise(
    y: Floats, expected: Floats, sd: Floats, fitted: NDArray[np.bool_], shrink: Shrink
) -> Floats:
    """Return a site's features without its shift and spread, shape (n, p).

    Args:
        y: features, shape (n, p).
        expected: grand mean and what covariates add, shape (n, p).
        sd: pooled standard deviation, shape (p,); a feature where it is 0 stays as is.
        fitted: rows the site's effect is taken from, at least two.
        shrink: see `batch_effect`.
    """
    out, varies = y.copy(), sd > 0
    if not varies.any():
        return out
    z = (y[:, varies] - expected[:, varies]) / sd[varies]
    shift, variance = batch_effect(z[fitted], shrink)
    spread = np.sqrt(np.where(variance > 0, variance, 1.0))
    out[:, varies] = (z - shift) / spread * sd[varies] + expected[:, varies]
    return out


def batch_effect(z: Floats, shrink: Shrink) -> tuple[Floats, Floats]:
    """Return a site's shift and variance of each feature, both of shape (p,).

    Args:
        z: standardised rows, shape (n, p), n >= 2.
        shrink: how features borrow strength from the site's others: "parametric" with
            a normal and an inverse gamma prior, "nonparametric" with their empirical
            distribution, "mean_only" for the shift alone, "none" not at all.
    """
    shift, variance = z.mean(axis=0), z.var(axis=0, ddof=1)
    if shrink == "none" or len(shift) < 2:
        return shift, variance
    if shrink == "mean_only":
        spread = shift.var(ddof=1)
        return (spread * shift + shift.mean()) / (spread + 1), np.ones_like(shift)
    if shrink == "nonparametric":
        return _nonparametric(len(z), shift, variance)
    return _parametric(len(z), shift, variance)


def _parametric(n: int, shift: Floats, variance: Floats) -> tuple[Floats, Floats]:
    """Iterate the posterior means to the tolerance that sva and neuroCombat use."""
    middle, spread = shift.mean(), shift.var(ddof=1)
    m = variance.mean()
    s2 = max(variance.var(ddof=1), _FLAT * m**2)
    a, b = (2 * s2 + m**2) / s2, (m * s2 + m**3) / s2
    squares = (n - 1) * variance
    g, d = shift, variance
    for _ in range(_MOST_STEPS):
        g_new = (spread * n * shift + d * middle) / (spread * n + d)
        d_new = (0.5 * (squares + n * (shift - g_new) ** 2) + b) / (n / 2 + a - 1)
        with np.errstate(divide="ignore", invalid="ignore"):
            # Signed denominators, as theirs: it decides which step is the last.
            steps = np.concatenate([abs(g_new - g) / g, abs(d_new - d) / d])
        g, d = g_new, d_new
        if not (steps > _TOLERANCE).any():
            break
    return g, d


def _nonparametric(n: int, shift: Floats, variance: Floats) -> tuple[Floats, Floats]:
    """Weigh other features' effects by how likely they make this feature's rows."""
    squares = (n - 1) * variance
    g, d = shift.copy(), variance.copy()
    for i in range(len(shift)):
        others = variance > 0
        others[i] = False
        if not others.any():
            continue
        shifts, variances = shift[others], variance[others]
        sums = squares[i] + n * (shift[i] - shifts) ** 2
        logs = -0.5 * (n * np.log(2 * np.pi * variances) + sums / variances)
        weights = np.exp(logs - logs.max())
        weights /= weights.sum()
        g[i], d[i] = weights @ shifts, weights @ variances
    return g, d
