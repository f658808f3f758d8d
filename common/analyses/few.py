"""Columns that few patients of a site have a value of, where its sums go out in clear.

A mean of three patients is theirs, and a count of cases says nothing of patients: three of
them may have ten examinations. Such a column is sent as if nobody had a value; the others
are not touched. In a masked sum all are sent.
"""

import numpy as np
from numpy.typing import NDArray

from common.table import Floats, Table

Bools = NDArray[np.bool_]


def behind_enough(table: Table, there: Bools, codes: NDArray[np.int64] | None = None) -> Bools:
    """Return where values are that may be told of.

    Args:
        table: the rows; its `smallest_cell` is 0 where the sums will be masked.
        there: which values there are, shape (n, p).
        codes: group of each row, each of which is told of by itself; below 0: of none.
    """
    if not table.smallest_cell:
        return there
    _, patient = np.unique(table.patients, return_inverse=True)
    groups = np.zeros(table.n, np.int64) if codes is None else codes
    out = there.copy()
    for group in np.unique(groups):
        rows = np.flatnonzero(groups == group)
        _, person = np.unique(patient[rows], return_inverse=True)
        by_person = np.zeros((int(person.max(initial=-1)) + 1, there.shape[1]), np.bool_)
        np.logical_or.at(by_person, person, there[rows])
        out[rows] &= by_person.sum(axis=0) >= table.smallest_cell
    return out


def without_few(table: Table, values: Floats, codes: NDArray[np.int64] | None = None) -> Floats:
    """Return columns, shape (n, p), missing where too few patients have a value."""
    if not table.smallest_cell:
        return values
    return np.where(behind_enough(table, ~np.isnan(values), codes), values, np.nan)
