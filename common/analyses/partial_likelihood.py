"""Cox's partial likelihood with Efron's ties, within strata that stay at their site.

At an event time with d events D among those at risk R, and s = sum over R of exp(x'b),
e = sum over D of exp(x'b): l = sum_D x'b - sum_{l<d} log(s - l/d e) (Efron, JASA 72:557,
1977). Only sums over all event times leave: no time, and no risk set.
"""

from collections.abc import Iterator

import numpy as np

from common.analyses.newton import Bools, Ints
from common.table import Floats

_HARDLY_MOVED = 1e-2


def order(days: Floats, events: Floats, stratum: Ints) -> list[tuple[Ints, Floats]]:
    """Return rows and days of each stratum that has an event, latest day first."""
    strata = []
    for s in np.unique(stratum[events > 0]):
        rows = np.flatnonzero(stratum == s)
        rows = rows[np.argsort(-days[rows], kind="stable")]
        strata.append((rows, days[rows]))
    return strata


def derivatives(
    x: Floats, events: Floats, strata: list[tuple[Ints, Floats]], beta: Floats
) -> tuple[float, Floats, Floats]:
    """Return log-likelihood, gradient (q,) and curvature (q, q).

    Args:
        x: covariates, shape (n, q).
        events: 1 for an event, shape (n,).
        strata: of `order`.
        beta: coefficients, shape (q,).
    """
    q = x.shape[1]
    value, gradient, curvature = 0.0, np.zeros(q), np.zeros((q, q))
    for rows, days in strata:
        z, died = x[rows], events[rows] > 0
        eta = z @ beta
        highest = eta.max()
        risk = np.exp(eta - highest)
        at = _Running(z, risk)
        for end, dead in _event_times(days, died):
            s0, s1, s2 = at.up_to(end)
            e0, e1, e2 = _moments(z[dead], risk[dead])
            share = np.arange(len(dead)) / len(dead)
            w = 1.0 / (s0 - share * e0)
            mean = np.outer(w, s1) - np.outer(w * share, e1)
            value += float(eta[dead].sum() + np.log(w).sum() - len(dead) * highest)
            gradient += z[dead].sum(0) - mean.sum(0)
            curvature += w.sum() * s2 - (w * share).sum() * e2 - mean.T @ mean
    return value, gradient, curvature


class _Running:
    """Sums over everybody still at risk, from the latest day backwards."""

    def __init__(self, z: Floats, risk: Floats) -> None:
        q = z.shape[1]
        self._z, self._risk, self._end = z, risk, 0
        self._sums = (0.0, np.zeros(q), np.zeros((q, q)))

    def up_to(self, end: int) -> tuple[float, Floats, Floats]:
        """Return the sums over the first `end` rows; `end` may only grow."""
        new = _moments(self._z[self._end : end], self._risk[self._end : end])
        s0, s1, s2 = self._sums
        self._sums, self._end = (s0 + new[0], s1 + new[1], s2 + new[2]), end
        return self._sums


def _moments(z: Floats, risk: Floats) -> tuple[float, Floats, Floats]:
    return float(risk.sum()), risk @ z, (z * risk[:, None]).T @ z


def _event_times(days: Floats, died: Bools) -> Iterator[tuple[int, Ints]]:
    """Give, latest first, how many rows are at risk at an event time, and its events."""
    for day in np.unique(days[died])[::-1]:
        end = int(np.searchsorted(-days, -day, side="right"))
        yield end, np.flatnonzero(died & (days == day))


def separation(
    x: Floats, events: Floats, strata: list[tuple[Ints, Floats]], step: Floats
) -> tuple[float, float]:
    """Return how far a step ranks events below others at risk, and above them.

    Without the first the likelihood rises for ever along the step (Bryson, Johnson,
    Technometrics 23:381, 1981). Moves below a hundredth of the average do not count.
    """
    against = along = 0.0
    for rows, days in strata:
        moved, died = x[rows] @ step, events[rows] > 0
        highest, lowest = np.maximum.accumulate(moved), np.minimum.accumulate(moved)
        for end, dead in _event_times(days, died):
            above = highest[end - 1] - moved[dead] - _HARDLY_MOVED
            below = moved[dead] - lowest[end - 1] - _HARDLY_MOVED
            against += float(np.maximum(above, 0.0).sum())
            along += float(np.maximum(below, 0.0).sum())
    return against, along


def concordant(
    score: Floats, events: Floats, strata: list[tuple[Ints, Floats]]
) -> tuple[int, int, int]:
    """Return pairs within strata: concordant, tied in the score, comparable.

    Harrell, Lee, Mark, Stat Med 15:361 (1996): who has the event lives shorter than who
    is seen later, or leaves the same day without it; the higher score should be his.
    """
    right = tied = pairs = 0
    for rows, days in strata:
        mine, died = score[rows], events[rows] > 0
        for i in np.flatnonzero(died):
            later = (days > days[i]) | ((days == days[i]) & ~died)
            right += int((mine[later] < mine[i]).sum())
            tied += int((mine[later] == mine[i]).sum())
            pairs += int(later.sum())
    return right, tied, pairs
