"""Sums: the only thing a site lets out, and their declaration.

A `Schema` says beforehand which arrays one site sends for one ask: shape, bound
and the count of patients behind them. `Sums` are such arrays. They mean something
only when added over sites; they are never weighted by anything.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from math import isfinite, prod
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from common.errors import Reason, Refused

Array = NDArray[Any]
Sums = Mapping[str, Array]

Kind = Literal["count", "real", "weight"]


@dataclass(frozen=True, slots=True)
class Field:
    """One array of the sums.

    Attributes:
        shape: shape at every site, known before any data are touched.
        bound: largest magnitude one site may send; a larger value is refused.
        kind: "count" is a whole number (64 bit on the wire, or 32 where `short`), "real" a
            statistic (128 bit, 2**-64 resolution), "weight" a network's update (64 bit, 2**-32).
        behind: name of the count of patients this array is made of; "" where it is
            such a count itself or is made of public numbers.
        alone: what the gate demands where the reply is of one site alone and so goes out
            in clear. "free": nothing more; "cells": every element counts patients and
            must not lie between 1 and the policy's smallest cell; "never": such an array
            may only leave inside a masked sum.
    """

    shape: tuple[int, ...]
    bound: float
    kind: Kind = "real"
    behind: str = "n"
    alone: Literal["free", "cells", "never"] = "free"

    @property
    def size(self) -> int:
        """Number of elements."""
        return int(prod(self.shape))

    @property
    def short(self) -> bool:
        """Whether these are counts so small, and never negative, that two share a word."""
        return self.kind == "count" and self.bound <= SHORT_BOUND


Schema = Mapping[str, Field]

COUNT_BOUND = float(2**40)
SHORT_BOUND = float(2**21)  # of 1024 sites together it fits into 32 bits
REAL_BOUND = float(2**53)
WEIGHT_BOUND = float(2**21)


def count(*shape: int, behind: str = "") -> Field:
    """Declare counts that tell nothing of a patient, such as the size of the cohort."""
    return Field(shape, COUNT_BOUND, "count", behind)


def cells(*shape: int, behind: str = "") -> Field:
    """Declare counts of patients or events in cells."""
    return Field(shape, COUNT_BOUND, "count", behind, "cells")


def fine_grid(*shape: int, behind: str = "") -> Field:
    """Declare counts on a grid so fine that only a masked sum may carry them."""
    return Field(shape, SHORT_BOUND, "count", behind, "never")


def real(*shape: int, bound: float = REAL_BOUND, behind: str = "n") -> Field:
    """Declare sums of real numbers."""
    return Field(shape, bound, "real", behind)


def weight(*shape: int, bound: float = WEIGHT_BOUND, behind: str = "n") -> Field:
    """Declare a network's update times its number of cases."""
    return Field(shape, bound, "weight", behind)


def conform(sums: Sums, schema: Schema) -> None:
    """Check that `sums` are what `schema` declares: names, shapes, finite, bound.

    Raises:
        Refused: WRONG_SHAPE, NOT_FINITE or OUT_OF_BOUND; the detail names the array.
    """
    if sums.keys() != schema.keys():
        odd = sorted(sums.keys() ^ schema.keys())
        raise Refused(Reason.WRONG_SHAPE, f"arrays sent and declared differ: {odd}")
    for name, field in schema.items():
        _conform_one(name, np.asarray(sums[name]), field)


def magnitude(value: Array) -> float:
    """Return the largest magnitude, 0 of nothing; NaN or infinite where a value is.

    No array is made on the way: a network may be large.
    """
    if not value.size:
        return 0.0
    high, low = float(value.max()), float(value.min())  # NaN is handed on by both
    return max(high, -low) if high == high else high


def _conform_one(name: str, value: Array, field: Field) -> None:
    if value.shape != field.shape:
        detail = f"{name}: expected shape {field.shape}, got {value.shape}"
        raise Refused(Reason.WRONG_SHAPE, detail)
    if value.dtype.kind not in "iufb":
        raise Refused(Reason.WRONG_SHAPE, f"{name}: expected numbers, got {value.dtype}")
    size = magnitude(value)
    if not isfinite(size):
        raise Refused(Reason.NOT_FINITE, f"{name}: NaN or infinite values")
    if size > field.bound:
        raise Refused(Reason.OUT_OF_BOUND, f"{name}: a magnitude above {field.bound:g}")
    if field.short and value.size and value.min() < 0:
        raise Refused(Reason.OUT_OF_BOUND, f"{name}: a count below 0")
    if field.kind == "count" and value.dtype.kind == "f" and (value != np.rint(value)).any():
        raise Refused(Reason.WRONG_SHAPE, f"{name}: expected whole numbers")
