"""The LASSO on a quadratic: min over b of b'Hb/2 - c'b + sum_j penalty_j |b_j|.

With the signs known it is a linear system. First by guessing all of them at once, again
from each solution (primal-dual active set: Hintermueller, Ito, Kunisch, SIAM J Optim
13:865, 2003): a few steps from a neighbouring solution. Where the guesses do not settle,
by feature-sign search (Lee, Battle, Raina, Ng, NIPS 19:801, 2006): one coordinate enters
at a time and leaves where it would change its sign, so that the value always falls.
Either ends at the exact minimum.
"""

import numpy as np

from common.analyses.newton import Bools
from common.table import Floats

_GUESSES = 12
_STEPS_A_COORDINATE = 20
_ROUNDING = 1e-14
_LARGEST = 1e11  # solutions, in units of what they solve; above it digits are rounding
_SOLVED = 1e-9


def minimise(hessian: Floats, c: Floats, penalty: Floats, start: Floats) -> Floats:
    """Return the minimum, shape (q,).

    Args:
        hessian: H, positive semidefinite, shape (q, q).
        c: shape (q,).
        penalty: of each coordinate, 0 or above; infinite keeps it at 0.
        start: a nearby solution, from which few coordinates come and go.
    """
    diagonal = np.diagonal(hessian)
    usable = (diagonal > 0) & np.isfinite(penalty)
    cost, size = np.where(usable, penalty, 0.0), np.where(usable, diagonal, 1.0)
    b = np.where(usable, start, 0.0)
    always = usable & (cost == 0)
    guess = _guess(hessian, c, np.where(usable, penalty, np.inf), b)
    if guess is not None:
        return guess
    for _ in range(_STEPS_A_COORDINATE * len(b)):
        b, settled = _settle(hessian, c, cost, b, always)
        if not settled:
            continue
        rest = c - hessian @ b
        excess = np.where(usable & (b == 0), np.abs(rest) - cost, 0.0) / size
        j = int(np.argmax(excess))
        if excess[j] <= _ROUNDING * (1.0 + np.abs(b).max()):
            break
        # Enter to where the value is lowest along this coordinate alone.
        b[j] = np.sign(rest[j]) * excess[j]
    return b


def _guess(hessian: Floats, c: Floats, penalty: Floats, b: Floats) -> Floats | None:
    """Return the minimum if guesses of all signs at once settle, else None."""
    size = np.where(np.isfinite(penalty), np.diagonal(hessian), 1.0)
    before = np.full(len(b), 9.0)
    for _ in range(_GUESSES):
        # A coordinate that is 0 stays so unless its slope is beyond the penalty.
        moved = size * b + c - hessian @ b
        sign = np.where(np.abs(moved) > penalty, np.sign(moved), 0.0)
        sign = np.where(penalty == 0, 2.0, sign)
        if (sign == before).all():
            return b if _settled(hessian, c, penalty, b) else None
        active, before = np.flatnonzero(sign), sign
        target = c[active] - np.where(penalty[active] == 0, 0.0, penalty[active]) * sign[active]
        b = np.zeros(len(c))
        b[active] = _solve(hessian[np.ix_(active, active)], target)
    return None


def _settled(hessian: Floats, c: Floats, penalty: Floats, b: Floats) -> bool:
    """Return whether the slope of every coordinate that is not 0 is its penalty.

    It is, unless the system with these signs has no solution: as of columns of which one is
    the difference of two others, all three with a sign of their own.
    """
    on = np.flatnonzero(b)
    part = hessian[np.ix_(on, on)]
    cost = np.where(penalty[on] == 0, 0.0, penalty[on]) * np.sign(b[on])
    off = np.abs(c[on] - part @ b[on] - cost)
    size = np.abs(c[on]) + np.abs(cost) + np.abs(part) @ np.abs(b[on])
    return bool((off <= _SOLVED * size).all())


def _settle(
    hessian: Floats, c: Floats, cost: Floats, b: Floats, always: Bools
) -> tuple[Floats, bool]:
    """Move towards the minimum with these signs, to the lowest point on the way.

    Returns:
        Where it got, and whether that is the minimum itself.
    """
    active = np.flatnonzero((b != 0) | always)
    sign = np.where(always[active], 0.0, np.sign(b[active]))
    part = hessian[np.ix_(active, active)]
    goal = _solve(part, c[active] - cost[active] * sign)
    crossing = (sign != 0) & (np.sign(goal) != sign)
    out = np.zeros_like(b)
    if not crossing.any():
        out[active] = goal
        return out, True
    ends = b[active], goal
    out[active] = _lowest(part, c[active], cost[active], ends, crossing)
    return out, False


def _solve(part: Floats, target: Floats) -> Floats:
    """Return the solution, the shortest one where rounding leaves it open."""
    try:
        found = np.asarray(np.linalg.solve(part, target), np.float64)
    except np.linalg.LinAlgError:
        return _shortest(part, target)
    # A system that is singular but for rounding has solutions as large as rounding is small.
    size = np.abs(np.diagonal(part)).max(initial=0.0) * np.abs(found).max(initial=0.0)
    return found if size <= _LARGEST * np.abs(target).max(initial=0.0) else _shortest(part, target)


def _shortest(part: Floats, target: Floats) -> Floats:
    return np.asarray(np.linalg.lstsq(part, target, rcond=1.0 / _LARGEST)[0], np.float64)


def _lowest(
    part: Floats, c: Floats, cost: Floats, ends: tuple[Floats, Floats], crossing: Bools
) -> Floats:
    """Return the lowest point between two, among the goal and where a sign changes."""
    here, goal = ends
    best, out = np.inf, goal
    for t in [*(here[crossing] / (here - goal)[crossing]), 1.0]:
        trial = here + t * (goal - here)
        trial[crossing & (np.abs(trial) <= _ROUNDING * np.abs(here))] = 0.0
        value = trial @ (part @ trial) / 2.0 - c @ trial + cost @ np.abs(trial)
        if value < best:
            best, out = value, trial
    return out
