"""A correlation's p value and confidence interval."""

import math
from typing import Literal

from common.analyses.analysis import Json
from common.analyses.plain import plain

Method = Literal["spearman", "pearson"]


def correlation_test(r: float, n: int, method: Method, level: float) -> dict[str, Json]:
    """Return estimate, interval and p of no correlation, None where undefined.

    p by Student's t with n - 2; interval by Fisher's z (Metron 1:3, 1921), with the
    variance of Bonett and Wright, Psychometrika 65:23 (2000), for ranks.

    Args:
        r: NaN for a constant column.
        n: cases.
        method: "spearman" for ranks.
        level: of the interval.
    """
    from scipy.special import ndtri, stdtr

    out: dict[str, Json] = dict.fromkeys(("estimate", "ci_low", "ci_high", "p"))
    if math.isnan(r):
        return out
    out["estimate"] = r
    if n < 4:
        return out
    if abs(r) == 1:
        return out | {"ci_low": r, "ci_high": r, "p": 0.0}
    t = r * math.sqrt((n - 2) / ((1 - r) * (1 + r)))
    more = r * r / 2 if method == "spearman" else 0.0
    reach = float(ndtri((1 + level) / 2)) * math.sqrt((1 + more) / (n - 3))
    z = math.atanh(r)
    interval = {"ci_low": math.tanh(z - reach), "ci_high": math.tanh(z + reach)}
    return {**out, **interval, "p": plain(2 * stdtr(n - 2, -abs(t)))}
