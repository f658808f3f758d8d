"""Medians of survival as a page prints them: never more than the shown curve knows."""

import math
from collections.abc import Mapping
from itertools import pairwise
from typing import Any

from server.report.numbers import fixed, is_number, whole

Values = Mapping[str, Any]
NOT_REACHED, LATER = "not reached", "not shown"
TO = " to "
_SLACK = 1e-6


def median_survival(found: Values) -> str:
    """Return the two days a group's median lies between, with its interval.

    Not the estimate on a line between them: it would read as exact as a median of the cases.
    """
    median = found["median"]
    if is_number(median.get("estimate")):
        ends = [_end(median.get(key)) for key in ("ci_low", "ci_high")]
        return f"{_window(median)}\n({' to '.join(ends)})"
    if events_later_at_most(found) == 0:
        return NOT_REACHED
    last = found["curve"]["days"][-1]
    return f"{LATER}\n{f'later than day {whole(last)}' if last else 'too few patients'}"


def follow_up(found: Values) -> str:
    """Return the two days the median follow-up lies between."""
    median = found["median_follow_up"]
    if is_number(median.get("estimate")):
        return _window(median)
    last = found["curve"]["days"][-1]
    return f"{LATER}\n{f'later than day {whole(last)}' if last else 'too few patients'}"


def events_later_at_most(found: Values) -> int | None:
    """Return at most how many have the event after the last shown day; None: unknown.

    Between two shown days the curve falls least for d events where all of them come
    first: by a factor (r - d) / r; it falls most where all come last: by s / (s + d),
    with r left at the first day and s at the second. So at least s (1 / factor - 1).
    """
    if not is_number(found.get("events")):
        return None
    curve, fewest = found["curve"], 0
    points = list(zip(curve["survival"], curve["at_risk"], strict=True))
    for (before, _), (after, left) in pairwise(points):
        if after > 0:
            fewest += math.ceil(left * (before / after - 1) - _SLACK)
    return max(0, int(found["events"]) - fewest)


def _window(median: Values) -> str:
    """Return the window (low, high] of whole days; one day where it holds no other."""
    low, high = median["low"], median["high"]
    return whole(high) if high - low == 1 else f"{whole(low + 1)}{TO}{whole(high)}"


def _end(value: Any) -> str:
    return fixed(value, 0) if is_number(value) else "?"
