"""Means and sums of squares of many columns and groups, in two asks.

The first ask has n, the sum and the sum of magnitudes, S; the second, deviations from
the first one's mean (Chan, Golub, LeVeque, Am Stat 37:242, 1983) in units of S / 2**26.
No sum of squares can then leave the wire's fixed point, 2**53, nor does a spread a
millionth of its mean fall below its resolution, 2**-64.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from common.analyses.wide import read_wide, wide_schema, wide_sums
from common.sums import Array, Schema, Sums, count, real
from common.table import Floats

Codes = NDArray[np.int64]

_BITS = 26
_ULPS = 8
_FAR = 1e4  # times the variance: a double then keeps eleven digits of it


@dataclass(frozen=True)
class Spread:
    """Per group and column, shape (n_groups, n_columns).

    Attributes:
        n: number of values.
        origin: one number a column near its means, shape (n_columns,).
        off: the mean less the origin, 0 where there is no value: groups of numbers near 1e6
            differ by 0.1, and a mean as one double has lost six digits of that.
        squares: sum of squared deviations from the mean.
        scale: unit of a column's deviations on the wire, shape (n_columns,).
    """

    n: Floats
    origin: Floats
    off: Floats
    squares: Floats
    scale: Floats

    @property
    def mean(self) -> Floats:
        """Mean; NaN where there is no value."""
        return np.where(self.n > 0, self.origin + self.off, np.nan)

    @property
    def variance(self) -> Floats:
        """With n - 1; NaN below two values."""
        return np.where(self.n > 1, self.squares / np.maximum(self.n - 1, 1), np.nan)

    @property
    def sd(self) -> Floats:
        """Square root of the variance."""
        return np.sqrt(self.variance)

    @property
    def is_lost(self) -> bool:
        """Whether a group's mean lies so far from the origin that its spread is lost in squares.

        Of sums of deviations from one number for all groups; then they are to be asked for
        again, from the group's own mean.
        """
        away = without_rounding(self.n * self.off**2, self.n, self.origin)
        return bool((away > _FAR * self.squares).any())


def totals_schema(n_groups: int, n_columns: int) -> Schema:
    """Declare what `totals` sends."""
    shape = (n_groups, n_columns)
    return {"valid": count(*shape, behind="valid"), **wide_schema("sum", shape, shape)}


def totals(values: Floats, codes: Codes, n_groups: int) -> Sums:
    """Return counts, sums and magnitudes of the values that are there.

    Args:
        values: shape (n, n_columns), NaN where missing.
        codes: group of each row; rows below 0 belong to none.
        n_groups: how many.
    """
    there = ~np.isnan(values)
    filled = np.where(there, values, 0.0)
    sums = by_group(filled, codes, n_groups)
    size = by_group(np.abs(filled), codes, n_groups)
    valid = by_group(there, codes, n_groups).astype(np.int64)
    return {"valid": valid, **wide_sums("sum", sums, size)}


def centre_of(total: Sums) -> dict[str, Floats]:
    """Return the second ask's arrays: mean by group and column, scale by column."""
    n = np.asarray(total["valid"], np.float64)
    sums, size = read_wide("sum", total)
    return {"centre": sums / np.maximum(n, 1), "scale": unit_of(size.sum(axis=0))}


def unit_of(size: Floats) -> Floats:
    """Return the unit in which to send deviations of columns with these magnitudes.

    Args:
        size: sum of magnitudes. No deviation from a mean of the values, nor the root
            of a sum of their squares, can be larger.
    """
    _, exponent = np.frexp(size)
    # A power of two divides without rounding.
    return np.where(size > 0, np.ldexp(1.0, exponent - _BITS), 1.0)


def deviations_schema(n_groups: int, n_columns: int) -> Schema:
    """Declare what `deviations` sends."""
    shape = (n_groups, n_columns)
    return {
        "valid": count(*shape, behind="valid"),
        "d": real(*shape, behind="valid"),
        "d2": real(*shape, behind="valid"),
    }


def deviations(values: Floats, codes: Codes, centre: Floats, scale: Floats) -> Sums:
    """Return sums of deviations from the centre, in units of the scale."""
    n_groups = len(centre)
    there = ~np.isnan(values)
    off = np.zeros_like(values)
    inside = codes >= 0
    off[inside] = (values[inside] - centre[codes[inside]]) / scale
    off = np.where(there, off, 0.0)
    return {
        "valid": by_group(there, codes, n_groups).astype(np.int64),
        "d": by_group(off, codes, n_groups),
        "d2": by_group(off * off, codes, n_groups),
    }


def spread_of(centre: Floats, scale: Floats, total: Sums) -> Spread:
    """Return means and sums of squares from the total of `deviations`."""
    n = np.asarray(total["valid"], np.float64)
    safe = np.maximum(n, 1)
    first = (n > 0).argmax(axis=0)
    origin = np.take_along_axis(centre, first[None], axis=0)[0]
    off = np.where(n > 0, centre - origin + total["d"] / safe * scale, 0.0)
    squares = np.maximum(total["d2"] - total["d"] ** 2 / safe, 0.0) * scale**2
    return Spread(n, origin, off, without_rounding(squares, n, centre), scale)


def without_rounding(squares: Floats, n: Floats, centre: Floats) -> Floats:
    """Return sums of squares, 0 where they are but the rounding of equal numbers."""
    noise = n * (_ULPS * np.finfo(np.float64).eps * np.abs(centre)) ** 2
    return np.where(squares > noise, squares, 0.0)


def by_group(values: Array, codes: Codes, n_groups: int) -> Floats:
    """Return column sums over the rows of each group, shape (n_groups, n_columns)."""
    return np.stack([values[codes == g].sum(axis=0) for g in range(n_groups)]).astype(np.float64)


def together(spread: Spread, groups: NDArray[np.bool_]) -> Spread:
    """Return the spread of some groups as that of one, shape (1, n_columns).

    Args:
        spread: of all groups.
        groups: which of them, shape (n_groups,).
    """
    n, squares, off = spread.n[groups], spread.squares[groups], spread.off[groups]
    total = n.sum(axis=0, keepdims=True)
    middle = (n * off).sum(axis=0, keepdims=True) / np.maximum(total, 1)
    between = without_rounding(n * (off - middle) ** 2, n, spread.origin + middle)
    all_squares = (squares + between).sum(axis=0, keepdims=True)
    return Spread(total, spread.origin, middle, all_squares, spread.scale)
