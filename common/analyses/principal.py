"""Leading principal components of many problems by two sums, without a Gram matrix.

Random subspace and one power step (Halko, Martinsson, Tropp, SIAM Rev 53:217, 2011):
p numbers a direction travel in place of p (p + 1) / 2, and no products of all columns.
Good enough to start from; not a principal component analysis to print.
"""

from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from common.analyses.analysis import Ask
from common.analyses.lasso_sums import masked
from common.analyses.plain import floats
from common.seeds import numpy_rng
from common.sums import Array, Schema, Sums
from common.table import Floats

_DIRECTIONS = 10


@dataclass(frozen=True)
class Components:
    """By problem, largest variance first.

    Attributes:
        directions: unit vectors, shape (P, p, b); their largest loading is positive.
        variances: along them, shape (P, b).
    """

    directions: Floats
    variances: Floats


def sketch_schema(ask: Ask) -> Schema:
    """Declare Z'Z times the block of an ask."""
    return {"sketch": masked(*ask.arrays["block"].shape)}


def sketch_here(ask: Ask, points: Sequence[Floats]) -> Sums:
    """Return a site's Z'(Z B) of each problem, from its standardised rows Z, (n, p)."""
    block = floats(ask.arrays["block"])
    return {"sketch": np.stack([z.T @ (z @ b) for z, b in zip(points, block, strict=True)])}


def find_components(
    cases: Floats, p: int, seed: int, sent: Mapping[str, Array]
) -> Generator[Ask, Sums, Components]:
    """Find up to ten components of each problem, in 2 rounds.

    Args:
        cases: of each problem, shape (P,).
        p: number of columns.
        seed: of the first, random block.
        sent: further arrays of every ask, such as means and spreads.
    """
    width = min(p, _DIRECTIONS)
    start = np.linalg.qr(numpy_rng(seed, "components").standard_normal((p, width)))[0]
    block = np.broadcast_to(start, (len(cases), p, width)).copy()
    total = yield Ask("sketch", {}, {**sent, "block": block})
    block = np.linalg.qr(floats(total["sketch"]))[0]
    total = yield Ask("sketch", {}, {**sent, "block": block})
    small = np.swapaxes(block, 1, 2) @ floats(total["sketch"])
    values, vectors = np.linalg.eigh((small + np.swapaxes(small, 1, 2)) / 2)
    directions = (block @ vectors)[:, :, ::-1]
    largest = np.abs(directions).argmax(axis=1)
    sign = np.sign(np.take_along_axis(directions, largest[:, None], axis=1))
    variances = np.maximum(values[:, ::-1], 0.0) / cases[:, None]
    return Components(directions * np.where(sign == 0, 1.0, sign), variances)
