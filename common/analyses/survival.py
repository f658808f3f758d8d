"""Survival on a grid of whole days: Kaplan-Meier, restricted mean, log-rank.

Everything follows from two counts a day, of those who leave by the event and of those
who leave censored: they add over sites. On a tie the event comes first.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from common.table import Floats

Ints = NDArray[np.int64]


def leaving(days: Floats, events: Floats, n_days: int) -> Ints:
    """Return how many leave by the event and censored by day, shape (2, n_days)."""
    day = np.clip(days, 0, n_days - 1).astype(np.int64)
    cell = day + np.where(events > 0, 0, n_days)
    return np.bincount(cell, minlength=2 * n_days).reshape(2, n_days)


def at_risk(counts: Ints) -> Ints:
    """Return how many are under observation when a day begins, shape (..., days)."""
    out = counts.sum(axis=-2)
    return np.asarray(out[..., ::-1].cumsum(axis=-1)[..., ::-1], np.int64)


@dataclass(frozen=True, slots=True)
class Curve:
    """Kaplan-Meier estimate after each day, arrays of shape (days,).

    Attributes:
        survival: J Am Stat Assoc 53:457 (1958).
        hazard_variance: Greenwood's sum of d / (r (r - d)); the variance of survival is
            survival^2 times it. Infinite once nobody is left.
    """

    survival: Floats
    hazard_variance: Floats

    def interval(self, level: float) -> tuple[Floats, Floats]:
        """Return the log(-log) interval; it collapses where survival is 0 or 1."""
        from scipy.stats import norm

        inner = (self.survival > 0) & (self.survival < 1)
        s = np.where(inner, self.survival, 0.5)
        log = np.log(s)
        variance = np.where(inner, self.hazard_variance, 0.0)
        reach = float(norm.isf((1 - level) / 2)) * np.sqrt(variance) / np.abs(log)
        low = np.where(inner, np.exp(log * np.exp(reach)), self.survival)
        high = np.where(inner, np.exp(log * np.exp(-reach)), self.survival)
        return low, high


def kaplan_meier(counts: Ints) -> Curve:
    """Return the curve from counts of those who leave by the event and else."""
    d, r = counts[0].astype(np.float64), at_risk(counts).astype(np.float64)
    survival = np.cumprod(1 - d / np.maximum(r, 1))
    return Curve(survival, np.cumsum(_greenwood(d, r)))


def _greenwood(d: Floats, r: Floats) -> Floats:
    left = np.where(d > 0, r * (r - d), 1.0)
    steps: Floats = np.divide(d, left, out=np.full_like(d, np.inf), where=left > 0)
    return steps


def restricted_mean(counts: Ints, tau: int) -> tuple[float, float]:
    """Return the mean number of days lived before day tau, and its variance.

    Royston, Parmar, BMC Med Res Methodol 13:152 (2013): the area under the curve; the
    variance is the sum of (area from t to tau)^2 d / (r (r - d)).
    """
    d, r = counts[0, :tau].astype(np.float64), at_risk(counts)[:tau].astype(np.float64)
    survival = kaplan_meier(counts).survival[:tau]
    ahead = survival[::-1].cumsum()[::-1]
    step = np.where(ahead > 0, _greenwood(d, r), 0.0)
    return float(survival.sum()), float((ahead**2 * step).sum())


def log_rank(counts: Ints) -> tuple[Floats, Floats]:
    """Return observed minus expected events and their covariance.

    Mantel, Cancer Chemother Rep 50:163 (1966); both add over strata.

    Args:
        counts: leaving by group, shape (G, 2, days).

    Returns:
        O - E, shape (G,), and the hypergeometric covariance, shape (G, G).
    """
    r = at_risk(counts).astype(np.float64)
    d, all_r = counts[:, 0].sum(axis=0).astype(np.float64), r.sum(axis=0)
    busy = d > 0
    share = r[:, busy] / all_r[busy]
    weight = d[busy] * (all_r[busy] - d[busy]) / np.maximum(all_r[busy] - 1, 1)
    expected = share @ d[busy]
    spread = np.diag(share @ weight) - (share * weight) @ share.T
    return counts[:, 0].sum(axis=1) - expected, spread


def chi_square(off: Floats, spread: Floats) -> tuple[float | None, int]:
    """Return chi2 = (O - E)' V^- (O - E) and its degrees of freedom.

    Groups nobody is ever at risk in do not count; None where nothing can differ.
    """
    moves = np.flatnonzero(np.diag(spread) > 1e-12)
    keep = moves[:-1]  # the deviations add to zero
    if not keep.size:
        return None, 0
    solved = np.linalg.solve(spread[np.ix_(keep, keep)], off[keep])
    return float(off[keep] @ solved), int(keep.size)
