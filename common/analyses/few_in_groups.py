"""A column of two values, 0 and 1, between groups: its mean or ranks count who has each.

A mean of 0.1 of thirty cases is three of them; what is tested of the groups tells as much.
So where one to four of a group have one of the values, no group's mean is told, as the
others' and that of all cases would give it, nor anything of the test: p in two digits fits
one table only, where the groups' sizes and the ones in all are known.
"""

import math

import numpy as np

from common.analyses.group_tests import Outcome
from common.analyses.publish import SMALLEST_CELL
from common.analyses.rank_sums import RankSums
from common.table import Floats

FEW_OF_TWO = (
    f"not shown: fewer than {SMALLEST_CELL} cases of a group have one of the column's two values; "
    "cross_tabulate tells what may be told"
)


def few_by_mean(n: Floats, mean: Floats) -> bool:
    """Tell whether few of a group have a 1, or a 0, by its size and mean, shape (groups,)."""
    return _few(n, np.rint(n * np.nan_to_num(mean)))


def few_by_ranks(ranks: RankSums) -> bool:
    """Tell the same by its ranks, of a column of nothing but 0 and 1.

    With t of the rarer value, ties are t^3 - t + (n - t)^3 - (n - t); with z zeros, twice a
    group's ranks are n_g (z + 1) + n ones_g.
    """
    sizes, n = ranks.n.astype(np.float64), float(ranks.n.sum())
    if not n:
        return False
    root = math.sqrt(max(n**2 - 4 * (n**2 - 1 - ranks.ties / n) / 3, 0.0))
    rarer = round((n - root) / 2)
    for zeros in (rarer, n - rarer):
        ones = (ranks.doubled - sizes * (zeros + 1)) / n
        whole = np.rint(ones)
        fits = np.allclose(ones, whole, atol=1e-6) and (whole >= 0).all()
        if fits and (whole <= sizes).all() and _few(sizes, whole):
            return True
    return False


def without_counts() -> Outcome:
    """Return what is said of a test whose numbers would give the counts away: none."""
    return {"statistic": None, "p": None, "note": FEW_OF_TWO}


def _few(n: Floats, ones: Floats) -> bool:
    return any(bool(((k > 0) & (k < SMALLEST_CELL)).any()) for k in (ones, n - ones))
