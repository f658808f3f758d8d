"""Rank sums of groups, from counts in cells."""

from dataclasses import dataclass

import numpy as np

from common.analyses.rank_cells import Cells, Counts
from common.table import Floats


@dataclass(frozen=True)
class RankSums:
    """What rank tests of one column need.

    Attributes:
        n: values in each group, shape (n_groups,).
        doubled: twice each group's sum of mid-ranks.
        ties: sum of t**3 - t over the runs of t equal values.
        slack: how far `doubled` may lie from the one of exact ranks, 0 where exact.
    """

    n: Counts
    doubled: Floats
    ties: float
    slack: Floats


def rank_sums(cells: Cells) -> RankSums:
    """Return rank sums; patients of one cell share its mid-rank.

    Where a cell's h patients could be told apart, those of one group, h_g, might take
    its lowest or highest ranks: their sum moves by at most h_g (h - h_g) / 2.
    """
    h = cells.total.astype(np.float64)
    doubled = (cells.counts * cells.doubled_midranks).sum(axis=1)
    spread = cells.counts * (h - cells.counts) * cells.uncertain
    return RankSums(
        n=cells.counts.sum(axis=1),
        doubled=doubled.astype(np.float64),
        ties=float((h**3 - h).sum()),
        slack=spread.sum(axis=1),
    )
