"""Newton's method on sums: many concave problems climb side by side, a step a round.

The sites evaluate value, gradient and curvature of every problem that still runs; the
coordinator accepts or halves each problem's step by itself. A problem is a model, a
fold, a column: an index of the first axis of all arrays here.
"""

from collections.abc import Callable, Generator
from dataclasses import dataclass
from functools import lru_cache
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from common.analyses.analysis import Ask
from common.sums import Sums
from common.table import Floats

Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

MOST_ROUNDS = 30
_MOST_HALVINGS = 30
# The Newton decrement is the length of a step in standard errors.
_CLOSE_ENOUGH = 1e-10
# Squared share of a column that must be left after regressing it on those before.
_INDEPENDENT = 1e-12
_CONSTANT = 1e-20

RUNNING, CONVERGED, SEPARATED, STALLED = range(4)


@dataclass(frozen=True, slots=True)
class Point:
    """Where the sites are asked to evaluate.

    Attributes:
        problems: indices of those that still run, shape (A,).
        beta: their coefficients, shape (A, q).
        step: the direction that led there, scaled so that the linear predictor moved by
            1 on (quadratic) average; zeros at first; shape (A, q).
    """

    problems: Ints
    beta: Floats
    step: Floats


@dataclass(frozen=True, slots=True)
class Local:
    """Totals over sites at a `Point`.

    Attributes:
        value: log-likelihood, shape (A,).
        gradient: shape (A, q).
        curvature: minus the second derivative, shape (A, q, q).
        against: how far the step moved cases away from their own class, shape (A,).
        along: how far it moved cases towards it, shape (A,).
    """

    value: Floats
    gradient: Floats
    curvature: Floats
    against: Floats | None = None
    along: Floats | None = None


@dataclass
class Fit:
    """Where the problems ended.

    Attributes:
        beta: shape (M, q), 0 where not free.
        value: log-likelihood there, shape (M,).
        curvature: shape (M, q, q).
        free: the coefficients estimated, without those of constant or collinear
            columns; shape (M, q).
        state: CONVERGED, SEPARATED or STALLED, shape (M,).
    """

    beta: Floats
    value: Floats
    curvature: Floats
    free: Bools
    state: Ints


Maximising: TypeAlias = Generator[Point, Local, Fit]


def maximise(start: Floats, free: Bools, cases: Floats | None = None) -> Maximising:
    """Climb to the maximum of each problem by Newton's steps, halved where they fall.

    Args:
        start: coefficients, shape (M, q).
        free: which of them may move, shape (M, q).
        cases: the weight of all cases at the start, shape (M,); without it the
            curvature of the first coefficient, an intercept.

    Yields:
        A `Point`; expects the totals there.
    """
    n_problems = len(start)
    fit = Fit(
        start.copy(),
        np.full(n_problems, -np.inf),
        np.zeros((*start.shape, start.shape[1])),
        free.copy(),
        np.full(n_problems, RUNNING, np.int64),
    )
    step, halvings = np.zeros_like(start), np.zeros(n_problems, np.int64)
    metric, weight = fit.curvature, np.ones(n_problems)
    for round_ in range(MOST_ROUNDS):
        running = np.flatnonzero(fit.state == RUNNING)
        if not running.size:
            break
        direction = _unit_steps(step[running], metric[running], weight[running])
        here = yield Point(running, fit.beta[running] + step[running], direction)
        better = _climbed(here.value, fit.value[running])
        halvings[running] = np.where(better, 0, halvings[running] + 1)
        step[running[~better]] /= 2
        _accept(fit, step, running, here, better)
        if round_ == 0:
            metric = here.curvature
            weight = metric[:, 0, 0] if cases is None else cases
            fit.free[running] &= independent(here.curvature, fit.free[running])
        _advance(fit, step, running[better], here.gradient[better])
        fit.state[running[_separates(here) & better]] = SEPARATED
        fit.state[halvings > _MOST_HALVINGS] = STALLED
    fit.state[fit.state == RUNNING] = STALLED
    return fit


def climb(
    climbing: Maximising,
    ask: Callable[[Point], Ask],
    read: Callable[[Point, Sums], Local],
) -> Generator[Ask, Sums, Fit]:
    """Carry an iteration's points to the sites and their totals back to it.

    Args:
        climbing: a started-afresh `maximise`.
        ask: the question to the sites for a point.
        read: the totals of such an ask as a `Local`.
    """
    point = next(climbing)
    try:
        while True:
            total = yield ask(point)
            point = climbing.send(read(point, total))
    except StopIteration as stop:
        fit: Fit = stop.value
        return fit


