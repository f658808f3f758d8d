"""The sequence of lambdas of a LASSO, and the choice among them by cross-validation."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from common.analyses.design import Scale
from common.analyses.newton import Bools, Ints
from common.analyses.quadratic_lasso import minimise
from common.table import Floats

_CONSTANT = 1e-9
_TWIN = 1e-10  # what a correlation lacks to 1 where only rounding tells two columns apart
_ABOVE = 1.0 + 1e-12  # so that rounding selects nothing at the first lambda
_LEAST_ALPHA = 1e-3  # with less, no lambda would bring all coefficients to 0


@dataclass(frozen=True, slots=True)
class Shape:
    """What the study file says of the path."""

    alpha: float
    n_lambdas: int
    smallest: float


def lambdas_of(largest_slope: float, shape: Shape) -> Floats:
    """Return lambdas from the one that holds all coefficients at 0 downwards.

    Args:
        largest_slope: of the log-likelihood a case and SD, at the null model.
        shape: number of lambdas, and the last one's share of the first.
    """
    exponent = np.arange(shape.n_lambdas) / (shape.n_lambdas - 1)
    largest_slope *= _ABOVE
    path: Floats = largest_slope / max(shape.alpha, _LEAST_ALPHA) * shape.smallest**exponent
    return path


@dataclass(frozen=True, slots=True)
class Moments:
    """Cases that train one fit, on columns of mean about 0 and SD about 1.

    Attributes:
        n: their number.
        mean: of the columns, shape (p,).
        sd: shape (p,), 0 where constant.
        slope: gradient at the null model, shape (p,).
        twin: an earlier column is the same in another unit, shape (p,).
    """

    n: int
    mean: Floats
    sd: Floats
    slope: Floats
    twin: Bools

    def penalties(self, lambda_: float, alpha: float) -> tuple[Floats, Floats]:
        """Return the penalties on |b_j| and b_j^2 / 2, infinite where b_j is to stay 0.

        Of a constant column, and without a ridge part of a twin: any share of a weight
        between the two would be a minimum, and rounding would choose.
        """
        left_out = (self.sd == 0) | (self.twin if alpha == 1.0 else False)
        l1 = np.where(left_out, np.inf, self.n * lambda_ * alpha * self.sd)
        return l1, self.n * lambda_ * (1.0 - alpha) * self.sd**2

    @property
    def largest_slope(self) -> float:
        """Largest gradient a case and SD."""
        share = np.abs(self.slope) / np.where(self.sd > 0, self.n * self.sd, np.inf)
        return float(share.max(initial=0.0))


def sd_of(n: int, total: Floats, squares: Floats) -> Floats:
    """Return SDs (of n, not n - 1), 0 where nothing but rounding is left."""
    variance = squares / n - (total / n) ** 2
    return np.sqrt(np.where(variance > _CONSTANT**2, variance, 0.0))


def twins(gram: Floats) -> Bools:
    """Return which columns are an earlier one in another unit, shape (p,).

    Args:
        gram: products of centred columns, shape (p, p); zeros for one that is not known.
    """
    size = np.sqrt(np.diagonal(gram))
    unit = np.where(size > 0, size, np.inf)
    alike = np.abs(gram / unit[:, None] / unit) > 1.0 - _TWIN
    return np.asarray(np.tril(alike, -1).any(1))


def quadratic_path(
    moments: Moments, hessian: Floats, lambdas: Floats, alpha: float
) -> Iterator[Floats]:
    """Give the minimum of a quadratic for each lambda, shape (p,)."""
    b = np.zeros(len(moments.slope))
    for lambda_ in lambdas:
        l1, l2 = moments.penalties(float(lambda_), alpha)
        b = minimise(hessian + np.diag(l2), moments.slope, l1, b)
        yield b


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


@dataclass(frozen=True, slots=True)
class Validated:
    """Errors of the folds that were left out.

    Attributes:
        mean: mean error a case, shape (L,).
        se: its standard error, shape (L,).
        best: index of the lambda with the smallest mean.
        sparse: index of the largest lambda within one SE of it.
    """

    mean: Floats
    se: Floats
    best: int
    sparse: int


def validate(errors: Floats, sizes: Ints) -> Validated:
    """Return mean and SE over folds, as glmnet's cv.glmnet computes them.

    Args:
        errors: sums of errors in each fold left out, shape (K, L).
        sizes: cases in each fold, shape (K,).
    """
    share = sizes / sizes.sum()
    each = errors / np.maximum(sizes, 1)[:, None]
    mean = share @ each
    se = np.sqrt(share @ (each - mean) ** 2 / (len(sizes) - 1))
    best = int(np.argmin(mean))
    sparse = int(np.flatnonzero(mean <= mean[best] + se[best])[0])
    return Validated(mean, se, best, sparse)


def risen(errors: Floats, sizes: Ints) -> bool:
    """Return whether the last lambda's error is more than an SE above the least."""
    found = validate(errors, sizes)
    return bool(found.mean[-1] > found.mean[found.best] + found.se[found.best])
