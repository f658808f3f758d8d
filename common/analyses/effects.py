"""Coefficients as a paper prints them: ratio, interval and p; tests of models."""

from collections.abc import Mapping, Sequence

import numpy as np

from common.analyses.analysis import Json
from common.analyses.plain import plain
from common.table import Floats


def z_of(level: float) -> float:
    """Return the normal quantile of a two-sided confidence level."""
    from scipy.stats import norm

    return float(norm.isf((1.0 - level) / 2.0))


def p_of_z(z: Floats) -> Floats:
    """Return two-sided p values."""
    from scipy.stats import norm

    p: Floats = 2.0 * norm.sf(np.abs(z))
    return p


def p_of_chi2(chi2: float, df: int) -> float | None:
    """Return the p value of a chi-square statistic; None without freedom."""
    from scipy.stats import chi2 as distribution

    return float(distribution.sf(max(chi2, 0.0), df)) if df > 0 else None


def wald(
    names: Sequence[str], beta: Floats, cov: Floats, *, ratio: str, level: float
) -> dict[str, Json]:
    """Return the table of coefficients with Wald intervals and tests.

    Args:
        names: of the coefficients.
        beta: shape (q,); NaN where a column is constant or collinear.
        cov: shape (q, q).
        ratio: what exp(beta) is called, such as "odds_ratio".
        level: of the intervals.
    """
    se = np.where(np.isnan(beta), np.nan, np.sqrt(np.maximum(np.diagonal(cov), 0.0)))
    low, high = beta - z_of(level) * se, beta + z_of(level) * se
    with np.errstate(divide="ignore", invalid="ignore"):
        z = beta / se
    p = p_of_z(z)
    return {
        name: effect(
            {"beta": beta[j], "se": se[j], "low": low[j], "high": high[j]},
            {"z": z[j], "p": p[j]},
            ratio=ratio,
        )
        for j, name in enumerate(names)
    }


def effect(
    estimate: Mapping[str, float], test: Mapping[str, float], *, ratio: str
) -> dict[str, Json]:
    """Return one coefficient: estimate and interval, also as a ratio, and its test.

    Args:
        estimate: "beta", "se", and "low" and "high" on the scale of beta.
        test: statistic and p.
        ratio: what exp(beta) is called.
    """
    low, high = estimate["low"], estimate["high"]
    with np.errstate(over="ignore"):
        ratios = {key: np.exp(value) for key, value in estimate.items()}
    return {
        "estimate": plain(estimate["beta"]),
        "se": plain(estimate["se"]),
        "estimate_low": plain(low),
        "estimate_high": plain(high),
        ratio: plain(ratios["beta"]),
        "ci_low": plain(ratios["low"]),
        "ci_high": plain(ratios["high"]),
        **{key: plain(value) for key, value in test.items()},
    }


def likelihood_ratio(smaller: float, larger: float, df: int) -> dict[str, Json]:
    """Return the likelihood-ratio test of two nested models' log-likelihoods."""
    chi2 = max(2.0 * (larger - smaller), 0.0)
    return {"chi2": plain(chi2), "df": df, "p": p_of_chi2(chi2, df)}