def _climbed(value: Floats, before: Floats) -> Bools:
    slack = 1e-12 * (1.0 + np.abs(value))
    climbed: Bools = np.isfinite(value) & (value >= before - slack)
    return climbed


def _accept(fit: Fit, step: Floats, running: Ints, here: Local, better: Bools) -> None:
    accepted = running[better]
    fit.beta[accepted] += step[accepted]
    fit.value[accepted] = here.value[better]
    fit.curvature[accepted] = here.curvature[better]


def _advance(fit: Fit, step: Floats, problems: Ints, gradient: Floats) -> None:
    """Set the next Newton step of each problem; end those it hardly moves."""
    if not problems.size:
        return
    free = fit.free[problems]
    gradient = np.where(free, gradient, 0.0)
    inverse = inverse_of(fit.curvature[problems], free)
    step[problems] = np.einsum("mij,mj->mi", inverse, gradient)
    gain = np.maximum(np.einsum("mi,mi->m", step[problems], gradient), 0.0)
    close = np.sqrt(gain) <= _CLOSE_ENOUGH
    done = problems[close]
    fit.beta[done] += step[done]
    fit.value[done] += gain[close] / 2
    fit.state[done] = CONVERGED


def _unit_steps(step: Floats, metric: Floats, weight: Floats) -> Floats:
    """Return steps of mean square 1, by the curvature at the start and its weight."""
    square = np.einsum("mi,mij,mj->m", step, metric, step)
    size = np.sqrt(np.where(square > 0, square, 1.0) / np.where(weight > 0, weight, 1.0))
    return step / size[:, None]


def _separates(here: Local) -> Bools:
    """Return where a step moved no case away from its own class: no maximum exists.

    Albert, Anderson, Biometrika 71:1 (1984): such a direction is both necessary and
    sufficient for (quasi-)complete separation.
    """
    if here.against is None or here.along is None:
        return np.zeros(len(here.value), bool)
    separates: Bools = (here.against == 0) & (here.along > 0)
    return separates


def inverse_of(curvature: Floats, free: Bools) -> Floats:
    """Return the inverses on the free coefficients, zero elsewhere; shape (M, q, q)."""
    both = free[:, :, None] & free[:, None, :]
    diagonal = np.einsum("mii->mi", curvature)
    size = np.sqrt(np.where(free & (diagonal > 0), diagonal, 1.0))
    scaled = np.where(both, curvature / (size[:, :, None] * size[:, None, :]), 0.0)
    inverse = np.linalg.pinv(scaled, rcond=1e-14, hermitian=True)
    return np.where(both, inverse / (size[:, :, None] * size[:, None, :]), 0.0)


def independent(curvature: Floats, free: Bools) -> Bools:
    """Return the columns that those before them do not determine, shape (M, q).

    By Cholesky's sweep in the order of the columns, as R drops aliased ones; the first
    column, the intercept, gives the size below which another one is constant.
    """
    rest = np.where(free[:, :, None] & free[:, None, :], curvature, 0.0)
    size = np.einsum("mii->mi", rest).copy()
    kept = np.zeros_like(free)
    for j in range(free.shape[1]):
        pivot = rest[:, j, j]
        enough = np.maximum(_INDEPENDENT * size[:, j], _CONSTANT * size[:, 0])
        kept[:, j] = free[:, j] & (pivot > enough)
        safe = np.where(kept[:, j], pivot, np.inf)
        rest = rest - rest[:, :, j, None] * rest[:, j, None, :] / safe[:, None, None]
    return kept


@lru_cache(maxsize=8)
def _triangle(q: int) -> tuple[Ints, Ints]:
    rows, columns = np.triu_indices(q)
    return rows, columns


def pack(matrices: Floats) -> Floats:
    """Return the upper triangles of symmetric matrices, shape (..., q (q + 1) / 2)."""
    rows, columns = _triangle(matrices.shape[-1])
    packed: Floats = matrices[..., rows, columns]
    return packed


def unpack(packed: Floats, q: int) -> Floats:
    """Return symmetric matrices, shape (..., q, q), from their upper triangles."""
    rows, columns = _triangle(q)
    matrices = np.empty((*packed.shape[:-1], q, q))
    matrices[..., rows, columns] = packed
    matrices[..., columns, rows] = packed
    return matrices


def n_packed(q: int) -> int:
    """Return the number of elements of a triangle."""
    return q * (q + 1) // 2
