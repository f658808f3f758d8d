"""Statistics of two measurements of the same cases, from their sums."""

import math
from dataclasses import dataclass

import numpy as np

from common.analyses.analysis import Json
from common.analyses.plain import plain
from common.analyses.rank_cells import Counts

Outcome = dict[str, Json]


@dataclass(frozen=True)
class Pair:
    """Sums of one pair of columns a, b over the cases that have both.

    Attributes:
        n: cases.
        mean_a: of a.
        mean_b: of b.
        aa: sum of squares of a around its mean.
        bb: of b.
        ab: sum of products around both means.
        dd: sum of squares of a - b around its mean.
    """

    n: int
    mean_a: float
    mean_b: float
    aa: float
    bb: float
    ab: float
    dd: float

    @property
    def difference(self) -> float:
        """Mean of a - b."""
        return self.mean_a - self.mean_b

    @property
    def sd(self) -> float:
        """Standard deviation of a - b; two cases at least."""
        return math.sqrt(self.dd / (self.n - 1))


def paired_t(pair: Pair, level: float) -> Outcome:
    """Return the mean difference a - b, its interval and the paired t-test."""
    from scipy.special import stdtr, stdtrit

    if pair.n < 2 or pair.dd == 0:
        note = "fewer than two cases" if pair.n < 2 else "all differences are equal"
        return {"estimate": plain(pair.difference), "p": None, "note": note}
    df, se = pair.n - 1, pair.sd / math.sqrt(pair.n)
    t, reach = pair.difference / se, float(stdtrit(df, (1 + level) / 2)) * se
    return {
        "estimate": pair.difference,
        "ci_low": pair.difference - reach,
        "ci_high": pair.difference + reach,
        "statistic": t,
        "df": df,
        "p": plain(2 * stdtr(df, -abs(t))),
        "cohens_d": pair.difference / pair.sd,
    }


def limits_of_agreement(pair: Pair, level: float) -> Outcome | None:
    """Return bias and 95 % limits of agreement with intervals.

    Bland and Altman, Stat Methods Med Res 8:135 (1999), section 2.
    """
    from scipy.special import stdtrit

    if pair.n < 3:
        return None
    z, n = 1.959963984540054, pair.n
    se = pair.sd * math.sqrt(1 / n + z**2 / (2 * (n - 1)))
    reach = float(stdtrit(n - 1, (1 + level) / 2)) * se
    low, high = pair.difference - z * pair.sd, pair.difference + z * pair.sd
    return {
        "bias": pair.difference,
        "sd": pair.sd,
        "lower": {"estimate": low, "ci_low": low - reach, "ci_high": low + reach},
        "upper": {"estimate": high, "ci_low": high - reach, "ci_high": high + reach},
    }


def concordance(pair: Pair, level: float) -> Outcome | None:
    """Return Lin's concordance correlation with its interval by Fisher's z.

    Lin, Biometrics 45:255 (1989), correction 56:324 (2000); None where a column is
    constant or fewer than three cases have both.
    """
    from scipy.special import ndtri

    n = pair.n
    if n < 3 or min(pair.aa, pair.bb) == 0:
        return None
    r = max(-1.0, min(1.0, pair.ab / math.sqrt(pair.aa * pair.bb)))
    ccc = 2 * pair.ab / (pair.aa + pair.bb + n * pair.difference**2)
    out: Outcome = {"estimate": ccc, "pearson": r}
    if r == 0 or abs(ccc) >= 1:
        edge = ccc if r else None
        return out | {"ci_low": edge, "ci_high": edge}
    u2 = n * pair.difference**2 / math.sqrt(pair.aa * pair.bb)
    c2 = ccc**2
    variance = (
        (1 - r**2) * c2 / ((1 - c2) * r**2)
        + 2 * ccc**3 * (1 - ccc) * u2 / (r * (1 - c2) ** 2)
        - ccc**4 * u2**2 / (2 * r**2 * (1 - c2) ** 2)
    ) / (n - 2)
    reach = float(ndtri((1 + level) / 2)) * math.sqrt(max(variance, 0.0))
    z = math.atanh(ccc)
    return out | {"ci_low": math.tanh(z - reach), "ci_high": math.tanh(z + reach)}


def signed_ranks(n_above: Counts, n_below: Counts) -> tuple[float, int, float]:
    """Return rank sum above zero, n and sum of t**3 - t, from counts of |d| by sign.

    Args:
        n_above: differences above zero by magnitude, increasing.
        n_below: those below zero; zeros take no part.
    """
    h = n_above + n_below
    doubled = 2 * (np.cumsum(h) - h) + h + 1
    ties = float((h**3.0 - h).sum())
    return int((n_above * doubled).sum()) / 2, int(h.sum()), ties


def signed_rank_from(rank_sum: float, n: int, ties: float) -> Outcome:
    """Return Wilcoxon's signed-rank test, Biometrics Bull 1:80 (1945).

    Normal approximation with correction for ties; differences of zero are left out.

    Args:
        rank_sum: of the differences above zero.
        n: differences other than zero.
        ties: sum of t**3 - t over runs of t equal magnitudes.
    """
    from scipy.special import ndtr

    if n == 0:
        return {"n": 0, "p": None, "note": "no difference other than zero"}
    variance = n * (n + 1) * (2 * n + 1) / 24 - ties / 48
    z = (rank_sum - n * (n + 1) / 4) / math.sqrt(variance)
    return {
        "n": n,
        "rank_sum": rank_sum,
        "statistic": z,
        "p": float(2 * ndtr(-abs(z))),
        "rank_biserial": 2 * rank_sum / (n * (n + 1) / 2) - 1,
        "mode": "exact",
    }
