"""AUC on a grid of scores: its variance, its companions and its comparison.

DeLong, DeLong, Clarke-Pearson, Biometrics 44:837 (1988). With placements V10 of the
events and V01 of the others (share of the other class that they beat, ties half):
AUC = mean V10 = mean V01 and cov = S10 / n1 + S01 / n0, S the sample covariances.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from common.analyses.analysis import Json
from common.analyses.correction import Correction, adjusted
from common.table import Floats

Ints = NDArray[np.int64]
_CHUNK = 100


def placements(counts: Ints) -> Floats:
    """Return the placement of a patient at each point by own class, shape (2, size).

    Row 1 is V10, of an event: the share of the others below it; row 0 is V01, of
    the others: the share of events above it. Ties count half.

    Args:
        counts: of both classes by point, shape (2, size); neither class empty.
    """
    n = counts.sum(axis=1, keepdims=True)
    below = counts.cumsum(axis=1) - counts / 2
    return np.stack([1 - below[1] / n[1], below[0] / n[0]])


def auc(counts: Ints) -> float:
    """Return the area under the ROC curve; exact up to one rounding."""
    n0, n1 = (int(n) for n in counts.sum(axis=1))
    twice = int((counts[1] * (2 * counts[0].cumsum() - counts[0])).sum())
    return twice / (2 * n0 * n1)


def tie_bound(counts: Ints) -> float:
    """Return how far the AUC of unrounded scores can be: half of the tied pairs."""
    n0, n1 = (int(n) for n in counts.sum(axis=1))
    return float((counts[0] / n0 * (counts[1] / n1)).sum() / 2)


def spread(counts: Ints) -> Floats:
    """Return sums of (V - AUC)^2 of one score by class, shape (2,)."""
    off = placements(counts) - auc(counts)
    return np.asarray((counts * off**2).sum(axis=1))


def covariance(squares: Floats, classes: Ints) -> Floats:
    """Return the DeLong covariance of M areas.

    Args:
        squares: sums of products of centred placements by class, shape (2, M, M).
        classes: n0, n1, each two or more.
    """
    n = classes.astype(np.float64)[:, None, None]
    return np.asarray((squares / (n - 1) / n).sum(axis=0))


def average_precision(counts: Ints) -> float:
    """Return the area under the precision-recall curve, as steps."""
    return float(_precision(counts[0][None], counts[1][None])[0])


def _areas(h0: Ints, h1: Ints) -> Floats:
    pairs = (h1 * (h0.cumsum(axis=1) - h0 / 2)).sum(axis=1)
    return np.asarray(pairs / (h0.sum(axis=1) * h1.sum(axis=1)))


def _precision(h0: Ints, h1: Ints) -> Floats:
    hits = h1[:, ::-1].cumsum(axis=1)
    called = hits + h0[:, ::-1].cumsum(axis=1)
    share = hits / np.maximum(called, 1)
    return np.asarray((h1[:, ::-1] * share).sum(axis=1) / h1.sum(axis=1))


def bootstrap(counts: Ints, n_draws: int, seed: int) -> Floats:
    """Return draws of AUC and average precision, shape (2, n_draws).

    Drawing patients of a class with replacement is drawing its counts from a
    multinomial, so the coordinator needs no further round.
    """
    rng = np.random.default_rng(seed)
    used = counts[:, counts.sum(axis=0) > 0]
    n = used.sum(axis=1)
    out = np.empty((2, n_draws))
    for start in range(0, n_draws, _CHUNK):
        size = min(_CHUNK, n_draws - start)
        h0, h1 = (rng.multinomial(n[c], used[c] / n[c], size) for c in (0, 1))
        out[:, start : start + size] = _areas(h0, h1), _precision(h0, h1)
    return out


class Wald(NamedTuple):
    """Standard error, interval and two-sided p of an estimate by the normal law."""

    se: float
    ci_low: float
    ci_high: float
    p: float | None


def wald(estimate: float, variance: float, level: float, null: float) -> Wald:
    """Return the normal interval and test of an estimate; no p without variance."""
    from scipy.stats import norm

    se = math.sqrt(max(variance, 0.0))
    reach = float(norm.isf((1 - level) / 2)) * se
    p = float(2 * norm.sf(abs(estimate - null) / se)) if se > 0 else None
    return Wald(se, estimate - reach, estimate + reach, p)


def compare(
    names: Sequence[str], areas: Floats, cov: Floats, level: float, how: Correction
) -> list[Json]:
    """Return difference, interval and p of every pair of correlated areas."""
    found: list[dict[str, Json]] = []
    p: list[float | None] = []
    for i, a in enumerate(names):
        for j in range(i + 1, len(names)):
            difference = float(areas[i] - areas[j])
            variance = float(cov[i, i] + cov[j, j] - 2 * cov[i, j])
            if variance < 1e-14 * float(cov[i, i] + cov[j, j]):
                variance = 0.0  # two equal columns: rounding errors only
            test = wald(difference, variance, level, 0.0)
            pair: dict[str, Json] = {"a": a, "b": names[j], "difference": difference}
            found.append(pair | test._asdict())
            p.append(test.p)
    fair = adjusted(p, how)
    return [{**t, "p_adjusted": q} for t, q in zip(found, fair, strict=True)]
