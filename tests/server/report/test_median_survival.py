"""What a page says of a median that the shown curve does, or does not, reach."""

from typing import Any

import numpy as np

from common.analyses.survival import leaving
from common.analyses.survival_answer import group_answer
from common.analyses.survival_table import MOST_ROWS, published
from common.table import Floats
from server.report.median_survival import (
    LATER,
    NOT_REACHED,
    events_later_at_most,
    follow_up,
    median_survival,
)


def group(days: Floats, died: Floats) -> dict[str, Any]:
    counts = leaving(days, died, 1001)
    rows = np.zeros((MOST_ROWS, 6))
    found = published(counts, (), 0, 0.95)
    rows[: len(found)] = found
    mine = {
        "sizes": counts.sum(),
        "events": counts[0].sum(),
        "rows": rows,
        "means": np.zeros(3),
    }
    return dict(group_answer(mine, (0,), 0.95))


def test_a_median_is_printed_as_the_days_it_lies_between_and_not_as_one_of_them() -> None:
    days = np.arange(1, 101.0)
    found = group(days, np.ones(100))
    assert found["median"]["mode"] == "binned"
    ends = found["median"]["low"], found["median"]["high"]
    assert ends[0] < 50 <= ends[1]
    reach = found["median"]["ci_low"], found["median"]["ci_high"]
    shown = {float(day) for day in found["curve"]["days"]}
    assert {*ends, *reach} <= shown
    assert reach[0] <= ends[0] < ends[1] <= reach[1]
    assert median_survival(found) == (
        f"{ends[0] + 1:g} to {ends[1]:g}\n({reach[0]:g} to {reach[1]:g})"
    )
    assert f"{found['median']['estimate']:g}" not in median_survival(found).split()[:1]


def test_a_curve_that_ends_for_privacy_is_not_called_not_reached() -> None:
    days = np.arange(10, 190, 10.0)  # 18 patients, all die; the curve ends with ten left
    found = group(days, np.ones(18))
    assert found["median"]["estimate"] is None
    assert events_later_at_most(found) == 13
    assert median_survival(found) == f"{LATER}\nlater than day {found['curve']['days'][-1]}"
    assert follow_up(found) == f"{LATER}\nlater than day {found['curve']['days'][-1]}"


def test_not_reached_is_said_where_nobody_has_the_event_later() -> None:
    days = np.arange(1, 61.0)
    died = (days <= 10).astype(np.float64)
    found = group(days, died)
    assert events_later_at_most(found) == 0
    assert median_survival(found) == NOT_REACHED


def test_events_later_are_bounded_from_above() -> None:
    rng = np.random.default_rng(3)
    for _ in range(20):
        days = np.floor(rng.uniform(1, 1000, 80))
        died = (rng.random(80) < 0.4).astype(np.float64)
        found = group(days, died)
        last = found["curve"]["days"][-1]
        bound = events_later_at_most(found)
        assert bound is not None
        assert bound >= int(died[days > last].sum())
