"""The share of a round that is not local training, from a journal whose answer is known."""

from pathlib import Path
from typing import Any

import pytest

from server.report.record import read_record
from server.report.share import shares
from tests.server.report.folders import page_of, write_run


def _journal(work: list[dict[str, float]], seconds: list[float], **session: Any) -> list[Any]:
    events: list[dict[str, Any]] = [{"event": "session", "session": "s", "sites": [], **session}]
    for number, (work_s, lasted) in enumerate(zip(work, seconds, strict=True), start=1):
        problems = ["segment/development", "table_1/all"]
        events.append({"event": "round", "round": number, "problems": problems})
        events.append({"event": "exchanged", "round": number, "seconds": lasted, "work_s": work_s})
    other = {"event": "round", "round": 9, "problems": ["table_1/all"]}
    return [*events, other, {"event": "exchanged", "round": 9, "seconds": 50.0, "work_s": {}}]


@pytest.mark.parametrize(
    ("at_once", "work", "share"),
    [
        (1, {"east": 4.0, "west": 5.0}, 0.1),  # one after the other: 9 of 10 s
        (2, {"east": 4.0, "west": 5.0}, 0.5),  # the slower one: 5 of 10 s
        (2, {"east": 4.0, "west": 5.0, "south": 9.0}, 0.1),  # 18 s on two workers: 9 of 10 s
        (1, {"east": 11.0}, 0.0),  # a clock that is off makes no negative share
    ],
)
def test_the_share_is_what_local_work_leaves(
    tmp_path: Path, at_once: int, work: dict[str, float], share: float
) -> None:
    run = write_run(tmp_path, _journal([work] * 3, [10.0] * 3, at_once=at_once))
    (found,) = shares(read_record(run))
    assert (found.step, found.n_rounds, found.seconds) == ("segment", 3, 10.0)
    assert found.share == pytest.approx(share)


def test_the_median_is_not_moved_by_the_first_round(tmp_path: Path) -> None:
    work = [{"east": 9.5}] * 5
    run = write_run(tmp_path, _journal(work, [60.0, 10.0, 10.0, 10.0, 10.0], at_once=2))
    (found,) = shares(read_record(run))
    assert str(found) == "segment: 5 rounds, median 10 s, 5.0 % of it not local training"
    page = page_of(run)
    assert "What training together costs beside the training" in page
    assert "5.0 %" in page


def test_without_a_word_of_the_journal_the_roster_says_how_many_work_at_once(
    tmp_path: Path,
) -> None:
    run = write_run(tmp_path, _journal([{"east": 4.0, "west": 4.0}], [10.0]))
    assert next(shares(read_record(run))).share == pytest.approx(0.6)  # two workers
