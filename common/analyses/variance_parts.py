"""Intraclass correlations from the mean squares of an analysis of variance."""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from common.table import Floats

Form = Literal["ICC1", "ICC2", "ICC3"]
Estimate = dict[str, Floats]


@dataclass(frozen=True)
class MeanSquares:
    """Mean squares of n cases by k readers, per feature, each of shape (p,).

    Attributes:
        n: cases.
        k: readers.
        subjects: between cases (MSR).
        raters: between readers (MSC).
        residuals: left over (MSE).
        within: within cases, readers and residual together (MSW).
    """

    n: Floats
    k: int
    subjects: Floats
    raters: Floats
    residuals: Floats
    within: Floats


def icc(ms: MeanSquares, form: Form, level: float) -> Estimate:
    """Return estimate, ci_low, ci_high and p of no reliability, NaN where undefined.

    Shrout and Fleiss, Psychol Bull 86:420 (1979). Where readers agree to the last digit
    all are 1.

    Args:
        ms: mean squares.
        form: ICC1, ICC2 or ICC3.
        level: of the interval.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        found = _icc2(ms, level) if form == "ICC2" else _one_way(ms, form, level)
    agreed = (ms.within == 0) & (ms.subjects > 0)
    if form == "ICC3":
        agreed = (ms.residuals == 0) & (ms.subjects > 0)
    for name in ("estimate", "ci_low", "ci_high"):
        found[name] = np.where(agreed, 1.0, found[name])
    found["p"] = np.where(agreed, 0.0, found["p"])
    return found


def _one_way(ms: MeanSquares, form: Form, level: float) -> Estimate:
    """ICC1 with the spread within cases as error, ICC3 with the residual."""
    from scipy.special import fdtrc, fdtri

    k, cases = ms.k, ms.n - 1
    error, df = ms.within, ms.n * (k - 1)
    if form == "ICC3":
        error, df = ms.residuals, cases * (k - 1)
    f, upper = ms.subjects / error, (1 + level) / 2
    low = f / fdtri(cases, df, upper)
    high = f * fdtri(df, cases, upper)
    return {
        "estimate": (f - 1) / (f + k - 1),
        "ci_low": (low - 1) / (low + k - 1),
        "ci_high": (high - 1) / (high + k - 1),
        "p": fdtrc(cases, df, f),
    }


def _icc2(ms: MeanSquares, level: float) -> Estimate:
    """ICC2; interval with Satterthwaite's degrees of freedom."""
    from scipy.special import fdtrc, fdtri

    n, k, upper = ms.n, ms.k, (1 + level) / 2
    r, c, e = ms.subjects, ms.raters, ms.residuals
    rho = (r - e) / (r + (k - 1) * e + k * (c - e) / n)
    # Written for a residual of 0 too: every term times MSE.
    a, b = k * rho * c, (n * (1 + (k - 1) * rho) - k * rho) * e
    df = (k - 1) * (n - 1) * (a + b) ** 2 / ((n - 1) * a**2 + b**2)
    low, high = fdtri(n - 1, df, upper), fdtri(df, n - 1, upper)
    rest = k * c + (k * n - k - n) * e
    return {
        "estimate": rho,
        "ci_low": n * (r - low * e) / (low * rest + n * r),
        "ci_high": n * (high * r - e) / (rest + n * high * r),
        "p": fdtrc(n - 1, (n - 1) * (k - 1), r / e),
    }
