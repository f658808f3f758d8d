"""Columns that few patients of a site have a value of, where its sums go out in clear.

A mean of three patients is theirs, and a count of cases says nothing of patients: three of
them may have ten examinations. Such a column is sent as if nobody had a value; the others
are not touched. In a masked sum all are sent.
"""

import numpy as np
from numpy.typing import NDArray

from common.analyses.publish import SMALLEST_CELL
from common.table import Floats, Table

HIDDEN_ALONE = (
    f"hidden: nobody has it, or fewer patients than the site shows ({SMALLEST_CELL} or more) do, "
    "in one of the groups or with one of its two values"
)
"""Why a column of a site alone comes without a value: the sums do not tell which."""

Bools = NDArray[np.bool_]
_FEW_VALUES = 50  # looked at first: a measurement has more than two values among them


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
    """Return columns, shape (n, p), missing where too few patients have a value.

    So is one of two values, such as 0 and 1, of which too few have either. Where groups are
    told of by themselves, a column is missing of all of them if it is of one.
    """
    if not table.smallest_cell:
        return values
    out = np.where(behind_enough(table, ~np.isnan(values), codes), values, np.nan)
    groups = np.zeros(table.n, np.int64) if codes is None else codes
    for group in np.unique(groups):
        rows = groups == group
        for j in range(out.shape[1]):
            if few_of_a_value(table, rows, out[:, j]):
                out[rows, j] = np.nan
    return out if codes is None else _all_or_none(values, out, codes)


def _all_or_none(values: Floats, out: Floats, codes: NDArray[np.int64]) -> Floats:
    """Return columns of which all groups may be told of; of the others none is.

    The sums of all cases, of another step, less those of the groups shown would be
    the hidden group's.
    """
    told = codes >= 0
    hides = (~np.isnan(values[told]) & np.isnan(out[told])).any(axis=0)
    return np.where(hides, np.nan, out)


def few_of_a_value(table: Table, rows: Bools, values: Floats) -> bool:
    """Tell whether a column is a yes or no that few patients have: its mean counts them.

    Args:
        table: whose `smallest_cell` says how many are few; 0: none are.
        rows: to be told of, shape (n,).
        values: of the column, shape (n,).
    """
    if not table.smallest_cell:
        return False
    there = rows & ~np.isnan(values)
    first = values[there][:_FEW_VALUES]
    if len(np.unique(first)) > 2 or len(kinds := np.unique(values[there])) != 2:
        return False
    counts = (len(np.unique(table.patients[there & (values == kind)])) for kind in kinds)
    return min(counts) < table.smallest_cell
