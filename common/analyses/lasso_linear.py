"""The linear family of a LASSO step: one Gram matrix a fold says everything."""

from collections.abc import Generator
from dataclasses import replace

import numpy as np

from common.analyses.analysis import Ask
from common.analyses.design import Scale
from common.analyses.lasso_path import (
    Moments,
    Path,
    Shape,
    lambdas_of,
    quadratic_path,
    sd_of,
    twins,
)
from common.analyses.lasso_sums import masked
from common.analyses.newton import Ints, n_packed, pack, unpack
from common.analyses.plain import floats
from common.sums import Schema, Sums
from common.table import Floats


def schema_of(p: int, folds: int) -> Schema:
    """Return the Gram matrices of 1, columns and outcome, one a fold."""
    return {"grams": masked(folds, n_packed(2 + p))}


def sums_of(z: Floats, y: Floats, fold: Ints, folds: int) -> Sums:
    """Return a site's Gram matrices.

    Args:
        z: scaled columns, shape (n, p).
        y: scaled outcome, shape (n,).
        fold: of each row, shape (n,).
        folds: their number.
    """
    rows = np.column_stack([np.ones(len(z)), z, y])
    each = [rows[fold == k] for k in range(folds)]
    return {"grams": np.array([pack(part.T @ part) for part in each])}


def fit_path(scale: Scale, outcome: Scale, shape: Shape) -> Generator[Ask, Sums, Path | str]:
    """Fit all lambdas and folds; a text instead where that is impossible."""
    arrays = {
        "centre": scale.centre,
        "spread": scale.spread,
        "outcome": np.concatenate([outcome.centre, outcome.spread]),
    }
    total = yield Ask("grams", {}, arrays)
    grams = unpack(floats(total["grams"]), 2 + len(scale.centre))
    unit = np.append(np.ones(1 + len(scale.centre)), outcome.spread)
    grams *= unit[:, None] * unit
    whole = grams.sum(0)
    moments: list[Moments] = []
    hessians: list[Floats] = []
    for k in range(-1, len(grams)):
        moment, hessian = _centred(whole - grams[k] if k >= 0 else whole)
        # The same in every fit, so that folds are of one model.
        twin = moments[0].twin if moments else twins(hessian)
        moments.append(replace(moment, twin=twin))
        hessians.append(hessian)
    if not moments[0].largest_slope:
        return "no column varies with the outcome"
    lambdas = lambdas_of(moments[0].largest_slope, shape)
    beta = np.array(
        [
            [_with_intercept(b, m, g) for b in quadratic_path(m, h, lambdas, shape.alpha)]
            for m, h, g in zip(moments, hessians, _means(whole, grams), strict=True)
        ]
    )
    kkt = _violations(moments, hessians, beta, (lambdas, shape.alpha))
    errors, sizes = _errors(grams, beta[1:]), np.rint(grams[:, 0, 0]).astype(np.int64)
    beta[..., 0] += outcome.centre[0]
    return Path(scale, lambdas, beta, errors, kkt, sizes)


def _means(whole: Floats, grams: Floats) -> list[float]:
    """Return the mean outcome of each fit's cases."""
    trains = [whole, *(whole - gram for gram in grams)]
    return [float(train[0, -1] / train[0, 0]) for train in trains]


def _centred(gram: Floats) -> tuple[Moments, Floats]:
    """Return the moments of some cases and the Gram matrix about their means."""
    n = gram[0, 0]
    about = gram[1:, 1:] - np.outer(gram[0, 1:], gram[0, 1:]) / n
    mean = gram[0, 1:-1] / n
    sd = sd_of(n, gram[0, 1:-1], np.diagonal(gram)[1:-1])
    none = np.zeros(len(sd), bool)
    return Moments(round(n), mean, sd, about[:-1, -1], none), about[:-1, :-1]


def _with_intercept(b: Floats, moments: Moments, mean: float) -> Floats:
    return np.concatenate([[mean - moments.mean @ b], b])


def _errors(grams: Floats, beta: Floats) -> Floats:
    """Return squared errors in each fold left out, shape (K, L)."""
    ones = np.ones((*beta.shape[:-1], 1))
    residual = np.concatenate([-beta, ones], axis=-1)
    errors: Floats = np.einsum("kli,kij,klj->kl", residual, grams, residual)
    return errors


def _violations(
    moments: list[Moments],
    hessians: list[Floats],
    beta: Floats,
    path: tuple[Floats, float],
) -> Floats:
    """Return how far each fit is from the conditions of a minimum, shape (K + 1, L)."""
    lambdas, alpha = path
    off = np.zeros(beta.shape[:2])
    for f, (moment, hessian) in enumerate(zip(moments, hessians, strict=True)):
        for i, lambda_ in enumerate(lambdas):
            b = beta[f, i, 1:]
            l1, l2 = moment.penalties(float(lambda_), alpha)
            slope = np.abs(moment.slope - hessian @ b - l2 * b)
            size = np.where(moment.sd > 0, moment.n * moment.sd, np.inf)
            excess = np.where(b != 0, np.abs(slope - l1), np.maximum(slope - l1, 0.0))
            off[f, i] = np.where(np.isfinite(size), excess / size, 0.0).max()
    return off
