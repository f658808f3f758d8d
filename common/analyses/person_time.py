"""Piecewise-exponential survival as a Poisson model of events in person-time.

A case lives e_ij days of interval j and has d_ij events there; with eta_ij = a_j + x_i'b:
l = sum d_ij eta_ij - e_ij exp(eta_ij) (Holford, Biometrics 36:299, 1980). Coefficients are
the log rates a_j of all intervals, then b.
"""

from dataclasses import dataclass

import numpy as np

from common.analyses.newton import Ints
from common.table import Floats

_HARDLY_MOVED = 1e-2
LEAST_EVENTS = 5


def cut_days(events_a_day: Ints, n_intervals: int) -> Ints:
    """Return the last day of each interval but the last, by even numbers of events.

    Each interval has at least five events, so there may be fewer of them.
    """
    total = int(events_a_day.sum())
    wanted = max(total / n_intervals, LEAST_EVENTS)
    cuts: list[int] = []
    before, sums = 0, np.cumsum(events_a_day)
    for day, until in enumerate(sums):
        if until - before >= wanted and total - until >= LEAST_EVENTS:
            cuts.append(day)
            before = int(until)
    return np.array(cuts, np.int64)


@dataclass(frozen=True, slots=True)
class Spells:
    """What cases live in intervals; one row a case and interval with time or an event.

    Attributes:
        case: index of the case.
        interval: index of the interval.
        exposure: days lived in it.
        events: 1 where it ends with the event.
    """

    case: Ints
    interval: Ints
    exposure: Floats
    events: Floats


def spells_of(days: Floats, events: Floats, cuts: Floats) -> Spells:
    """Divide each case's time at the cuts; intervals are (cut, next cut]."""
    low = np.concatenate([[0.0], cuts])
    high = np.concatenate([cuts, [np.inf]])
    exposure = np.clip(np.minimum(days[:, None], high) - low, 0.0, None)
    last = np.searchsorted(cuts, days, side="left")
    died = (last[:, None] == np.arange(len(low))) & (events[:, None] > 0)
    case, interval = np.nonzero((exposure > 0) | died)
    return Spells(case, interval, exposure[case, interval], died[case, interval] * 1.0)


def design_of(spells: Spells, x: Floats, n_intervals: int) -> Floats:
    """Return interval dummies and covariates of each spell."""
    dummies = spells.interval[:, None] == np.arange(n_intervals)
    return np.hstack([dummies.astype(np.float64), x[spells.case]])


def derivatives(z: Floats, spells: Spells, beta: Floats) -> tuple[float, Floats, Floats]:
    """Return log-likelihood, gradient (q,) and curvature (q, q)."""
    eta = z @ beta
    expected = spells.exposure * np.exp(np.minimum(eta, _LARGEST))
    value = float((spells.events * eta - expected).sum())
    gradient = z.T @ (spells.events - expected)
    return value, gradient, (z * expected[:, None]).T @ z


_LARGEST = 30.0  # beyond it a step is far off and will be halved


def separation(z: Floats, spells: Spells, step: Floats) -> tuple[float, float]:
    """Return how far a step speaks against itself, and how far it lowers rates.

    The likelihood rises for ever where rates fall among those without events and stay
    where events are.
    """
    moved = z @ step
    wrong = np.where(spells.events > 0, np.abs(moved), moved) - _HARDLY_MOVED
    lowered = np.where(spells.events > 0, 0.0, -moved) - _HARDLY_MOVED
    return float(np.maximum(wrong, 0.0).sum()), float(np.maximum(lowered, 0.0).sum())
