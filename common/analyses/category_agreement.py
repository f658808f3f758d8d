"""How far two readers' categories agree: kappa, and tests that one leans further."""

import math
from collections.abc import Callable
from functools import partial
from itertools import product

import numpy as np
from numpy.typing import NDArray

from common.analyses.analysis import Json
from common.analyses.hidden_cells import LEVELS, below, has_small, told_alike
from common.analyses.plain import plain
from common.table import Floats

Counts = NDArray[np.int64]
Outcome = dict[str, Json]

_How = tuple[float, tuple[str, ...], tuple[float, ...]]
_HIDDEN = (
    "as a cell of fewer than five is hidden, kappa is told to 0.01, or as between two of its "
    "values, if at all, and of p only below which level it lies"
)
_NUMBERS = ("agreement", "estimate", "ci_low", "ci_high")
_TELLINGS = [
    *product((0.01,), (_NUMBERS, _NUMBERS[1:2]), LEVELS),
    *product((0.05, 0.1, 0.2, 0.5), ((),), LEVELS),
    (0.0, (), ()),
]


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


def compared(counts: Counts, weights: str, level: float) -> dict[str, Outcome]:
    """Return `kappa` and `symmetry`, and no more than may be told beside a hidden cell.

    From kappa in full, or from McNemar's p in two digits, a table could be worked out to the
    last case (R11): both are told in as many digits as leave another table of the same margins.
    """

    def both(of: Counts) -> dict[str, Outcome]:
        return {"kappa": kappa(of, weights, level), "symmetry": symmetry(of)}

    if not has_small(counts):
        return both(counts)

    told = told_alike(counts, [partial(_cut_both, both, how) for how in _TELLINGS])
    return {k: {**one, "hidden": _HIDDEN} for k, one in told.items() if isinstance(one, dict)}


def _cut_both(both: Callable[[Counts], dict[str, Outcome]], how: _How, of: Counts) -> Outcome:
    return {name: _cut(one, how) for name, one in both(of).items()}


def _cut(found: Outcome, how: _How) -> Outcome:
    """Return an outcome with the numbers named, else kappa in a step, and p below a level."""
    step, numbers, levels = how
    kept: Outcome = {key: found[key] for key in ("n", "df") if key in found}
    kept |= {key: found[key] for key in ("test", "note") if key in found and step}
    for key in _NUMBERS:
        if key in found:
            value = found[key]
            told = isinstance(value, float) and key in numbers
            kept[key] = round(float(str(value)), 2) if told else None
    value = found.get("estimate")
    if step and not numbers and isinstance(value, float):
        low = math.floor(round(value / step, 9)) * step
        kept["between"] = [round(low, 2), round(min(low + step, 1.0), 2)]
    p = found.get("p")
    said = {"p_below": below(p, levels)} if levels and isinstance(p, float) else {}
    return {**kept, "p": None, **said}


def _weights(k: int, kind: str) -> Floats:
    """Return the credit for each pair of levels, 1 on the diagonal."""
    apart = np.abs(np.subtract.outer(np.arange(k), np.arange(k))) / max(k - 1, 1)
    if kind == "none":
        return np.eye(k)
    return 1 - (apart if kind == "linear" else apart**2)
