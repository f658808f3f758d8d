"""The logistic family of a LASSO step: its sums at a site and its fits."""

from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np

from common.analyses.analysis import Ask
from common.analyses.design import Scale, with_intercept
from common.analyses.lasso_climb import REACH, Problem, climb_all
from common.analyses.lasso_path import Moments, Shape, lambdas_of, quadratic_path, risen
from common.analyses.logit import probability, weighted_gram
from common.analyses.newton import Ints, n_packed, pack, unpack
from common.analyses.plain import floats, whole
from common.sums import (
    REAL_BOUND,
    WEIGHT_BOUND,
    Array,
    Field,
    Schema,
    Sums,
    cells,
    real,
)
from common.table import Floats

# The start of the path needs the Gram matrix; of more columns than these, only of those
# that tell most of the outcome one by one.
MOST_IN_GRAM = 600
_CHUNK = 64
_BEHIND = "n_patients"
_CONSTANT = 1e-9


@dataclass(frozen=True, slots=True)
class Path:
    """Fits of all lambdas; the first axis is 0 for all cases, k + 1 without fold k.

    Attributes:
        scale: of the columns the coefficients belong to.
        lambdas: shape (L,).
        beta: intercept first, shape (K + 1, L, 1 + p).
        errors: sums of errors in the fold left out, shape (K, L).
        kkt: violation of the conditions of a minimum, shape (K + 1, L).
        sizes: cases in each fold, shape (K,).
    """

    scale: Scale
    lambdas: Floats
    beta: Floats
    errors: Floats
    kkt: Floats
    sizes: Ints


def schema_of(ask: Ask, p: int, folds: int) -> Schema:
    """Return what a site sends for an ask of this family."""
    if ask.phase == "moments":
        each = real(folds, p, behind=_BEHIND)
        return {"classes": cells(folds, 2), "d": each, "d2": each, "dy": each}
    if ask.phase == "gram":
        return {"gram": masked(n_packed(len(ask.arrays["columns"])))}
    n = len(ask.arrays["problems"])
    size = sum(n_packed(1 + int(w)) for w in ask.arrays["sizes"])
    each = real(n, behind=_BEHIND)
    gradient = real(n, 1 + p, behind=_BEHIND)
    return {
        "value": each,
        "held_out": each,
        "gradient": gradient,
        "curvature": _steering(size),
    }


def masked(*shape: int) -> Field:
    """Declare products of many columns, which one site may never show in clear."""
    return Field(shape, REAL_BOUND, "real", _BEHIND, alone="never")


def _steering(*shape: int) -> Field:
    """Declare curvatures: they steer the steps, so 64 bits do; where a fit ends, the
    gradients decide.
    """
    return Field(shape, WEIGHT_BOUND, "weight", _BEHIND, alone="never")


def sums_of(ask: Ask, z: Floats, y: Floats, fold: Ints, shape: tuple[int, int]) -> Sums:
    """Return a site's sums for an ask of this family.

    Args:
        ask: with its phase.
        z: scaled columns, shape (n, p).
        y: outcome, shape (n,).
        fold: of each row, shape (n,).
        shape: number of folds, and of lambdas.
    """
    if ask.phase == "gram":
        chosen = z[:, ask.arrays["columns"].astype(np.int64)]
        return {"gram": pack(chosen.T @ chosen)}
    if ask.phase == "climb":
        return _derivatives(ask, with_intercept(z), y, fold, shape[1])
    within = (fold[:, None] == np.arange(shape[0])).astype(np.float64)
    events = within.T @ y
    return {
        "classes": np.rint(np.column_stack([within.sum(0) - events, events])),
        "d": within.T @ z,
        "d2": within.T @ (z * z),
        "dy": within.T @ (z * y[:, None]),
    }


