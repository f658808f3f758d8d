"""Harrell's concordance over pairs of different sites, from counts on a grid.

A cell is an interval of days by an interval of the score. Pairs of different intervals of
days are compared as their cells tell; pairs that share an interval, of days or of the
score, make the bound.
"""

import numpy as np

from common.analyses.newton import Ints
from common.table import Floats

N_TIMES, N_SCORES = 128, 64


def score_edges(sd: float, n_scores: int = N_SCORES) -> Floats:
    """Return where scores of about this SD and mean 0 divide into even parts."""
    from scipy.stats import norm

    inner: Floats = norm.ppf(np.arange(1, n_scores) / n_scores) * max(sd, 1e-300)
    return inner


def cells_of(
    days: Floats,
    events: Floats,
    score: Floats,
    edges: tuple[Floats, float],
    n_times: int = N_TIMES,
) -> Ints:
    """Return counts of those who leave censored and by the event, (2, times, scores).

    Args:
        days: shape (n,).
        events: 1 for an event, shape (n,).
        score: the higher, the sooner the event is expected; shape (n,).
        edges: of the scores, and the last possible day.
        n_times: intervals of days.
    """
    inner, last = edges
    n_scores = len(inner) + 1
    time = np.clip(days / last * n_times, 0, n_times - 1).astype(np.int64)
    cell = (events > 0) * n_times * n_scores + time * n_scores
    cell = cell.astype(np.int64) + np.searchsorted(inner, score)
    counts = np.bincount(cell, minlength=2 * n_times * n_scores)
    return counts.reshape(2, n_times, n_scores)


def concordance(cells: Ints) -> tuple[float, float] | None:
    """Return the index and how far it may be off; None without a comparable pair."""
    events = cells[1].astype(np.float64)
    everyone = cells.sum(0).astype(np.float64)
    later = np.zeros_like(everyone)
    later[:-1] = everyone[::-1].cumsum(0)[::-1][1:]
    lower = np.cumsum(later, axis=1) - later
    right, tied = float((events * lower).sum()), float((events * later).sum())
    pairs = float((events.sum(1) * later.sum(1)).sum())
    e, c = events.sum(1), cells[0].sum(1)
    same = float((e * (e - 1) / 2 + e * c).sum())
    if not pairs:
        return None
    index = (right + tied / 2) / pairs
    low, high = right / (pairs + same), (right + tied + same) / (pairs + same)
    return index, max(index - low, high - index)
