"""Profile-likelihood confidence limits, all limits of all coefficients side by side.

Venzon, Moolgavkar, Appl Stat 37:87 (1988): a limit of coefficient j is where the
gradient of all others is zero and the log-likelihood lies chi2(level) / 2 below its
maximum. With curvature J, Newton's step to that point is J^-1 (g - lambda e_j).
"""

import numpy as np

from common.analyses.newton import (
    CONVERGED,
    MOST_ROUNDS,
    RUNNING,
    STALLED,
    Bools,
    Fit,
    Ints,
    Local,
    Maximising,
    Point,
    inverse_of,
)
from common.table import Floats

_CLOSE_ENOUGH = 1e-9
_LONGEST_STEP = 3.0  # in standard errors; further the quadratic is not to be trusted


def profile_limits(best: Floats, target: Floats, signed: Ints, free: Bools) -> Maximising:
    """Search limits from the maximum outwards.

    Args:
        best: coefficients at the maximum, one row a limit, shape (M, q).
        target: log-likelihood at the limit, shape (M,).
        signed: coordinate j of a lower limit as -j, of an upper one as j; shape (M,).
        free: coefficients in the model, shape (M, q).

    Yields:
        A `Point`; expects the totals there.

    Returns:
        A fit whose `beta[m, |signed[m]|]` is the limit where its state is CONVERGED.
    """
    n, q = best.shape
    curvature = np.zeros((n, q, q))
    fit = Fit(best.copy(), target.copy(), curvature, free, np.full(n, RUNNING, np.int64))
    step = np.zeros_like(best)
    for _ in range(MOST_ROUNDS):
        running = np.flatnonzero(fit.state == RUNNING)
        if not running.size:
            break
        here = yield Point(running, fit.beta[running], step[running])
        lost = ~np.isfinite(here.value)
        step[running], length = _steps(here, target[running], signed[running], free[running])
        fit.beta[running] += step[running]
        fit.state[running[length <= _CLOSE_ENOUGH]] = CONVERGED
        fit.state[running[lost]] = STALLED
    fit.state[fit.state == RUNNING] = STALLED
    return fit


def _steps(here: Local, target: Floats, signed: Ints, free: Bools) -> tuple[Floats, Floats]:
    """Return the next steps and their lengths in standard errors."""
    rows, j = np.arange(len(signed)), np.abs(signed)
    gradient = np.where(free, here.gradient, 0.0)
    inverse = inverse_of(here.curvature, free)
    newton = np.einsum("mij,mj->mi", inverse, gradient)
    top = here.value + np.einsum("mi,mi->m", newton, gradient) / 2.0
    variance = np.maximum(inverse[rows, j, j], np.finfo(np.float64).tiny)
    pull = -np.sign(signed) * np.sqrt(np.maximum(2.0 * (top - target), 0.0) / variance)
    step = newton - pull[:, None] * inverse[rows, :, j]
    length = np.sqrt(np.abs(np.einsum("mi,mij,mj->m", step, here.curvature, step)))
    return step * np.minimum(1.0, _LONGEST_STEP / np.maximum(length, 1e-300))[:, None], length