def _derivatives(ask: Ask, x: Floats, y: Floats, fold: Ints, n_lambdas: int) -> dict[str, Array]:
    left_out = whole(ask.arrays["problems"]) // n_lambdas - 1
    columns = _split(whole(ask.arrays["columns"]), whole(ask.arrays["sizes"]))
    beta = _split(floats(ask.arrays["beta"]), whole(ask.arrays["sizes"]) + 1)
    parts: dict[str, list[Array]] = {}
    for start in range(0, len(left_out), _CHUNK):
        some = range(start, min(start + _CHUNK, len(left_out)))
        dense = np.zeros((x.shape[1], len(some)))
        for i, a in enumerate(some):
            dense[np.concatenate([[0], 1 + columns[a]]), i] = beta[a]
        eta = x @ dense
        likelihood = y[:, None] * eta - np.logaddexp(0.0, eta)
        p, train = probability(eta), fold[:, None] != left_out[some.start : some.stop]
        one = {
            "value": (likelihood * train).sum(0),
            "held_out": (likelihood * ~train).sum(0),
            "gradient": ((y[:, None] - p) * train).T @ x,
        }
        one["curvature"] = _curvatures(x, p * (1.0 - p) * train, columns[start:])
        for name, of in one.items():
            parts.setdefault(name, []).append(of)
    return {name: np.concatenate(of) for name, of in parts.items()}


def _curvatures(x: Floats, weight: Floats, columns: list[Array]) -> Floats:
    packed = []
    for i in range(weight.shape[1]):
        part = x[:, np.concatenate([[0], 1 + columns[i]])]
        packed.append(pack(weighted_gram(part, weight[:, i])))
    return np.concatenate(packed)


def _split(flat: Array, sizes: Ints) -> list[Array]:
    return np.split(flat, np.cumsum(sizes)[:-1])


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
    lambdas = lambdas_of(moments[0].largest_slope, shape)
    starts = [
        _starts(f, moment, _null(moment, classes, f, gram), (lambdas, shape.alpha))
        for f, moment in enumerate(moments)
    ]
    fits: list[list[Problem]] = [[] for _ in moments]
    constants: dict[str, Array] = {"centre": scale.centre, "spread": scale.spread}
    half = (len(lambdas) + 1) // 2
    for n_lambdas in (half, len(lambdas) - half):
        some = [list(islice(problems, n_lambdas)) for problems in starts]
        running = [problem for of_fit in some for problem in of_fit]
        yield from climb_all(running, gram, constants)
        if not all(problem.done for problem in running):
            return "did not converge"
        fits = [before + more for before, more in zip(fits, some, strict=True)]
        path = _path(scale, lambdas, fits, classes.sum(1))
        if risen(path.errors, path.sizes):
            break
    return path


def _moments(rough: Scale, classes: Ints, total: Sums) -> tuple[Scale, list[Moments]]:
    """Return a scale of mean 0 and SD 1 over all cases, and the moments of all fits."""
    d, d2, dy = (floats(total[name]) for name in ("d", "d2", "dy"))
    sizes, events = classes.sum(1), classes[:, 1]
    n = sizes.sum()
    mean = d.sum(0) / n
    sd = sd_of(n, d.sum(0), d2.sum(0))
    safe = np.where(sd > 0, sd, 1.0)
    scale = Scale(rough.centre + rough.spread * mean, rough.spread * safe)
    moments = []
    for k in range(-1, len(sizes)):
        train = np.arange(len(sizes)) != k
        m, share = int(sizes[train].sum()), events[train].sum() / sizes[train].sum()
        sums, own = d[train].sum(0), sd_of(m, d[train].sum(0), d2[train].sum(0))
        slope = (dy[train].sum(0) - share * sums) / safe
        here = np.where(sd > 0, own, 0.0) / safe
        moments.append(Moments(m, (sums / m - mean) / safe, here, slope))
    return scale, moments


def sd_of(n: int, d: Floats, d2: Floats) -> Floats:
    """Return SDs (of n, not n - 1), 0 where nothing but rounding is left."""
    variance = d2 / n - (d / n) ** 2
    return np.sqrt(np.where(variance > _CONSTANT**2, variance, 0.0))


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
        near = (b != 0) | ((slope >= REACH * l1) & known)
        yield Problem(
            number=f * len(lambdas) + i,
            n=moment.n,
            size=moment.n * moment.sd,
            l1=l1,
            l2=l2,
            beta=np.concatenate([[null.intercept - moment.mean @ b], b]),
            reach=np.flatnonzero(near),
        )


def _path(scale: Scale, lambdas: Floats, fits: Sequence[Sequence[Problem]], sizes: Ints) -> Path:
    beta = np.array([[p.beta for p in of_fit] for of_fit in fits])
    kkt = np.array([[p.kkt for p in of_fit] for of_fit in fits])
    held_out = np.array([[p.held_out for p in of_fit] for of_fit in fits])
    reached = lambdas[: beta.shape[1]]
    return Path(scale, reached, beta, -2.0 * held_out[1:], kkt, sizes)
