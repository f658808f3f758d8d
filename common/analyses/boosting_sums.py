"""The numbers of boosting, in whole multiples of 2**-30: scores, losses, gains, leaves.

The order of trees in time is step, problem, tree of the step.
"""

from collections.abc import Sequence

import numpy as np

from common.analyses.classifier import Bools, Ints
from common.analyses.logit import probability
from common.analyses.plain import floats
from common.analyses.trees import Codes, Trees
from common.table import Floats

UNIT = 2.0**30
# Values of leaves are cut to whole multiples of this, so that they add without rounding.
_VALUE_UNIT = 2.0**-40
_LEAST_CURVATURE = 1e-3


def score(trees: Trees, codes: Codes, base: Floats, parallel: int) -> Floats:
    """Return the log-odds of each case by each problem, shape (n, problems).

    Args:
        trees: those to be added.
        codes: of the cases.
        base: where they begin, shape (problems,) or (n, problems): what former trees made.
        parallel: trees of a step and problem.
    """
    shape = len(codes), base.shape[-1]
    n_steps = len(trees.feature) // (shape[1] * parallel)
    said = trees.values_of(codes).reshape(shape[0], n_steps, shape[1], parallel).sum(axis=3)
    out = np.array(np.broadcast_to(base, shape))
    for step in range(n_steps):  # one by one, or bits would depend on where it began
        out += said[:, step]
    return out


def losses(scores: Floats, y: Floats, trains: Sequence[Bools]) -> Ints:
    """Return minus log-likelihoods of those in and out of each problem, in units."""
    loss = np.rint((np.logaddexp(0.0, scores) - y[:, None] * scores) * UNIT).astype(np.int64)
    both = [(loss[train, i].sum(), loss[~train, i].sum()) for i, train in enumerate(trains)]
    return np.array(both, np.int64)


def slopes_of(scores: Floats, y: Floats) -> Ints:
    """Return first and second derivatives of the loss, in units, shape (n, problems, 2)."""
    p = probability(scores)
    slopes = np.stack([p - y[:, None], p * (1.0 - p)], axis=-1)
    return np.rint(slopes * UNIT).astype(np.int64)


def newton_gain(l2: float, left: Ints, all_of: Ints) -> Floats:
    """Return G_L^2 / (H_L + l2) + G_R^2 / (H_R + l2) - G^2 / (H + l2)."""
    right = all_of - left
    gain = _gained(l2, left) + _gained(l2, right) - _gained(l2, all_of)
    flat = np.minimum(left[..., 1], right[..., 1]) < _LEAST_CURVATURE * UNIT
    return np.where(flat, -np.inf, gain)


def _gained(l2: float, sums: Ints) -> Floats:
    slope, curvature = floats(sums[..., 0]) / UNIT, floats(sums[..., 1]) / UNIT
    gained: Floats = slope**2 / np.maximum(curvature + l2, _LEAST_CURVATURE)
    return gained


def step_value(l2: float, rate: float, sums: Ints) -> Floats:
    """Return -rate G / (H + l2): Newton's step of a leaf."""
    slope, curvature = floats(sums[..., 0]) / UNIT, floats(sums[..., 1]) / UNIT
    step = -rate * slope / np.maximum(curvature + l2, _LEAST_CURVATURE)
    value: Floats = np.rint(step / _VALUE_UNIT) * _VALUE_UNIT
    return value


def no_split(sums: Ints) -> Bools:
    """Return where a node is too flat to split."""
    flat: Bools = sums[..., 1] < 2 * _LEAST_CURVATURE * UNIT
    return flat
