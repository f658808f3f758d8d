"""p values of the best of many cut-offs, which a plain test makes too small."""

import math

import numpy as np

from common.analyses.survival import Ints
from common.table import Floats


def lausen_schumacher(largest: float, low: float, high: float) -> float:
    """Return P(max |z| > largest) over cut-offs between two shares of the patients.

    Lausen, Schumacher, Biometrics 48:73 (1992), after Miller and Siegmund:
    p = phi(b) (b - 1/b) log(high (1 - low) / ((1 - high) low)) + 4 phi(b) / b.

    Args:
        largest: b, the largest |z|.
        low: least share of patients below a cut-off.
        high: largest share of patients below a cut-off.
    """
    if largest <= 1:
        return 1.0
    density = math.exp(-largest * largest / 2) / math.sqrt(2 * math.pi)
    spread = math.log(high * (1 - low) / ((1 - high) * low))
    p = density * ((largest - 1 / largest) * spread + 4 / largest)
    return min(1.0, p)


def improved_bonferroni(largest: float, below: Ints, n: int) -> float:
    """Return P(max |z| > largest) over some given cut-offs.

    Lausen, Sauerbrei, Schumacher, in: Computational Statistics (Physica, 1994) 1483:
    p = 2 (1 - Phi(b)) + sum_i D(i, i + 1), where
    D = exp(-b^2 / 2) / pi * (t - (b^2 / 4 - 1) t^3 / 6) and
    t^2 = 1 - n_i (n - n_{i+1}) / ((n - n_i) n_{i+1}). Never above Bonferroni's p.

    Args:
        largest: b, the largest |z|.
        below: patients below each cut-off, increasing.
        n: patients.
    """
    from scipy.stats import norm

    single = float(2 * norm.sf(largest))
    a, b = below[:-1].astype(np.float64), below[1:].astype(np.float64)
    t = np.sqrt(np.maximum(1 - a * (n - b) / ((n - a) * b), 0.0))
    extra = math.exp(-largest * largest / 2) / math.pi
    extra *= float((t - (largest * largest / 4 - 1) * t**3 / 6).sum())
    return min(1.0, single + max(extra, 0.0), single * below.size)


def contal_o_quigley(largest: float, squares: float) -> float:
    """Return the p of the largest |O - E| as the supremum of a Brownian bridge.

    Contal, O'Quigley, Comput Stat Data Anal 30:253 (1999): Q = max |O - E| over the
    root of sum a_i^2; p = 2 sum_j (-1)^{j+1} exp(-2 j^2 Q^2).

    Args:
        largest: the largest |O - E|.
        squares: sum of `death_scores` squared, over strata.
    """
    if squares <= 0:
        return 1.0
    j = np.arange(1, 101)
    terms = np.where(j % 2 == 1, 1.0, -1.0) * np.exp(-2 * j**2 * largest**2 / squares)
    # The series does not settle where Q is close to 0; p is 1 there.
    return 1.0 if largest**2 < 0.04 * squares else min(1.0, float(2 * terms.sum()))


def death_scores(n_deaths: int) -> Floats:
    """Return a_i = 1 - sum_{j <= i} 1 / (D - j + 1), i = 1 .. D."""
    return 1 - np.cumsum(1 / np.arange(n_deaths, 0, -1, dtype=np.float64))
