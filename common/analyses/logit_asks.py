"""The asks of a logistic likelihood, plain or penalised, and the reading of totals.

The sites' half is `logit_sums`; what else they need to know, such as the scale of
columns, `at` adds to the arrays of an ask.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np

from common.analyses.analysis import Ask
from common.analyses.firth import (
    bending,
    firth,
    n_third,
    pack_third,
    third_derivatives,
    totals_of,
)
from common.analyses.logit import derivatives, separation
from common.analyses.newton import (
    Bools,
    Local,
    Point,
    independent,
    inverse_of,
    n_packed,
    pack,
    unpack,
)
from common.analyses.plain import floats
from common.sums import Array, Schema, Sums, real
from common.table import Floats

At: TypeAlias = Callable[[Point], Mapping[str, Array]]
_BEHIND = "n_patients"


def logit_schema(ask: Ask) -> Schema:
    """Return the derivatives of the problems an ask names by their coefficients."""
    n, q = ask.arrays["beta"].shape
    triangle = real(n, n_packed(q), behind=_BEHIND)
    each = real(n, behind=_BEHIND)
    schema = {"value": each, "gradient": real(n, q, behind=_BEHIND)}
    if ask.phase == "firth":
        third = real(n, n_third(q), behind=_BEHIND)
        return {**schema, "curvature": triangle, "third": third, "bend": triangle}
    return {**schema, "curvature": triangle, "against": each, "along": each}


def logit_sums(ask: Ask, x: Floats, y: Floats, which: slice) -> dict[str, Array]:
    """Return those derivatives at a site.

    Args:
        ask: with the coefficients, and a step or an inverse.
        x: the designs of these problems, shape (A, n, q); a row of zeros is nobody.
        y: outcome, shape (n,).
        which: these problems among those of the ask.
    """
    beta = floats(ask.arrays["beta"])[which]
    value, gradient, curvature = derivatives(x, y, beta)
    sums: dict[str, Array] = {"value": value, "gradient": gradient}
    sums["curvature"] = pack(curvature)
    if ask.phase == "firth":
        inverse = unpack(floats(ask.arrays["inverse"])[which], x.shape[-1])
        sums["third"] = pack_third(third_derivatives(x, beta))
        sums["bend"] = pack(bending(x, beta, inverse))
    else:
        step = floats(ask.arrays["step"])[which]
        sums["against"], sums["along"] = separation(x, y, step)
    return sums


@dataclass
class Likelihood:
    """The plain likelihood, or with a ridge; asks the sites and reads their totals.

    Attributes:
        weight: p (1 - p) of each problem's start, where all cases have the same.
        gram: X'X of each problem, from the first round, shape (M, q, q).
    """

    at: At
    ridge: float
    weight: Floats
    gram: Floats = field(default_factory=lambda: np.zeros(0))

    def ask(self, point: Point) -> Ask:
        """Return the question at a point."""
        return Ask("climb", {}, {**self.at(point), "step": point.step})

    def read(self, point: Point, total: Sums) -> Local:
        """Return the totals, penalised where there is a ridge."""
        totals = totals_of(total, point.beta.shape[1])
        if not self.gram.size:
            self.gram = totals.curvature / self.weight[:, None, None]
        if not self.ridge:
            against, along = floats(total["against"]), floats(total["along"])
            return Local(totals.value, totals.gradient, totals.curvature, against, along)
        penalty = self.ridge * variances(self.gram[point.problems])
        return Local(
            totals.value - (penalty * point.beta**2).sum(1) / 2.0,
            totals.gradient - penalty * point.beta,
            totals.curvature + penalty[:, :, None] * np.eye(penalty.shape[1]),
        )


def variances(gram: Floats) -> Floats:
    """Return the variance of each column from X'X, zero for the intercept's."""
    n = gram[:, 0, 0, None]
    diagonal = np.einsum("mii->mi", gram)
    variance: Floats = np.maximum(diagonal / n - (gram[:, 0] / n) ** 2, 0.0)
    return variance


@dataclass
class Penalised:
    """Firth's likelihood of models with the columns `used`, shape (M, q).

    Attributes:
        inverse: of the curvature where it was last evaluated, shape (M, q, q).
        begun: `used` is known to hold no constant or collinear columns.
    """

    at: At
    used: Bools
    inverse: Floats
    begun: bool = False

    def ask(self, point: Point) -> Ask:
        """Return the question at a point, with the inverse of the round before."""
        inverse = pack(self.inverse[point.problems])
        return Ask("firth", {}, {**self.at(point), "inverse": inverse})

    def read(self, point: Point, total: Sums) -> Local:
        """Return penalised likelihood and derivatives."""
        totals = totals_of(total, point.beta.shape[1])
        if not self.begun:
            self.used &= independent(totals.curvature, self.used)
            self.begun = True
        used = self.used[point.problems]
        inverse = inverse_of(totals.curvature, used)
        self.inverse[point.problems] = inverse
        return firth(totals, inverse, used)
