"""One site's effect and its variance, from its own rows."""

from typing import Literal

import numpy as np

from common.analyses import delong
from common.analyses.score_grid import Grid, class_histogram
from common.table import Floats

Effect = Literal[
    "proportion", "mean", "mean_difference", "standardised_difference", "auc", "log_odds_ratio"
]
FEWEST = 5


def effect_of(kind: Effect, y: Floats, x: Floats, grid: Grid | None) -> tuple[float, float] | None:
    """Return effect and variance; None where a class or a variance is too small.

    Args:
        kind: proportion (its logit, of events), mean, difference of means (events less
            others, Welch), Hedges' g, AUC (DeLong), log odds ratio of events for x = 1
            against x = 0 (each cell plus a half where one is empty).
        y: outcome, 0 or 1.
        x: the column the effect is of.
        grid: of the column, for an AUC.
    """
    one, none = x[y == 1], x[y == 0]
    if kind == "mean":
        found = _mean(x)
    elif min(one.size, none.size) < FEWEST:
        return None
    elif kind == "proportion":
        found = float(np.log(one.size / none.size)), 1 / one.size + 1 / none.size
    elif kind == "mean_difference":
        found = _difference(one, none)
    elif kind == "standardised_difference":
        found = _hedges(one, none)
    elif kind == "auc" and grid is not None:
        found = _auc(class_histogram(grid, x, y))
    else:
        found = _log_odds_ratio(one, none)
    return found if found[1] > 0 else None


def _mean(x: Floats) -> tuple[float, float]:
    if x.size < FEWEST:
        return 0.0, 0.0
    return float(x.mean()), float(x.var(ddof=1)) / x.size


def _difference(one: Floats, none: Floats) -> tuple[float, float]:
    (a, u), (b, v) = _mean(one), _mean(none)
    return a - b, u + v


def _hedges(one: Floats, none: Floats) -> tuple[float, float]:
    """Hedges, J Educ Stat 6:107 (1981), with the correction 1 - 3 / (4 df - 1)."""
    n, m = one.size, none.size
    df = n + m - 2
    pooled = ((n - 1) * one.var(ddof=1) + (m - 1) * none.var(ddof=1)) / df
    if pooled <= 0:
        return 0.0, 0.0
    d = float((one.mean() - none.mean()) / np.sqrt(pooled))
    small = 1 - 3 / (4 * df - 1)
    return small * d, small**2 * ((n + m) / (n * m) + d * d / (2 * (n + m)))


def _auc(counts: delong.Ints) -> tuple[float, float]:
    squares = delong.spread(counts)[:, None, None]
    variance = delong.covariance(squares, counts.sum(axis=1))
    return delong.auc(counts), float(variance[0, 0])


def _log_odds_ratio(one: Floats, none: Floats) -> tuple[float, float]:
    cells = np.array([(one == 1).sum(), (one == 0).sum(), (none == 1).sum(), (none == 0).sum()])
    if not cells.all():
        cells = cells + 0.5
    a, b, c, d = cells.astype(np.float64)
    return float(np.log(a * d / (b * c))), float((1 / np.array([a, b, c, d])).sum())
