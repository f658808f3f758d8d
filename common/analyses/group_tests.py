"""Tests of a column between groups, from counts, means and sums of squares or of ranks.

Nothing here sees a patient. Groups without a value are left out; a test that cannot be
done says why in `note` and has no p.
"""

import math
from collections.abc import Mapping

import numpy as np

from common.analyses.analysis import Json
from common.analyses.plain import plain
from common.analyses.rank_sums import RankSums
from common.sums import Array
from common.table import Floats

Outcome = dict[str, Json]


def t_test(n: Floats, mean: Floats, squares: Floats, *, equal: bool, level: float) -> Outcome:
    """Compare two means: second group minus first.

    Student's test for equal variances, else Welch, Biometrika 34:28 (1947); with
    Hedges' g, J Educ Stat 6:107 (1981).

    Args:
        n: values in each group, shape (2,).
        mean: their means.
        squares: their sums of squared deviations.
        equal: whether the groups share one variance.
        level: of the confidence interval.
    """
    from scipy.special import stdtr, stdtrit

    if min(n) < 2:
        return _not_done(_lacks_groups(n) or "fewer than two values in a group")
    variance = squares / (n - 1)
    pooled = float(squares.sum() / (n.sum() - 2))
    parts = (np.full(2, pooled) if equal else variance) / n
    se = math.sqrt(parts.sum())
    if se == 0:
        return _not_done("no spread within the groups")
    df = n.sum() - 2 if equal else parts.sum() ** 2 / (parts**2 / (n - 1)).sum()
    difference = float(mean[1] - mean[0])
    reach = float(stdtrit(df, (1 + level) / 2)) * se
    correction = 1 - 3 / (4 * (n.sum() - 2) - 1)
    return {
        "statistic": difference / se,
        "df": float(df),
        "p": plain(2 * stdtr(df, -abs(difference / se))),
        "estimate": difference,
        "ci_low": difference - reach,
        "ci_high": difference + reach,
        "hedges_g": plain(difference / math.sqrt(pooled) * correction),
    }


def anova(n: Floats, mean: Floats, squares: Floats) -> Outcome:
    """Compare several means by their spread between and within groups (Fisher's F)."""
    from scipy.special import fdtrc

    n, mean, squares = (a[n > 0] for a in (n, mean, squares))
    k, total = len(n), float(n.sum())
    mean = mean - mean[:1]
    if k < 2 or total <= k:
        return _not_done(_lacks_groups(n) or "one value a group")
    between = float((n * (mean - (n * mean).sum() / total) ** 2).sum())
    within = float(squares.sum())
    if within == 0:
        return _not_done("no spread within the groups")
    f = between / (k - 1) / (within / (total - k))
    return {
        "statistic": f,
        "df": [k - 1, int(total) - k],
        "p": plain(fdtrc(k - 1, total - k, f)),
        "eta_squared": between / (between + within),
    }


def welch_anova(n: Floats, mean: Floats, squares: Floats) -> Outcome:
    """Compare several means with unequal variances: Welch, Biometrika 38:330 (1951)."""
    from scipy.special import fdtrc

    n, mean, squares = (a[n > 0] for a in (n, mean, squares))
    k = len(n)
    if k < 2 or min(n) < 2:
        return _not_done(_lacks_groups(n) or "fewer than two values in a group")
    if min(squares) == 0:
        return _not_done("no spread within a group")
    mean = mean - mean[0]
    w = n * (n - 1) / squares
    centre = (w * mean).sum() / w.sum()
    lack = float(((1 - w / w.sum()) ** 2 / (n - 1)).sum())
    top = float((w * (mean - centre) ** 2).sum()) / (k - 1)
    f = top / (1 + 2 * (k - 2) / (k**2 - 1) * lack)
    df = (k**2 - 1) / (3 * lack)
    return {"statistic": f, "df": [k - 1, df], "p": plain(fdtrc(k - 1, df, f))}


def mann_whitney(ranks: RankSums) -> Outcome:
    """Compare two groups by ranks, with correction for ties and continuity.

    Mann and Whitney, Ann Math Stat 18:50 (1947). `auc` is the chance that a value of
    the second group lies above one of the first, ties half.
    """
    from scipy.special import ndtr

    n1, n2 = (int(n) for n in ranks.n)
    if min(n1, n2) == 0:
        return _not_done(_lacks_groups(ranks.n) or "a group without a value")
    u = float(ranks.doubled[1]) / 2 - n2 * (n2 + 1) / 2
    n = n1 + n2
    variance = n1 * n2 / 12 * (n + 1 - ranks.ties / (n * (n - 1)))
    if variance <= 0:
        return _not_done("all values are equal")
    z = (abs(u - n1 * n2 / 2) - 0.5) / math.sqrt(variance)
    out: Outcome = {
        "statistic": u,
        "p": min(1.0, float(2 * ndtr(-z))),
        "auc": u / (n1 * n2),
    }
    return {**out, **_binned(ranks, float(ranks.slack[1]) / 2 / (n1 * n2), "auc")}


def kruskal_wallis(ranks: RankSums) -> Outcome:
    """Compare several groups by ranks: Kruskal and Wallis, JASA 47:583 (1952)."""
    from scipy.special import chdtrc

    held = ranks.n > 0
    size, slack = ranks.n[held].astype(float), ranks.slack[held] / 2
    k, n = len(size), float(size.sum())
    if k < 2:
        return _not_done(_lacks_groups(size) or "fewer than two groups with values")
    untied = 1 - ranks.ties / (n**3 - n)
    if untied <= 0:
        return _not_done("all values are equal")
    off = ranks.doubled[held] / 2 - size * (n + 1) / 2
    factor = 12 / (n * (n + 1)) / untied
    h = float(factor * (off**2 / size).sum())
    out: Outcome = {
        "statistic": h,
        "df": k - 1,
        "p": plain(chdtrc(k - 1, h)),
        "epsilon_squared": h / (n - 1),
    }
    # Finer cells could also lower the correction for ties, at most to none.
    reach = factor * float(((2 * abs(off) * slack + slack**2) / size).sum())
    bound = reach + h * (1 - untied) if ranks.slack.any() else 0.0
    return {**out, **_binned(ranks, bound, "statistic")}


def _binned(ranks: RankSums, bound: float, of: str) -> Mapping[str, Json]:
    if not ranks.slack.any():
        return {"mode": "exact"}
    return {"mode": "binned", "bound": bound, "bound_of": of}


def _lacks_groups(n: Array) -> str | None:
    """Say that there is nothing to compare; None where two groups have values."""
    held = int((np.asarray(n) > 0).sum())
    if held > 1:
        return None
    return "all cases with a value are in one group" if held else "no case has a value"


def _not_done(why: str) -> Outcome:
    return {"statistic": None, "p": None, "note": why}
