"""The logistic family of a LASSO step: what the coordinator asks and concludes."""

from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice

import numpy as np

from common.analyses.analysis import Ask
from common.analyses.design import Scale
from common.analyses.lasso_climb import Problem, climb_all, within_reach
from common.analyses.lasso_path import (
    Moments,
    Path,
    Shape,
    lambdas_of,
    quadratic_path,
    risen,
    sd_of,
    twins,
)
from common.analyses.newton import Ints, unpack
from common.analyses.plain import floats, whole
from common.sums import Array, Sums
from common.table import Floats

# The start of the path needs the Gram matrix; of more columns than these, only of those
# that tell most of the outcome one by one.
MOST_IN_GRAM = 600


def fit_path(scale: Scale, shape: Shape) -> Generator[Ask, Sums, Path | str]:
    """Fit lambdas and folds, the larger lambdas first; or say why that is impossible.

    The smaller half of the lambdas is left out where the error has already risen by more
    than a standard error above its least.
    """
    total = yield Ask("moments", {}, {"centre": scale.centre, "spread": scale.spread})
    classes = whole(total["classes"])
    if ((classes.sum(0) - classes) == 0).any():
        return "a fold holds all cases of one class: choose fewer folds"
    scale, moments = _moments(scale, classes, total)
    if not moments[0].largest_slope:
        return "no column varies"
    gram = yield from _gram(scale, moments)
    moments = [replace(moment, twin=twins(gram)) for moment in moments]
    lambdas = lambdas_of(moments[0].largest_slope, shape)
    starts = [
        _starts(f, moment, _null(moment, classes, f, gram), (lambdas, shape.alpha))
        for f, moment in enumerate(moments)
    ]
    constants: dict[str, Array] = {"centre": scale.centre, "spread": scale.spread}
    fits: list[list[Problem]] = [[] for _ in moments]
    half, sizes = (len(lambdas) + 1) // 2, classes.sum(1)
    while len(fits[0]) < len(lambdas):
        some = [list(islice(problems, half)) for problems in starts]
        running = [problem for of_fit in some for problem in of_fit]
        yield from climb_all(running, gram, constants)
        if not all(problem.done for problem in running):
            return "did not converge"
        fits = [before + more for before, more in zip(fits, some, strict=True)]
        if risen(_errors(fits), sizes):
            break
    return _path(scale, lambdas, fits, sizes)


def _moments(rough: Scale, classes: Ints, total: Sums) -> tuple[Scale, list[Moments]]:
    """Return a scale of mean 0 and SD 1 over all cases, and the moments of all fits."""
    d, d2, dy = (floats(total[name]) for name in ("d", "d2", "dy"))
    sizes, events = classes.sum(1), classes[:, 1]
    n = sizes.sum()
    mean = d.sum(0) / n
    sd = sd_of(n, d.sum(0), d2.sum(0))
    safe = np.where(sd > 0, sd, 1.0)
    # A column left out has an infinite spread, and is 0 for all.
    unit = np.where(np.isfinite(rough.spread), rough.spread, 0.0)
    scale = Scale(rough.centre + unit * mean, rough.spread * safe)
    moments = []
    for k in range(-1, len(sizes)):
        train = np.arange(len(sizes)) != k
        m, share = int(sizes[train].sum()), events[train].sum() / sizes[train].sum()
        sums, own = d[train].sum(0), sd_of(m, d[train].sum(0), d2[train].sum(0))
        slope = (dy[train].sum(0) - share * sums) / safe
        here = np.where(sd > 0, own, 0.0) / safe
        none = np.zeros(len(sd), bool)
        moments.append(Moments(m, (sums / m - mean) / safe, here, slope, none))
    return scale, moments


def _gram(scale: Scale, moments: list[Moments]) -> Generator[Ask, Sums, Floats]:
    """Return Z'Z of all cases, zero for columns beyond the most telling ones."""
    p = len(scale.centre)
    telling = np.abs(np.array([m.slope for m in moments])).max(0)
    chosen = np.sort(np.argsort(-telling, kind="stable")[:MOST_IN_GRAM])
    arrays = {"centre": scale.centre, "spread": scale.spread, "columns": chosen}
    total = yield Ask("gram", {}, arrays)
    gram = np.zeros((p, p))
    gram[np.ix_(chosen, chosen)] = unpack(floats(total["gram"]), len(chosen))
    return gram


@dataclass(frozen=True, slots=True)
class Null:
    """The model without columns: its intercept, and a quadratic around it."""

    intercept: float
    hessian: Floats


def _null(moment: Moments, classes: Ints, f: int, gram: Floats) -> Null:
    """Return it for the cases of fit f, with the Gram matrix of all cases' shape."""
    none, events = classes.sum(0) - (classes[f - 1] if f else 0)
    share = events / (none + events)
    n = classes.sum()
    hessian = share * (1.0 - share) * moment.n / n * gram
    return Null(float(np.log(share / (1.0 - share))), hessian)


def _starts(f: int, moment: Moments, null: Null, path: tuple[Floats, float]) -> Iterator[Problem]:
    """Give a fit's problems, each at the minimum of the quadratic."""
    lambdas, alpha = path
    known = np.diagonal(null.hessian) > 0
    for i, b in enumerate(quadratic_path(moment, null.hessian, lambdas, alpha)):
        l1, l2 = moment.penalties(float(lambdas[i]), alpha)
        slope = np.abs(moment.slope - null.hessian @ b)
        reach = within_reach(b != 0, np.where(known, slope, -1.0), l1)
        yield Problem(
            number=f * len(lambdas) + i,
            n=moment.n,
            size=moment.n * moment.sd,
            l1=l1,
            l2=l2,
            beta=np.concatenate([[null.intercept - moment.mean @ b], b]),
            reach=reach,
        )


def _errors(fits: Sequence[Sequence[Problem]]) -> Floats:
    """Return the deviance of each fold left out, shape (K, L)."""
    return -2.0 * np.array([[p.held_out for p in of_fit] for of_fit in fits[1:]])


def _path(scale: Scale, lambdas: Floats, fits: Sequence[Sequence[Problem]], sizes: Ints) -> Path:
    beta = np.array([[p.beta for p in of_fit] for of_fit in fits])
    kkt = np.array([[p.kkt for p in of_fit] for of_fit in fits])
    return Path(scale, lambdas[: beta.shape[1]], beta, _errors(fits), kkt, sizes)
