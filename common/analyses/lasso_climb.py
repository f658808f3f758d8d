"""Proximal Newton for logistic LASSO problems, all lambdas and folds side by side.

Lee, Sun, Saunders, SIAM J Optim 24:1420 (2014): each round every problem sends gradient
on all columns and curvature on the columns in its reach; the coordinator minimises the
quadratic plus penalty exactly and asks at the minimum next. A step that does not lower
the objective is halved. A problem ends when the Karush-Kuhn-Tucker conditions hold on
all columns.
"""

from collections.abc import Generator, Sequence
from dataclasses import dataclass, field

import numpy as np

from common.analyses.analysis import Ask
from common.analyses.newton import Bools, Ints, n_packed, unpack
from common.analyses.plain import floats
from common.analyses.quadratic_lasso import minimise
from common.sums import Array, Sums
from common.table import Floats

MOST_ROUNDS = 40
KKT = 1e-9  # of the gradient a case and standard deviation; lambda has this unit
# A column is in reach if its gradient is expected to be at least this share of its
# penalty; of more than the model's own number and some, the nearest.
_NEAR = 0.9
_SOME = 20
# Keep a curvature of more columns than cases solvable, a share of it and more than it is
# rounded by on the wire; only steps depend on them.
_LIFT = 1e-9
_BLUR = 2.0**-26
_LONGEST = 1e4  # a step, in log odds a standard deviation; what is beyond no site could sum


@dataclass
class Problem:
    """One lambda without one fold, on columns of mean 0 and SD 1 over all cases.

    Attributes:
        number: its place among all problems of the step.
        n: cases that train it.
        size: n sd_j of each column among them, shape (p,).
        l1: penalty on |b_j|, infinite for a constant column; shape (p,).
        l2: penalty on b_j^2 / 2, shape (p,).
        beta: coefficients, intercept first, shape (1 + p,).
        reach: columns whose curvature is asked for, shape (w,).
        kkt: largest violation at `asked`, on all columns, in units of lambda.
        held_out: log-likelihood of the fold left out there.
    """

    number: int
    n: int
    size: Floats
    l1: Floats
    l2: Floats
    beta: Floats
    reach: Ints
    asked: Floats = field(default_factory=lambda: np.zeros(0))
    objective: float = np.inf
    kkt: float = np.inf
    held_out: float = 0.0
    done: bool = False

    def penalty(self, beta: Floats) -> float:
        """Return the penalty at some coefficients."""
        b = beta[1:]
        l1 = np.where(b != 0, self.l1, 0.0)
        return float((l1 * np.abs(b)).sum() + (self.l2 * b * b).sum() / 2.0)


@dataclass(frozen=True, slots=True)
class Around:
    """What the sites told of a problem where it was asked."""

    value: float
    held_out: float
    gradient: Floats
    curvature: Floats


def climb_all(
    problems: Sequence[Problem], gram: Floats, constants: dict[str, Array]
) -> Generator[Ask, Sums, int]:
    """Bring every problem to its minimum.

    Args:
        problems: with a start each; changed in place.
        gram: of all cases on centred columns, only to foresee gradients; (p, p).
        constants: arrays every ask carries.

    Returns:
        The number of rounds.
    """
    for problem in problems:
        problem.asked = problem.beta
    for round_ in range(MOST_ROUNDS):
        running = [p for p in problems if not p.done]
        if not running:
            return round_
        total = yield Ask("climb", {}, {**constants, **arrays_of(running)})
        for problem, around in zip(running, _read(running, total), strict=True):
            _advance(problem, around, gram)
    return MOST_ROUNDS


def arrays_of(running: Sequence[Problem]) -> dict[str, Array]:
    """Return problems, the columns in their reach and the coefficients there."""
    sizes = np.array([len(p.reach) for p in running], np.int64)
    beta = [np.concatenate([p.asked[:1], p.asked[1 + p.reach]]) for p in running]
    return {
        "problems": np.array([p.number for p in running], np.int64),
        "sizes": sizes,
        "columns": np.concatenate([p.reach for p in running]),
        "beta": np.concatenate(beta),
    }


