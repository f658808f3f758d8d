"""How far a rank correlation on cells may lie from the one of exact ranks."""

from collections.abc import Sequence

import numpy as np

from common.analyses.rank_cells import Cells
from common.table import Floats


def lost_share(cells: Sequence[Cells]) -> Floats:
    """Return, by column, the largest share of a rank's variance that cells can hide.

    The mid-rank of a cell is the mean of its patients' ranks, so what is lost is
    uncorrelated with what is kept, and at most (1 / 12 n) sum h (h**2 - 1) over cells
    of h patients that could be told apart.
    """
    shares = []
    for column in cells:
        h = column.total.astype(np.float64)
        n = max(h.sum(), 1.0)
        kept = (h * (column.doubled_midranks - n - 1) ** 2).sum() / 4 / n
        lost = (h * (h**2 - 1) * column.uncertain).sum() / 12 / n
        shares.append(lost / (lost + kept) if lost else 0.0)
    return np.array(shares)


def bounds(rho: Floats, lost: Floats) -> Floats:
    """Return the bound on the error of each pair's rank correlation, shape (p, p).

    Args:
        rho: correlation of mid-ranks.
        lost: see `lost_share`; Cauchy and Schwarz limit the correlation of two losses.
    """
    d, kept = np.sqrt(lost), np.sqrt(1 - lost)
    out: Floats = (
        np.abs(rho) * (1 - np.outer(kept, kept))
        + np.outer(d, kept)
        + np.outer(kept, d)
        + np.outer(d, d)
    )
    return out
