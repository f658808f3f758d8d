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
