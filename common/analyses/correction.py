"""p values of several tests of one question, corrected for their number."""

from collections.abc import Sequence
from typing import Literal

import numpy as np

from common.analyses.analysis import Answer, Json

Correction = Literal["none", "bonferroni", "holm", "fdr_bh"]


def adjusted(p: Sequence[float | None], how: Correction) -> list[float | None]:
    """Return p values corrected for the number of tests that have one.

    Bonferroni; Holm, Scand J Stat 6:65 (1979); Benjamini and Hochberg, J R Stat Soc B
    57:289 (1995).

    Args:
        p: None where a test could not be done; it stays None and does not count.
        how: "none" returns p as it is.
    """
    known = [i for i, value in enumerate(p) if value is not None]
    values = np.array([p[i] for i in known], np.float64)
    order, m = np.argsort(values, kind="stable"), len(known)
    ordered = values[order]
    if how == "bonferroni":
        ordered = ordered * m
    elif how == "holm":
        ordered = np.maximum.accumulate(ordered * np.arange(m, 0, -1))
    elif how == "fdr_bh":
        scaled = ordered * m / np.arange(1, m + 1)
        ordered = np.minimum.accumulate(scaled[::-1])[::-1]
    out: list[float | None] = [None] * len(p)
    for rank, value in zip(order, np.minimum(ordered, 1.0), strict=True):
        out[known[int(rank)]] = float(value)
    return out


def with_significant(answer: Answer, below: float | None) -> Answer:
    """Return an answer with the list of its columns whose corrected p is below a limit."""
    columns = answer.values["columns"]
    if below is None or not isinstance(columns, dict):
        return answer
    found: list[Json] = []
    for name, of in columns.items():
        p = of.get("p_adjusted") if isinstance(of, dict) else None
        if isinstance(p, float) and p < below:
            found.append(name)
    return Answer({**answer.values, "significant": found}, answer.arrays)
