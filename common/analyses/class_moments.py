"""Means and spreads of columns by fold and class, from which those of every fit follow.

Two asks serve all fits: a problem without fold k takes the groups of the other folds. The
first one counts the classes and sums over both of them; the second is posed only if both
have cases enough for a fit, as the sum of a class of one patient is that patient's row.
It is posed again, from the groups' own means, where a class lies so far from the mean of
both that its spread is lost in the squares.
"""

from collections.abc import Generator
from dataclasses import dataclass

import numpy as np

from common.analyses.analysis import Ask
from common.analyses.classifier import Cases, counts_here, counts_schema
from common.analyses.plain import floats
from common.analyses.spread import (
    Spread,
    centre_of,
    deviations,
    deviations_schema,
    spread_of,
    together,
    totals,
    totals_schema,
)
from common.sums import Schema, Sums
from common.table import Floats, Table

PHASES = ("totals", "deviations")


@dataclass(frozen=True)
class ClassMoments:
    """Moments of the cases each problem is fitted on.

    Attributes:
        n: by problem and class, shape (P, 2).
        mean: by problem, class and column, shape (P, 2, p).
        variance: with n, same shape.
        centre: mean of both classes, shape (P, p).
        sd: with n, 0 of a constant column, shape (P, p).
    """

    n: Floats
    mean: Floats
    variance: Floats
    centre: Floats
    sd: Floats

    @property
    def unit(self) -> Floats:
        """Standard deviation, 1 of a constant column, shape (P, p)."""
        return np.where(self.sd > 0, self.sd, 1.0)


def moments_schema(ask: Ask, folds: int, p: int) -> Schema:
    """Declare what `moments_here` sends."""
    if ask.phase == "totals":
        return {**counts_schema(folds), **totals_schema(1, p)}
    return deviations_schema(2 * max(folds, 1), p)


def moments_here(ask: Ask, table: Table, cases: Cases, folds: int) -> Sums:
    """Return a site's counts and totals of all, or deviations by fold and class."""
    if ask.phase == "totals":
        all_ = np.zeros(len(cases.y), np.int64)
        return {**counts_here(table, cases, folds), **totals(cases.x, all_, 1)}
    codes = 2 * cases.fold + cases.y.astype(np.int64)
    centre, scale = floats(ask.arrays["centre"]), floats(ask.arrays["scale"])
    return deviations(cases.x, codes, centre, scale)


def find_moments(first: Sums, folds: int) -> Generator[Ask, Sums, ClassMoments]:
    """Ask for deviations and put the groups together.

    Args:
        first: the total of the ask of phase "totals"; both classes have enough cases.
        folds: K, or 0.
    """
    arrays = centre_of(first)
    arrays["centre"] = np.tile(arrays["centre"], (2 * max(folds, 1), 1))
    total = yield Ask("deviations", {}, arrays)
    groups = spread_of(arrays["centre"], arrays["scale"], total)
    fold, class_ = np.divmod(np.arange(len(groups.n)), 2)
    fits = [fold >= 0, *(fold != k for k in range(folds))]
    if any(together(groups, fit & (class_ == c)).is_lost for fit in fits for c in (0, 1)):
        arrays["centre"] = np.where(groups.n > 0, groups.mean, arrays["centre"])
        total = yield Ask("deviations", {}, arrays)
        groups = spread_of(arrays["centre"], arrays["scale"], total)
    by_class = [[together(groups, fit & (class_ == c)) for c in (0, 1)] for fit in fits]
    both = [together(groups, fit) for fit in fits]
    return ClassMoments(
        np.array([[one.n[0, 0] for one in pair] for pair in by_class]),
        np.array([[one.mean[0] for one in pair] for pair in by_class]),
        np.array([[_variance(one) for one in pair] for pair in by_class]),
        np.array([one.mean[0] for one in both]),
        np.sqrt(np.array([_variance(one) for one in both])),
    )


def _variance(spread: Spread) -> Floats:
    variance: Floats = spread.squares[0] / np.maximum(spread.n[0], 1)
    return variance
