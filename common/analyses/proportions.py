"""Intervals of proportions, and the accuracy of a yes-or-no call with its intervals."""

import math
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from common.analyses.analysis import Json
from common.analyses.publish import SMALLEST_CELL
from common.table import Floats

Ints = NDArray[np.int64]
Interval = Literal["wilson", "clopper_pearson"]


def proportion(hits: int, n: int, level: float, how: Interval) -> dict[str, Json]:
    """Return hits / n with its interval; None where n is 0.

    Wilson, J Am Stat Assoc 22:209 (1927); Clopper, Pearson, Biometrika 26:404 (1934).
    """
    if n == 0:
        return {"n": 0, "estimate": None, "ci_low": None, "ci_high": None}
    interval = _wilson if how == "wilson" else _clopper_pearson
    low, high = interval(hits, n, (1 - level) / 2)
    return {"n": n, "estimate": hits / n, "ci_low": low, "ci_high": high}


def _wilson(hits: int, n: int, tail: float) -> tuple[float, float]:
    from scipy.stats import norm

    z, p = float(norm.isf(tail)), hits / n
    middle = (p + z * z / (2 * n)) / (1 + z * z / n)
    reach = z / (1 + z * z / n) * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    return max(0.0, middle - reach), min(1.0, middle + reach)


def _clopper_pearson(hits: int, n: int, tail: float) -> tuple[float, float]:
    from scipy.stats import beta

    low = float(beta.ppf(tail, hits, n - hits + 1)) if hits else 0.0
    high = float(beta.isf(tail, hits + 1, n - hits)) if hits < n else 1.0
    return low, high


def accuracy_of(
    tp: int, fp: int, fn: int, tn: int, *, level: float, how: Interval
) -> dict[str, Json]:
    """Return the proportions of a two-by-two table, with the counts themselves."""
    counts: dict[str, Json] = {"tp": tp, "fp": fp, "fn": fn, "tn": tn}
    return counts | {
        name: proportion(hits, n, level, how)
        for name, hits, n in (
            ("sensitivity", tp, tp + fn),
            ("specificity", tn, tn + fp),
            ("ppv", tp, tp + fp),
            ("npv", tn, tn + fn),
            ("accuracy", tp + tn, tp + fp + fn + tn),
        )
    }


def has_small_cell(below: Ints, above: Ints) -> bool:
    """Tell whether a table of two by two has a cell of one to four."""
    cells = np.concatenate([below, above])
    return bool(((cells > 0) & (cells < SMALLEST_CELL)).any())


def bounds_of(below: Ints, above: Ints) -> dict[str, Json]:
    """Return the least and the largest of each rate that hidden cells allow.

    Args:
        below: non-events and events below the threshold.
        above: those at or above it. Where a class has a cell of one to four, only that
            is told: the cell is any of these.
    """
    tables = [
        (tp, fp, int(below[1] + above[1]) - tp, int(below[0] + above[0]) - fp)
        for fp in _possible(int(below[0]), int(above[0]))
        for tp in _possible(int(below[1]), int(above[1]))
    ]
    found = [accuracy_of(*table, level=0.95, how="wilson") for table in tables]
    out: dict[str, Json] = {}
    for name in ("sensitivity", "specificity", "ppv", "npv", "accuracy"):
        rates = [e for e in (_estimate(of[name]) for of in found) if e is not None]
        out[name] = {
            "estimate": None,
            "at_least": min(rates, default=None),
            "at_most": max(rates, default=None),
        }
    return out


def _estimate(rate: Json) -> float | None:
    found = rate.get("estimate") if isinstance(rate, dict) else None
    return found if isinstance(found, float) else None


def _possible(below: int, above: int) -> list[int]:
    """Return how many of a class may lie above, as far as a reader is told."""
    few_below, few_above = (0 < k < SMALLEST_CELL for k in (below, above))
    small = range(1, SMALLEST_CELL)
    n = below + above
    if few_above:
        return [k for k in small if k < n and (not few_below or n - k in small)]
    return [n - k for k in small if k < n] if few_below else [above]


def likelihood_ratios(tp: int, fp: int, fn: int, tn: int, *, level: float) -> dict[str, Json]:
    """Return LR+ and LR- with log-normal intervals.

    Simel, Samsa, Matchar, J Clin Epidemiol 44:763 (1991).
    """
    return {
        "lr_positive": _ratio(tp, tp + fn, fp, fp + tn, level),
        "lr_negative": _ratio(fn, tp + fn, tn, fp + tn, level),
    }


def _ratio(a: int, n: int, b: int, m: int, level: float) -> dict[str, Json]:
    from scipy.stats import norm

    if 0 in (a, b):
        estimate = 0.0 if b and n else None
        return {"estimate": estimate, "ci_low": None, "ci_high": None}
    log, se = math.log(a / n / (b / m)), math.sqrt(1 / a - 1 / n + 1 / b - 1 / m)
    reach = float(norm.isf((1 - level) / 2)) * se
    low, high = math.exp(log - reach), math.exp(log + reach)
    return {"estimate": math.exp(log), "ci_low": low, "ci_high": high}


def composites(table: Floats, *, level: float, n_draws: int, seed: int) -> dict[str, Json]:
    """Return F1, balanced accuracy and Youden's J with bootstrap intervals.

    Args:
        table: tp, fp, fn, tn. Drawing patients with replacement is drawing these four
            from a multinomial.
        level: of the interval.
        n_draws: 0 for no interval.
        seed: of the draws.
    """
    n = int(table.sum())
    draws = np.random.default_rng(seed).multinomial(n, table / n, n_draws)
    out: dict[str, Json] = {}
    for name, of in (
        ("f1", _f1),
        ("balanced_accuracy", _balanced),
        ("youden", _youden),
    ):
        (estimate,), drawn = of(table[None]), of(draws.astype(np.float64))
        drawn = drawn[np.isfinite(drawn)]
        tail = (1 - level) / 2
        ci = np.quantile(drawn, [tail, 1 - tail]) if drawn.size else None
        out[name] = {
            "estimate": float(estimate) if np.isfinite(estimate) else None,
            "ci_low": None if ci is None else float(ci[0]),
            "ci_high": None if ci is None else float(ci[1]),
        }
    return out


def _f1(t: Floats) -> Floats:
    with np.errstate(invalid="ignore"):
        return np.asarray(2 * t[:, 0] / (2 * t[:, 0] + t[:, 1] + t[:, 2]))


def _balanced(t: Floats) -> Floats:
    with np.errstate(invalid="ignore"):
        hits, passes = t[:, 0] / (t[:, 0] + t[:, 2]), t[:, 3] / (t[:, 1] + t[:, 3])
    return np.asarray((hits + passes) / 2)


def _youden(t: Floats) -> Floats:
    return np.asarray(2 * _balanced(t) - 1)
