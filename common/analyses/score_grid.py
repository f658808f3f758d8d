"""A public grid for scores: rounding is part of the model, so that counts are exact.

A score is rounded to one of at most 10^4 + 1 points over its column's declared range;
sums over sites of counts on these points then say all that ranks can say.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from common.cohort import Column
from common.table import Floats

STEPS = 10_000

Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Grid:
    """Points low, low + step, ..., `size` of them; public, not taken from data."""

    low: float
    step: float
    size: int

    def index(self, values: Floats) -> Ints:
        """Return the nearest point of each value, 0 to size - 1."""
        nearest = np.rint((values - self.low) / self.step)
        return np.clip(nearest, 0, self.size - 1).astype(np.int64)

    def edge(self, k: NDArray[np.generic]) -> Floats:
        """Return the value half way between point k - 1 and point k."""
        return np.asarray(self.low + (np.asarray(k) - 0.5) * self.step, np.float64)

    def holds(self, values: Floats) -> bool:
        """Say whether all values lie on points, so that rounding moves none of them."""
        moved = np.abs(values - self.low - self.index(values) * self.step)
        return bool((moved <= 1e-6 * self.step).all())


def grid_of(column: Column, name: str) -> Grid:
    """Return the grid of a column: its whole numbers, or 10^4 steps over its range.

    Raises:
        ValueError: the column is a category or has no declared range.
    """
    if column.type == "category" or column.range is None:
        where = "; a formula has one if it says `range`" if "." in name else ""
        raise ValueError(f'column "{name}": expected a number with a declared range{where}')
    low, high = column.range
    if column.type == "integer" and high - low <= STEPS:
        return Grid(low, 1.0, int(high - low) + 1)
    return Grid(low, (high - low) / STEPS, STEPS + 1)


def class_histogram(grid: Grid, scores: Floats, events: Floats) -> Ints:
    """Return counts by class (0, 1) and point, shape (2, size)."""
    cell = events.astype(np.int64) * grid.size + grid.index(scores)
    return np.bincount(cell, minlength=2 * grid.size).reshape(2, grid.size)
