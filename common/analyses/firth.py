"""Firth's penalised logistic likelihood, of which a maximum exists under separation.

l(b) + log|X'WX| / 2 (Firth, Biometrika 80:27, 1993; Heinze, Schemper, Stat Med 21:2409,
2002). Its gradient needs the sums T_rjk = sum_i w_i' x_ir x_ij x_ik beside X'WX; with
them one round is one iteration. The remaining second derivative of the penalty rides
along with the inverse of the round before, which changes how fast the iteration ends,
not where.
"""

from dataclasses import dataclass

import numpy as np

from common.analyses.logit import predictor, probability, weighted_gram
from common.analyses.newton import Bools, Ints, Local, unpack
from common.analyses.plain import floats
from common.sums import Sums
from common.table import Floats


def n_third(q: int) -> int:
    """Return the number of distinct elements of a symmetric (q, q, q) array."""
    return q * (q + 1) * (q + 2) // 6


def pack_third(third: Floats) -> Floats:
    """Return the distinct elements of symmetric arrays, shape (..., n_third(q))."""
    i, j, k = _third_index(third.shape[-1])
    packed: Floats = third[..., i, j, k]
    return packed


def unpack_third(packed: Floats, q: int) -> Floats:
    """Return symmetric arrays, shape (..., q, q, q), from their distinct elements."""
    third = np.empty((*packed.shape[:-1], q, q, q))
    i, j, k = _third_index(q)
    for a, b, c in ((i, j, k), (i, k, j), (j, i, k), (j, k, i), (k, i, j), (k, j, i)):
        third[..., a, b, c] = packed
    return third


def _third_index(q: int) -> tuple[Ints, ...]:
    i, j, k = np.indices((q, q, q)).reshape(3, -1)
    keep = (i <= j) & (j <= k)
    return i[keep], j[keep], k[keep]


def third_derivatives(x: Floats, beta: Floats) -> Floats:
    """Return T, the derivative of the curvature, shape (..., q, q, q)."""
    p = probability(predictor(x, beta))
    slope = p * (1.0 - p) * (1.0 - 2.0 * p)
    q = x.shape[-1]
    return np.stack([weighted_gram(x, slope * x[..., r]) for r in range(q)], axis=-3)


def bending(x: Floats, beta: Floats, inverse: Floats) -> Floats:
    """Return sum_i w_i'' (x_i' inverse x_i) x_i x_i', shape (..., q, q)."""
    p = probability(predictor(x, beta))
    w = p * (1.0 - p)
    leverage = np.einsum("...ij,...ij->...i", x @ inverse, x)
    return weighted_gram(x, w * (1.0 - 6.0 * w) * leverage)


@dataclass(frozen=True, slots=True)
class Totals:
    """Sums over all sites; shapes (A, ...) as the functions above return."""

    value: Floats
    gradient: Floats
    curvature: Floats
    third: Floats
    bend: Floats


def totals_of(total: Sums, q: int) -> Totals:
    """Return the totals of a round, unpacked; a plain likelihood's have no third."""
    empty = np.zeros((0, 0))
    third, bend = (floats(total.get(k, empty)) for k in ("third", "bend"))
    return Totals(
        floats(total["value"]),
        floats(total["gradient"]),
        unpack(floats(total["curvature"]), q),
        unpack_third(third, q) if third.size else third,
        unpack(bend, q) if bend.size else bend,
    )


def firth(totals: Totals, inverse: Floats, used: Bools) -> Local:
    """Return penalised likelihood and derivatives of problems, shapes (A, ...).

    Args:
        totals: of the plain likelihood.
        inverse: of their curvature on the columns used.
        used: columns in the model, whose information makes the penalty.
    """
    both = used[:, :, None] & used[:, None, :]
    information = np.where(both, totals.curvature, 0.0) + _unit(~used)
    sign, logdet = np.linalg.slogdet(information)
    value = np.where(sign > 0, totals.value + logdet / 2.0, -np.inf)
    gradient = totals.gradient + np.einsum("mjk,mrjk->mr", inverse, totals.third) / 2.0
    turned = np.einsum("mij,mrjk->mrik", inverse, totals.third)
    product = np.einsum("mrik,mski->mrs", turned, turned)
    gradient = np.where(used, gradient, 0.0)
    curvature = totals.curvature - np.where(both, totals.bend - product, 0.0) / 2.0
    return Local(value, gradient, _positive(curvature, totals.curvature, used))


def _unit(unused: Bools) -> Floats:
    return np.eye(unused.shape[1]) * unused[:, :, None]


def _positive(curvature: Floats, fallback: Floats, used: Bools) -> Floats:
    """Return the curvature where it is safely positive, else the fallback."""
    size = np.sqrt(np.where(used, np.einsum("mii->mi", fallback), 1.0))
    scaled = curvature / (size[:, :, None] * size[:, None, :])
    both = used[:, :, None] & used[:, None, :]
    scaled = np.where(both, scaled, 0.0) + _unit(~used)
    plain = fallback / (size[:, :, None] * size[:, None, :])
    plain = np.where(both, plain, 0.0) + _unit(~used)
    low, least = np.linalg.eigvalsh(scaled)[:, 0], np.linalg.eigvalsh(plain)[:, 0]
    return np.where((low > 0.1 * least)[:, None, None], curvature, fallback)
