"""Sums of columns of any magnitude on a wire of fixed point.

The wire ends at 2**53 and resolves 2**-64; a radiomic energy sums to 1e17, a rate to
1e-7. So a sum travels twice, as it is and in units of 2**60, and the coordinator reads
the one that cannot have overflowed at any site.
"""

import numpy as np

from common.analyses.plain import floats
from common.sums import Schema, Sums, real
from common.table import Floats

_UNIT = 2.0**60
_LARGEST = 2.0**52


def wide_schema(
    name: str, shape: tuple[int, ...], size_shape: tuple[int, ...], behind: str = "valid"
) -> Schema:
    """Declare what `wide_sums` sends, made of the patients of a count."""
    signed, size = real(*shape, behind=behind), real(*size_shape, behind=behind)
    return {
        name: signed,
        f"{name}_high": signed,
        f"{name}_size": size,
        f"{name}_size_high": size,
    }


def wide_sums(name: str, sums: Floats, size: Floats) -> Sums:
    """Return sums of columns, shape (..., p), and of their magnitudes, twice."""
    fits = _by_column(size) < _LARGEST
    return {
        name: np.where(fits, sums, 0.0),
        f"{name}_high": sums / _UNIT,
        f"{name}_size": np.where(fits, size, 0.0),
        f"{name}_size_high": size / _UNIT,
    }


def read_wide(name: str, total: Sums) -> tuple[Floats, Floats]:
    """Return sums and magnitudes from a total of `wide_sums`."""
    high, size_high = floats(total[f"{name}_high"]), floats(total[f"{name}_size_high"])
    # Every site's part is smaller than the total of magnitudes.
    fits = _by_column(size_high) * _UNIT < _LARGEST / 2
    return (
        np.where(fits, total[name], high * _UNIT),
        np.where(fits, total[f"{name}_size"], size_high * _UNIT),
    )


def _by_column(size: Floats) -> Floats:
    by_column: Floats = size.sum(axis=tuple(range(size.ndim - 1)))
    return by_column
