"""Effects of several sites put together: fixed and random effects, heterogeneity.

DerSimonian, Laird, Control Clin Trials 7:177 (1986); Hartung, Knapp, Stat Med 20:3875
(2001); Higgins, Thompson, Stat Med 21:1539 (2002). With t the effect of a site and w =
1 / se^2 everything follows from sums over sites.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from common.analyses.analysis import Json
from common.analyses.delong import wald
from common.analyses.hidden_cells import LEVELS, below


@dataclass(frozen=True, slots=True)
class Weighed:
    """Sums over sites: of 1, w, w^2, w t and w t^2."""

    k: int
    w: float
    w2: float
    wt: float
    wt2: float

    @property
    def mean(self) -> float:
        """The weighted mean effect."""
        return self.wt / self.w

    @property
    def q(self) -> float:
        """Cochran's Q, the weighted squares about the mean."""
        return max(self.wt2 - self.wt**2 / self.w, 0.0)

    @property
    def tau2(self) -> float:
        """The variance between sites by DerSimonian and Laird; never below 0."""
        spread = self.w - self.w2 / self.w
        return max((self.q - (self.k - 1)) / spread, 0.0) if spread > 0 else 0.0


def weigh(effects: Sequence[float], variances: Sequence[float], tau2: float = 0.0) -> Weighed:
    """Return the sums of effects at hand, with weights 1 / (variance + tau2)."""
    t = np.asarray(effects, np.float64)
    w = 1 / (np.asarray(variances, np.float64) + tau2)
    return Weighed(
        len(t),
        float(w.sum()),
        float((w * w).sum()),
        float((w * t).sum()),
        float((w * t * t).sum()),
    )


def summary(fixed: Weighed, random: Weighed, level: float) -> dict[str, Json]:
    """Return what a paper prints of a meta-analysis of two sites or more.

    Args:
        fixed: sums with w = 1 / se^2.
        random: sums with w = 1 / (se^2 + tau2), tau2 that of `fixed`.
        level: of the intervals.
    """
    from scipy.stats import chi2, t

    k, q, df = fixed.k, fixed.q, fixed.k - 1
    tail = (1 - level) / 2
    hksj = math.sqrt(random.q / (df * random.w))
    reach = float(t.isf(tail, df)) * hksj
    mean = random.mean
    return {
        "k": k,
        "fixed": _normal(fixed, level),
        "random": _normal(random, level),
        "hksj": {
            "estimate": mean,
            "se": hksj,
            "ci_low": mean - reach,
            "ci_high": mean + reach,
            "p": float(2 * t.sf(abs(mean) / hksj, df)) if hksj > 0 else None,
        },
        "prediction": _prediction(random, fixed.tau2, tail),
        "q": q,
        "df": df,
        "p_heterogeneity": float(chi2.sf(q, df)),
        "tau2": fixed.tau2,
        **_inconsistency(q, df, level),
    }


def summary_of_few(fixed: Weighed, random: Weighed, level: float) -> dict[str, Json]:
    """Return the random-effects mean and I^2 to a few digits, for three or four sites.

    Of k sites there are 2k unknowns, effects and variances, or k where their sizes are known.
    The seven numbers of `summary`, in full, are as many equations. So here are three, of
    which the mean and its interval are rounded to the power of ten below a third of
    the standard error, and I^2 to a tenth; of p is told below which level it lies, where that
    is the same for all that is rounded alike.
    """
    from scipy.stats import norm

    z = float(norm.isf((1 - level) / 2))
    se = 1 / math.sqrt(random.w)
    unit = 10.0 ** math.floor(math.log10(se / 3))
    mean, low, high = (
        round(round(x / unit) * unit, 12)
        for x in (random.mean, random.mean - z * se, random.mean + z * se)
    )
    rough = (high - low) / (2 * z)
    shares = _inconsistency(fixed.q, fixed.k - 1, level)["i2"]
    i2 = shares["estimate"] if isinstance(shares, dict) else None
    told: dict[str, Json] = {"estimate": mean, "se": float(f"{rough:.1e}")}
    told |= {"ci_low": low, "ci_high": high, "p": None}
    reach = unit / 2 / z  # how far the error may be from the rounded one
    ends = [(abs(mean) + s * unit / 2) / (rough - s * reach) for s in (1, -1)]
    p_below = {below(float(2 * norm.sf(max(end, 0.0))), LEVELS[0]) for end in ends}
    told |= {"p_below": p_below.pop()} if len(p_below) == 1 else {}
    return {
        "k": fixed.k,
        "random": told,
        "rounded_to": unit,
        "i2": {"estimate": round(i2, 1) if isinstance(i2, float) else None},
        "rounded": "of fewer than five sites, as more numbers would tell each site's own",
    }


def forest(effects: Sequence[float], errors: Sequence[float], level: float) -> dict[str, Json]:
    """Return a meta-analysis of effects that sites have shown, for a forest plot.

    Args:
        effects: of two sites or more.
        errors: their standard errors, above 0.
        level: of the intervals.

    Returns:
        `summary`, and in the order given: each site's interval and weight, and the
        random-effects mean without that site (three sites or more).
    """
    if min(errors) <= 0:
        raise ValueError(f"errors: expected numbers above 0, got {min(errors):g}")
    variances = [e * e for e in errors]
    fixed = weigh(effects, variances)
    random = weigh(effects, variances, fixed.tau2)
    sites: list[Json] = []
    for i, (effect, variance) in enumerate(zip(effects, variances, strict=True)):
        own = wald(effect, variance, level, 0.0)
        rest = [j for j in range(len(effects)) if j != i]
        others = [effects[j] for j in rest], [variances[j] for j in rest]
        without = weigh(*others, weigh(*others).tau2) if len(rest) > 1 else None
        sites.append(
            {
                "estimate": effect,
                **own._asdict(),
                "weight": 1 / (variance + fixed.tau2) / random.w,
                "without": None if without is None else _normal(without, level),
            }
        )
    return {**summary(fixed, random, level), "sites": sites}


def _normal(sums: Weighed, level: float) -> dict[str, Json]:
    found = wald(sums.mean, 1 / sums.w, level, 0.0)
    return {"estimate": sums.mean, **found._asdict()}


def _prediction(random: Weighed, tau2: float, tail: float) -> dict[str, Json]:
    """Return where the effect of a new site lies (Higgins, J R Stat Soc A 172:137, 2009)."""
    from scipy.stats import t

    if random.k < 3:
        return {"ci_low": None, "ci_high": None}
    reach = float(t.isf(tail, random.k - 2)) * math.sqrt(tau2 + 1 / random.w)
    return {"ci_low": random.mean - reach, "ci_high": random.mean + reach}


def _inconsistency(q: float, df: int, level: float) -> dict[str, Json]:
    """Return I^2 = 1 - df / Q with the test-based interval, wide for few sites."""
    from scipy.stats import norm

    i2 = max(0.0, 1 - df / q) if q > 0 else 0.0
    if q > df + 1:
        se = (math.log(q) - math.log(df)) / (2 * (math.sqrt(2 * q) - math.sqrt(2 * df - 1)))
    elif df > 1:
        se = math.sqrt((1 - 1 / (3 * (df - 1) ** 2)) / (2 * (df - 1)))
    else:
        return {"i2": {"estimate": i2, "ci_low": None, "ci_high": None}}
    h = math.sqrt(max(q, df) / df)
    reach = math.exp(float(norm.isf((1 - level) / 2)) * se)
    low, high = (max(0.0, 1 - 1 / x**2) for x in (h / reach, h * reach))
    return {"i2": {"estimate": i2, "ci_low": low, "ci_high": high}}
