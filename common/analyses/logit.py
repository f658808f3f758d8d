"""The logistic log-likelihood and its derivatives, of many problems at once.

l(b) = sum_i y_i eta_i - log(1 + exp eta_i), eta = X b. With p the probabilities and
w = p (1 - p): gradient X'(y - p), curvature X'WX. X has the shape (..., n, q); its first
column is 1, or 0 in the rows that take no part in a problem, which are zero throughout.
"""

import numpy as np

from common.table import Floats

_HARDLY_MOVED = 1e-2


def probability(eta: Floats) -> Floats:
    """Return 1 / (1 + exp(-eta))."""
    half = np.tanh(eta / 2.0) / 2.0
    return half + 0.5


def predictor(x: Floats, beta: Floats) -> Floats:
    """Return X b, shape (..., n)."""
    eta: Floats = (x @ beta[..., None])[..., 0]
    return eta


def weighted_gram(x: Floats, weight: Floats) -> Floats:
    """Return X'WX, shape (..., q, q)."""
    gram: Floats = np.swapaxes(x, -1, -2) @ (x * weight[..., None])
    return gram


def derivatives(x: Floats, y: Floats, beta: Floats) -> tuple[Floats, Floats, Floats]:
    """Return log-likelihood (...), gradient (..., q) and curvature (..., q, q)."""
    eta = predictor(x, beta)
    rare = np.exp(-np.abs(eta))  # odds of the less likely class
    value = x[..., 0] * (y * eta - np.maximum(eta, 0.0) - np.log(1.0 + rare))
    p = np.where(eta < 0, rare, 1.0) / (1.0 + rare)
    gradient = ((y - p)[..., None, :] @ x)[..., 0, :]
    return value.sum(-1), gradient, weighted_gram(x, p * (1.0 - p))


def separation(x: Floats, y: Floats, step: Floats) -> tuple[Floats, Floats]:
    """Return how far a step moves cases away from their own class, and towards it.

    Moves below a hundredth of the average do not count: on the way to infinity the
    coefficients that stay finite still move a little.
    """
    towards = (2.0 * y - 1.0) * predictor(x, step)
    against = np.maximum(-towards - _HARDLY_MOVED, 0.0)
    along = np.maximum(towards - _HARDLY_MOVED, 0.0)
    return against.sum(-1), along.sum(-1)
