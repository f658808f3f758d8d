"""What of a survival curve may be published: cells that five patients leave."""

from collections.abc import Sequence

import numpy as np

from common.analyses.analysis import Json
from common.analyses.merging import runs, shown_cuts
from common.analyses.publish import SMALLEST_CELL
from common.analyses.survival import Ints, kaplan_meier
from common.table import Floats

FEWEST_AT_RISK = 10
MOST_ROWS = 250
DAY, SURVIVAL, LOW, HIGH, AT_RISK, FOLLOWED = range(6)


def published(counts: Ints, marks: Sequence[int], smallest: int, level: float) -> Floats:
    """Return a survival curve on days between which enough patients leave.

    Args:
        counts: leaving by the event and censored on each day, shape (2, days).
        marks: days wanted in the table; kept where enough leave between them.
        smallest: policy's smallest cell where a site's own numbers leave; else 0, for
            five: so many have the event between two days, or nobody, and so many are
            censored, or nobody.
        level: of the intervals.

    Returns:
        Rows of day, survival after it and its interval, patients left after it,
        and the reverse curve that measures follow-up; shape (rows, 6). The values at a
        day are exact. Ends where fewer than ten are left; empty with fewer patients.
    """
    n = int(counts.sum())
    least = max(SMALLEST_CELL, smallest, -(-n // (MOST_ROWS - len(marks))))
    days = _days(counts, marks, least)
    left = n - counts.sum(axis=0).cumsum()[days]
    days, left = days[left >= FEWEST_AT_RISK], left[left >= FEWEST_AT_RISK]
    curve, followed = kaplan_meier(counts), kaplan_meier(counts[::-1])
    low, high = curve.interval(level)
    rows = [x[days] for x in (curve.survival, low, high)]
    return np.column_stack([days, *rows, left, followed.survival[days]])


def _days(counts: Ints, marks: Sequence[int], least: int) -> Ints:
    """Cut the days at the marks, and each part between two marks further."""
    n_days = counts.shape[1]
    cuts = np.unique([m + 1 for m in marks if 0 < m < n_days - 1]).astype(np.int64)
    between = np.add.reduceat(counts, np.append(0, cuts), axis=1)
    kept = cuts[shown_cuts(between, least, each=True)]
    ends: list[int] = []
    for start, end in zip([0, *kept], [*kept, n_days], strict=True):
        part = runs(counts[:, start:end], least, each=True) + start
        ends += part.tolist()
    return np.array(ends, np.int64) - 1


def crossing(days: Floats, curve: Floats, height: float) -> dict[str, Json]:
    """Return the day a published curve falls to a height: a quantile of survival.

    Rule R7: a day of which five patients are not near is not published. The day lies in
    (low, high], two neighbouring published days; the estimate is where a straight line
    between them crosses.
    """
    x, y = np.append(0.0, days), np.append(1.0, curve)
    below = np.flatnonzero(y <= height)
    if not below.size or below[0] == 0:
        return {"estimate": None, "low": None, "high": None}
    i = int(below[0])
    share = (y[i - 1] - height) / (y[i - 1] - y[i])
    estimate = x[i - 1] + share * (x[i] - x[i - 1])
    return {"estimate": float(estimate), "low": float(x[i - 1]), "high": float(x[i])}


def columns_of(rows: Floats, n: int) -> dict[str, Json]:
    """Return a published curve as lists for a figure, from day 0 on."""
    return {
        "days": [0, *rows[:, DAY].astype(np.int64).tolist()],
        "survival": [1.0, *rows[:, SURVIVAL].tolist()],
        "ci_low": [1.0, *rows[:, LOW].tolist()],
        "ci_high": [1.0, *rows[:, HIGH].tolist()],
        "at_risk": [n, *rows[:, AT_RISK].astype(np.int64).tolist()],
    }


def marks_of(rows: Floats, marks: Sequence[int], n: int) -> list[Json]:
    """Return survival and patients left at the wanted days; None where not shown."""
    curve = columns_of(rows, n)
    days = curve.pop("days")
    table: list[Json] = []
    for mark in marks:
        k = days.index(mark) if isinstance(days, list) and mark in days else None
        row = {
            name: values[k] if isinstance(values, list) and k is not None else None
            for name, values in curve.items()
        }
        table.append({"day": mark, **row})
    return table
