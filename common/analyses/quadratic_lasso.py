"""The LASSO on a quadratic: min over b of b'Hb/2 - c'b + sum_j penalty_j |b_j|.

By the primal-dual active set method (Hintermueller, Ito, Kunisch, SIAM J Optim 13:865,
2003): guess which b_j are zero and the signs of the others, solve, guess again. It ends
at the exact minimum when the guess repeats, after a few steps from a neighbouring
penalty's solution. Where it cycles, the feature-sign search (Lee, Battle, Raina, Ng,
NIPS 19, 2006) takes over, which cannot.
"""

import numpy as np
from numpy.typing import NDArray

from common.table import Floats

_GUESSES = 40
_CHANGES = 20
_ROUNDING = 1e-14


def minimise(H: Floats, c: Floats, penalty: Floats, start: Floats) -> Floats:  # noqa: N803
    """Return the minimum, shape (q,).

    Args:
        H: positive semidefinite, shape (q, q).
        c: shape (q,).
        penalty: of each coordinate, 0 or above; infinite keeps it at 0.
        start: a nearby solution.
    """
    usable = (np.diagonal(H) > 0) & np.isfinite(penalty)
    if not usable.all():
        b = np.zeros(len(c))
        part = np.ix_(usable, usable)
        b[usable] = minimise(H[part], c[usable], penalty[usable], start[usable])
        return b
    guess = _active_set(H, c, penalty, start)
    if guess is not None:
        return guess
    return _search(H, c, penalty, start)


def _active_set(H: Floats, c: Floats, penalty: Floats, b: Floats) -> Floats | None:  # noqa: N803
    """Return the minimum, or None where the guesses do not settle."""
    diagonal = np.diagonal(H)
    signs = _signs(b + (c - H @ b) / diagonal, penalty / diagonal, b)
    for _ in range(_GUESSES):
        active = np.flatnonzero(signs)
        b = np.zeros(len(c))
        try:
            target = c[active] - penalty[active] * np.sign(signs[active])
            b[active] = np.linalg.solve(H[np.ix_(active, active)], target)
        except np.linalg.LinAlgError:
            return None
        now = _signs(b + (c - H @ b) / diagonal, penalty / diagonal, b)
        if (now == signs).all():
            return b if np.isfinite(b).all() else None
        signs = now
    return None


def _signs(moved: Floats, threshold: Floats, b: Floats) -> NDArray[np.int64]:
    """Return the sign of each coordinate, 0 where its penalty holds it at 0.

    A coordinate without penalty is never held: 2, whatever its sign.
    """
    free = threshold == 0
    held = np.abs(moved) <= threshold
    return np.where(free, 2, np.where(held, 0, np.sign(moved))).astype(np.int64)


def _search(H: Floats, c: Floats, penalty: Floats, start: Floats) -> Floats:  # noqa: N803
    """Return the minimum; one coordinate enters at a time, so the value always falls."""
    b = start.copy()
    for _ in range(_CHANGES * len(b)):
        b, settled = _settle(H, c, penalty, b)
        rest = c - H @ b
        excess = np.where(b == 0, np.abs(rest) - penalty, 0.0) / np.diagonal(H)
        j = int(np.argmax(excess))
        if settled and excess[j] <= _ROUNDING * (1.0 + np.abs(b).max()):
            break
        if settled:  # enter where the value falls along this coordinate alone
            b[j] = np.sign(rest[j]) * (np.abs(rest[j]) - penalty[j]) / H[j, j]
    return b


def _settle(
    H: Floats, c: Floats, penalty: Floats, b: Floats  # noqa: N803
) -> tuple[Floats, bool]:
    """Move towards the minimum with these signs, to the lowest point on the way.

    Returns:
        Where it got, and whether that is the minimum itself.
    """
    active = np.flatnonzero((b != 0) | (penalty == 0))
    sign = np.where(penalty[active] == 0, 0.0, np.sign(b[active]))
    target = c[active] - penalty[active] * sign
    goal = np.linalg.lstsq(H[np.ix_(active, active)], target, rcond=1e-13)[0]
    crossing = (sign != 0) & (np.sign(goal) != sign)
    step = goal - b[active]
    out = np.zeros_like(b)
    if not crossing.any():
        out[active] = goal
        return out, True
    # Between two crossings the value is a parabola: its lowest point is a crossing, or
    # the goal, which a further call will reach.
    best = np.inf
    for t in [*(-b[active][crossing] / step[crossing]), 1.0]:
        trial = np.zeros_like(b)
        trial[active] = b[active] + t * step
        trial[active[crossing & (np.abs(trial[active]) <= _ROUNDING)]] = 0.0
        value = trial @ (H @ trial) / 2.0 - c @ trial + penalty @ np.abs(trial)
        if value < best:
            best, out = value, trial
    return out, False
