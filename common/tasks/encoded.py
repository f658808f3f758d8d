"""Clinical columns as numbers that a network can take: indicators, and one scale."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import nan
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from common.cohort import Column
from common.sums import Array, Sums

Floats = NDArray[np.float64]

_SMALLEST = 1e-6


@dataclass(frozen=True, slots=True)
class Term:
    """One number of a case.

    Attributes:
        column: where it comes from.
        level: of a category, the level it indicates; None for a number.
        origin: that sums are taken about, so that they keep their digits.
        half: half of the declared range; None where there is none.
    """

    column: str
    level: int | None
    origin: float
    half: float | None


@dataclass(frozen=True, slots=True)
class Encoding:
    """How a case's columns become numbers."""

    terms: tuple[Term, ...]

    @property
    def size(self) -> int:
        """Number of numbers."""
        return len(self.terms)

    @property
    def origin(self) -> Floats:
        """What sums are taken about."""
        return np.array([term.origin for term in self.terms])

    def row(self, values: Mapping[str, float]) -> Floats:
        """Return a case's numbers, shape (size,); NaN where its column is missing."""
        return np.array([_number(term, values.get(term.column, nan)) for term in self.terms])

    def sums(self, rows: Floats) -> dict[str, Array]:
        """Return counts and moments of cases, (n, size), about the origin."""
        here = ~np.isnan(rows)
        x = np.where(here, rows - self.origin, 0.0)
        return {"present": here.sum(0), "sum": x.sum(0), "squares": (x * x).sum(0)}

    def standard(self, how: Literal["moments", "range"], total: Sums) -> tuple[Floats, Floats]:
        """Return centre and scale of each number, by moments over sites or by ranges."""
        if how == "range":
            half = [1.0 if term.half is None else term.half for term in self.terms]
            return self.origin, np.array(half)
        n = np.maximum(np.asarray(total["present"], np.float64), 1.0)
        mean = np.asarray(total["sum"]) / n
        variance = np.asarray(total["squares"]) / n - mean**2
        spread = np.sqrt(np.maximum(variance, 0.0))
        return self.origin + mean, np.where(spread > _SMALLEST, spread, 1.0)


def encoding_of(names: tuple[str, ...], columns: Mapping[str, Column]) -> Encoding:
    """Return how these columns become numbers: a category one indicator a level but the first."""
    return Encoding(tuple(term for name in names for term in _terms(name, columns[name])))


def _terms(name: str, column: Column) -> Iterator[Term]:
    if column.type == "category":
        yield from (Term(name, i, 0.0, None) for i in range(1, len(column.levels)))
    elif column.range is None:
        yield Term(name, None, 0.0, None)
    else:
        low, high = column.range
        yield Term(name, None, (low + high) / 2, (high - low) / 2)


def _number(term: Term, value: float) -> float:
    if term.level is None or value != value:
        return float(value)
    return float(int(value) == term.level)