def _read(running: Sequence[Problem], total: Sums) -> list[Around]:
    value, held_out = floats(total["value"]), floats(total["held_out"])
    gradient, packed = floats(total["gradient"]), floats(total["curvature"])
    around, start = [], 0
    for i, problem in enumerate(running):
        q = 1 + len(problem.reach)
        end = start + n_packed(q)
        curvature = unpack(packed[start:end], q)
        around.append(Around(value[i], held_out[i], gradient[i], curvature))
        start = end
    return around


def _advance(problem: Problem, around: Around, gram: Floats) -> None:
    """Accept or halve the last step, then take the next one or end."""
    objective = problem.penalty(problem.asked) - around.value
    slack = 1e-13 * (1.0 + abs(objective))
    if objective > problem.objective + slack:
        problem.asked = (problem.asked + problem.beta) / 2.0
        problem.reach = np.union1d(problem.reach, np.flatnonzero(problem.asked[1:]))
        return
    problem.beta, problem.objective = problem.asked, objective
    problem.held_out = around.held_out
    problem.kkt = _violation(problem, around.gradient)
    new = _minimum(problem, around)
    if problem.kkt <= KKT:
        problem.beta, problem.done = new, True  # the last step costs no round
        return
    problem.asked = new
    problem.reach = _reach(problem, around, gram)


def _violation(problem: Problem, gradient: Floats) -> float:
    """Return how far the conditions of a minimum are from holding, on all columns."""
    b, slope = problem.beta[1:], gradient[1:] - problem.l2 * problem.beta[1:]
    usable = np.isfinite(problem.l1)
    l1 = np.where(usable, problem.l1, 0.0)
    off = np.where(b != 0, np.abs(slope - l1 * np.sign(b)), np.abs(slope) - l1)
    off = np.where(usable, np.maximum(off, 0.0), 0.0) / np.where(usable, problem.size, 1.0)
    return float(max(off.max(initial=0.0), abs(gradient[0]) / problem.n))


def _minimum(problem: Problem, around: Around) -> Floats:
    """Return the minimum of the quadratic around the last point, within reach."""
    reach = problem.reach
    place = np.concatenate([[0], 1 + reach])
    old = problem.beta[place]
    l1 = np.concatenate([[0.0], problem.l1[reach]])
    l2 = np.concatenate([[0.0], problem.l2[reach]])
    unit = np.eye(len(place))
    curvature = around.curvature * (1.0 + _LIFT * unit) + _BLUR * unit
    target = around.gradient[place] + curvature @ old
    new = np.zeros_like(problem.beta)
    move = minimise(curvature + np.diag(l2), target, l1, old) - old
    new[place] = old + move * min(1.0, _LONGEST / max(float(np.abs(move).max()), 1.0))
    return new


def _reach(problem: Problem, around: Around, gram: Floats) -> Ints:
    """Return the columns that matter at the next point: not 0 there, or nearly so."""
    move = problem.asked[1:] - problem.beta[1:]
    moved = np.flatnonzero(move)
    weight = around.curvature[0, 0] / max(problem.n, 1)
    foreseen = around.gradient[1:] - weight * (gram[:, moved] @ move[moved])
    place = np.concatenate([[0], 1 + problem.reach])
    known = around.curvature @ (problem.asked - problem.beta)[place]
    foreseen[problem.reach] = around.gradient[1 + problem.reach] - known[1:]
    inside = problem.asked[1:] != 0
    return within_reach(inside, np.abs(foreseen), problem.l1)


def within_reach(inside: Bools, slope: Floats, l1: Floats) -> Ints:
    """Return the columns inside a model and the nearest others, not many more than they.

    Args:
        inside: the coefficient is not 0, shape (p,).
        slope: size of the gradient, shape (p,).
        l1: penalty, shape (p,).
    """
    share = np.divide(slope, l1, out=np.full_like(slope, np.inf), where=l1 > 0)
    nearest = np.argsort(np.where(inside, -np.inf, -share), kind="stable")
    some = nearest[: inside.sum() + _SOME]
    near = some[(share[some] >= _NEAR) & ~inside[some]]
    return np.sort(np.concatenate([np.flatnonzero(inside), near]))
