"""Calibration of one score as an answer prints it."""

import math

import numpy as np

from common.analyses import newton
from common.analyses.analysis import Json
from common.analyses.delong import wald
from common.analyses.logit import probability
from common.analyses.proportions import proportion
from common.table import Floats

_STATES = {
    newton.SEPARATED: "the score separates the classes: no finite slope",
    newton.STALLED: "did not converge",
}


def score_answer(
    fit: newton.Fit,
    moments: Floats,
    bins: Floats,
    sizes: tuple[int, int],
    settings: tuple[float, int],
) -> dict[str, Json]:
    """Return everything about one score.

    Args:
        fit: two problems: intercept and slope, intercept with the slope fixed at 1.
        moments: sums of p, (y - p)^2, (y - p)^4, (y - p)(1 - 2p), (1 - 2p)^2 p (1 - p).
        bins: patients, events, sum of p; empty bins are zero.
        sizes: patients, events.
        settings: level of the intervals, degrees of freedom lost.
    """
    (n, n_events), (level, lost_df) = sizes, settings
    sum_p, squares, fourths, off, variance = moments.tolist()
    rate, brier = n_events / n, squares / n
    spread = max(fourths / n - brier**2, 0.0) / n
    found = wald(brier, spread, level, 0.0)
    used = bins[bins[:, 0] > 0]
    z = off / math.sqrt(variance) if variance > 0 else None
    return {
        "brier": {"estimate": brier, "ci_low": found.ci_low, "ci_high": found.ci_high},
        "scaled_brier": 1 - brier / (rate * (1 - rate)),
        "expected": sum_p,
        "observed_to_expected": _ratio(n_events, n, sum_p, level),
        **_recalibration(fit, level),
        "hosmer_lemeshow": _hosmer_lemeshow(used, lost_df),
        "spiegelhalter": {"z": z, "p": _two_sided(z)},
        "calibration_error": float(np.abs(used[:, 1] - used[:, 2]).sum() / used[:, 0].sum()),
        "bins": _bins(used, level),
    }


def _recalibration(fit: newton.Fit, level: float) -> dict[str, Json]:
    nothing: dict[str, Json] = dict.fromkeys(("estimate", "se", "ci_low", "ci_high", "p"))
    out: dict[str, Json] = {"intercept": nothing, "slope": nothing}
    out |= {"in_the_large": nothing, "line": None}
    cov = newton.inverse_of(fit.curvature, fit.free)
    if fit.state[1] == newton.CONVERGED:
        out["in_the_large"] = _wald(fit.beta[1, 0], cov[1, 0, 0], level, 0.0)
    if fit.state[0] != newton.CONVERGED:
        return out | {"note": _STATES[int(fit.state[0])]}
    if not fit.free[0, 1]:
        return out | {"note": "the score is constant: no slope"}
    out["intercept"] = _wald(fit.beta[0, 0], cov[0, 0, 0], level, 0.0)
    out["slope"] = _wald(fit.beta[0, 1], cov[0, 1, 1], level, 1.0)
    return out | {"line": _line(fit.beta[0], cov[0], level)}


def _wald(estimate: float, variance: float, level: float, null: float) -> dict[str, Json]:
    found = wald(float(estimate), float(variance), level, null)
    return {"estimate": float(estimate), **found._asdict()}


def _line(beta: Floats, cov: Floats, level: float) -> dict[str, Json]:
    """Return the recalibrated probability over the predicted one, for a figure."""
    from scipy.stats import norm

    p = np.arange(1, 100) / 100
    x = np.column_stack([np.ones(p.size), np.log(p / (1 - p))])
    eta = x @ beta
    reach = norm.isf((1 - level) / 2) * np.sqrt(np.einsum("ni,ij,nj->n", x, cov, x))
    return {
        "predicted": p.tolist(),
        "observed": probability(eta).tolist(),
        "ci_low": probability(eta - reach).tolist(),
        "ci_high": probability(eta + reach).tolist(),
    }


def _ratio(n_events: int, n: int, expected: float, level: float) -> dict[str, Json]:
    """Return observed / expected; the interval is that of log observed."""
    from scipy.stats import norm

    if expected <= 0:
        return {"estimate": None, "ci_low": None, "ci_high": None}
    ratio = n_events / expected
    reach = math.exp(float(norm.isf((1 - level) / 2)) * math.sqrt((1 - n_events / n) / n_events))
    return {"estimate": ratio, "ci_low": ratio / reach, "ci_high": ratio * reach}


def _hosmer_lemeshow(bins: Floats, lost_df: int) -> dict[str, Json]:
    """Hosmer, Lemeshow, Commun Stat Theory Methods 9:1043 (1980)."""
    from scipy.stats import chi2

    n, observed, expected = bins.T
    variance = expected * (1 - expected / n)
    df = len(bins) - lost_df
    if df < 1 or (variance <= 0).any():
        return {"chi2": None, "df": df, "p": None}
    statistic = float(((observed - expected) ** 2 / variance).sum())
    return {"chi2": statistic, "df": df, "p": float(chi2.sf(statistic, df))}


def _bins(bins: Floats, level: float) -> dict[str, Json]:
    """Return predicted and observed rates in the bins, for a figure."""
    n, n_events, sum_p = bins.T
    rates = [
        proportion(int(k), int(of), level, "wilson") for k, of in zip(n_events, n, strict=True)
    ]
    return {
        "n": n.astype(np.int64).tolist(),
        "predicted": (sum_p / n).tolist(),
        "observed": [r["estimate"] for r in rates],
        "ci_low": [r["ci_low"] for r in rates],
        "ci_high": [r["ci_high"] for r in rates],
    }


def _two_sided(z: float | None) -> float | None:
    from scipy.stats import norm

    return None if z is None else float(2 * norm.sf(abs(z)))
