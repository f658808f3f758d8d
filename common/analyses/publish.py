"""What of the counts in a total may be printed (rule R3, with secondary suppression)."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

SMALLEST_CELL = 5


def shown_counts(counts: Sequence[int], smallest: int = SMALLEST_CELL) -> list[int | None]:
    """Hide cells below `smallest`, and one more where the total would give them away.

    Args:
        counts: patients in the cells of one column; their total is printed too.
        smallest: the smallest count above zero that may be shown.

    Returns:
        The counts, None where hidden. A single hidden cell could be had by subtraction
        from the total, so the next smallest one is hidden with it.
    """
    sizes = np.array(counts, np.int64)
    hidden = with_another((sizes > 0) & (sizes < smallest), sizes, smallest)
    return [None if gone else int(n) for gone, n in zip(hidden, counts, strict=True)]


def with_another(
    hidden: NDArray[np.bool_], sizes: NDArray[np.int64], smallest: int = SMALLEST_CELL
) -> NDArray[np.bool_]:
    """Return the cells to hide, with the smallest other one where they follow from the total.

    Args:
        hidden: cells of one row that are hidden, shape (k,).
        sizes: patients in them.
        smallest: the hidden ones may be told together if they are so many.
    """
    others = np.flatnonzero(~hidden & (sizes > 0))
    if not others.size or not 0 < sizes[hidden].sum() < smallest:
        return hidden
    more = hidden.copy()
    more[others[np.argmin(sizes[others])]] = True
    return more


def hidden_cells(
    tables: Sequence[NDArray[np.int64]], smallest: int = SMALLEST_CELL
) -> NDArray[np.bool_]:
    """Return the cells of a two-way table to hide, with others where they follow from totals.

    Totals of rows and of columns may be told by a step beside this one. So no row and no
    column with other cases is left with one hidden cell, nor with fewer than `smallest` of a
    kind in its hidden ones together.

    Args:
        tables: cases, and how many of them are of a kind (deaths, survivors), by cell; each
            of shape (rows, columns).
        smallest: the smallest count above zero that may be shown.
    """
    hidden = np.zeros(tables[0].shape, np.bool_)
    for of in tables:
        hidden |= (of > 0) & (of < smallest)
    while (more := _another_cell(tables, hidden, smallest)) is not None:
        hidden[more] = True
    return hidden


def _another_cell(
    tables: Sequence[NDArray[np.int64]], hidden: NDArray[np.bool_], smallest: int
) -> tuple[int, int] | None:
    """Return the smallest cell of a row or column whose hidden ones follow from its total."""
    for turned in (False, True):
        kinds = [of.T if turned else of for of in tables]
        for i, gone in enumerate(hidden.T if turned else hidden):
            others = np.flatnonzero(~gone & (kinds[0][i] > 0))
            few = any(0 < of[i][gone].sum() < smallest for of in kinds)
            if others.size and (few or gone.sum() == 1):
                j = int(others[np.argmin(kinds[0][i][others])])
                return (j, i) if turned else (i, j)
    return None
