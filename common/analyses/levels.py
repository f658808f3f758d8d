"""Columns that put cases into groups: categories, 0/1 outcomes, short whole numbers."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from common.cohort import Column
from common.table import Table

MOST_LEVELS = 100


def levels_of(name: str, contract: Mapping[str, Column]) -> tuple[str, ...]:
    """Return the names of a column's groups, known before any data are read.

    Raises:
        ValueError: the column is continuous, or its whole numbers have no short range.
    """
    column = contract[name]
    if column.type == "category":
        return column.levels
    if column.type == "integer" and column.range is not None:
        low, high = (round(end) for end in column.range)
        if high - low < MOST_LEVELS:
            return tuple(str(level) for level in range(low, high + 1))
    raise ValueError(
        f'"{name}": expected groups: a category, or an integer with a range of at most '
        f"{MOST_LEVELS} numbers, got a {column.type} with range {column.range}"
    )


def level_codes(table: Table, name: str) -> NDArray[np.int64]:
    """Return the index of each row's level, shape (n,), -1 where it has none."""
    column, values = table.contract[name], table.columns[name]
    low = 0.0 if column.range is None else round(column.range[0])
    n_levels = len(levels_of(name, table.contract))
    codes = np.where(np.isnan(values), -1.0, np.rint(values) - low)
    return np.where((codes >= 0) & (codes < n_levels), codes, -1).astype(np.int64)
