"""The logistic log-likelihood and its derivatives, on some rows.

l(b) = sum_i y_i eta_i - log(1 + exp eta_i), eta = X b; the first column of X is ones.
With p the probabilities and w = p (1 - p): gradient X'(y - p), curvature X'WX.
"""

import numpy as np

from common.table import Floats

_HARDLY_MOVED = 1e-2


def probability(eta: Floats) -> Floats:
    """Return 1 / (1 + exp(-eta))."""
    half = np.tanh(eta / 2.0) / 2.0
    return half + 0.5


def log_likelihood(eta: Floats, y: Floats) -> float:
    """Return the log-likelihood of 0/1 outcomes at linear predictors."""
    return float((y * eta - np.logaddexp(0.0, eta)).sum())


def derivatives(x: Floats, y: Floats, beta: Floats) -> tuple[float, Floats, Floats]:
    """Return log-likelihood, gradient (q,) and curvature (q, q) of some rows."""
    eta = x @ beta
    p = probability(eta)
    weight = p * (1.0 - p)
    return log_likelihood(eta, y), x.T @ (y - p), (x * weight[:, None]).T @ x


def separation(x: Floats, y: Floats, step: Floats) -> tuple[float, float]:
    """Return how far a step moves cases away from their own class, and towards it.

    Moves below a hundredth of the average do not count: on the way to infinity the
    coefficients that stay finite still move a little.
    """
    towards = (2.0 * y - 1.0) * (x @ step)
    against = np.maximum(-towards - _HARDLY_MOVED, 0.0)
    along = np.maximum(towards - _HARDLY_MOVED, 0.0)
    return float(against.sum()), float(along.sum())
