"""How far two readers' categories agree: kappa, and tests that one leans further."""

import math

import numpy as np
from numpy.typing import NDArray

from common.analyses.analysis import Json
from common.analyses.plain import plain
from common.analyses.publish import SMALLEST_CELL
from common.table import Floats

Counts = NDArray[np.int64]
Outcome = dict[str, Json]

_LEVELS = (0.001, 0.05)
_HIDDEN = "two digits, and p only as below a level, as a cell of fewer than five is hidden"


def kappa(counts: Counts, weights: str, level: float) -> Outcome:
    """Return (weighted) kappa with its interval and the test of no agreement.

    Cohen, Educ Psychol Meas 20:37 (1960) and Psychol Bull 70:213 (1968); standard
    errors of Fleiss, Cohen, Everitt, Psychol Bull 72:323 (1969).

    Args:
        counts: shape (k, k), first reader's level by second reader's.
        weights: "none", "linear" or "quadratic" in the distance of two levels.
        level: of the interval.
    """
    from scipy.special import ndtr, ndtri

    n = int(counts.sum())
    if not n:
        return {"n": 0, "estimate": None, "note": "no case has both"}
    p, w = counts / n, _weights(len(counts), weights)
    a, b = p.sum(axis=1), p.sum(axis=0)
    chance = float(a @ w @ b)
    out: Outcome = {"n": n, "agreement": float(np.trace(p))}
    if 1 - chance < 1e-12:
        return out | {"estimate": None, "note": "both readers use a single level"}
    estimate = (float((w * p).sum()) - chance) / (1 - chance)
    lean = (w @ b)[:, None] + (w.T @ a)[None, :]
    spread = float((p * (w - lean * (1 - estimate)) ** 2).sum())
    variance = spread - (estimate - chance * (1 - estimate)) ** 2
    null = float((np.outer(a, b) * (w - lean) ** 2).sum()) - chance**2
    size = math.sqrt(n) * (1 - chance)
    se, se_null = (math.sqrt(max(v, 0.0)) / size for v in (variance, null))
    reach = float(ndtri((1 + level) / 2)) * se
    return out | {
        "estimate": estimate,
        "se": se,
        "ci_low": max(-1.0, estimate - reach),
        "ci_high": min(1.0, estimate + reach),
        "p": float(2 * ndtr(-abs(estimate) / se_null)) if se_null else None,
    }


def symmetry(counts: Counts) -> Outcome:
    """Return whether the readers differ in one direction.

    Two levels: McNemar, Psychometrika 12:153 (1947), with continuity correction, and
    its exact binomial p. More: Bowker, JASA 43:572 (1948).
    """
    from scipy.special import bdtr, chdtrc

    upper, lower = (
        counts[np.triu_indices(len(counts), 1)],
        counts.T[np.triu_indices(len(counts), 1)],
    )
    both = upper + lower
    if not both.any():
        return {"test": None, "p": None, "note": "the readers agree on every case"}
    if len(counts) == 2:
        b, c = int(upper[0]), int(lower[0])
        chi = max(abs(b - c) - 1, 0) ** 2 / (b + c)
        exact = min(1.0, 2 * float(bdtr(min(b, c), b + c, 0.5)))
        return {
            "test": "mcnemar",
            "statistic": chi,
            "p": exact,
            "p_chi_square": plain(chdtrc(1, chi)),
        }
    chi = float(((upper - lower) ** 2 / np.maximum(both, 1)).sum())
    df = len(upper)
    return {"test": "bowker", "statistic": chi, "df": df, "p": plain(chdtrc(df, chi))}


def with_hidden(found: Outcome, counts: Counts) -> Outcome:
    """Return an outcome in as many digits as a paper prints, where a cell must not be told.

    From kappa in full, or from McNemar's p in two digits, a table could be worked out to the
    last case (R11): of p is told only below which usual level it lies.
    """
    if not ((counts > 0) & (counts < SMALLEST_CELL)).any():
        return found
    kept: Outcome = {key: found[key] for key in ("n", "test", "df", "note") if key in found}
    for key in ("agreement", "estimate", "ci_low", "ci_high"):
        if key in found:
            value = found[key]
            kept[key] = round(value, 2) if isinstance(value, float) else None
    p = found.get("p")
    below = min((level for level in _LEVELS if isinstance(p, float) and p < level), default=None)
    return {**kept, "p": None, "p_below": below, "hidden": _HIDDEN}


def _weights(k: int, kind: str) -> Floats:
    """Return the credit for each pair of levels, 1 on the diagonal."""
    apart = np.abs(np.subtract.outer(np.arange(k), np.arange(k))) / max(k - 1, 1)
    if kind == "none":
        return np.eye(k)
    return 1 - (apart if kind == "linear" else apart**2)
