"""One site of four misbehaves: the run ends with three and says which and why."""

import json
from pathlib import Path
from types import SimpleNamespace

import pytest

import server.collect
from common.errors import Reason
from server.collect import Post
from server.journal import read_events
from server.run import Run
from server.simulate import simulate
from tests.runs import make_run

HOSTILE = "tests.hostile_app:app"

STUDY = """
name: tables
cohort:
  columns:
    age: {type: integer, range: [18, 100]}
    marker: {type: number, range: [0, 50]}
steps:
  table1: {kind: describe, of: [age, marker]}
"""


def _misbehave(run: Run, how: str, *, since: int = 1) -> None:
    plan = json.dumps({"how": how, "from": since})
    (run.folder / "sites" / "east" / "hostile.json").write_text(plan)


def _answer(run: Run) -> dict[str, object]:
    answers = json.loads((run.folder / "answers.json").read_text())["answers"]
    return answers["table1"]["development"]


def _lost(run: Run) -> set[tuple[str, str]]:
    events = read_events(run.folder / "journal.jsonl")
    return {(e["site"], e["reason"]) for e in events if e["event"] == "lost"}


@pytest.mark.parametrize(
    ("how", "reason"),
    [
        ("raise", "crashed"),
        ("error", "internal"),
        ("nan", "not_finite"),
        ("wrong_shape", "wrong_shape"),
        ("short", "wrong_shape"),
        ("tamper", "bad_signature"),
        ("other_site", "malformed_reply"),
        ("garbage", "malformed_reply"),
        ("silent", "malformed_reply"),
    ],
)
def test_the_run_ends_with_three_and_says_why(tmp_path: Path, how: str, reason: str) -> None:
    run = make_run(tmp_path, study=STUDY)
    _misbehave(run, how)
    simulate(run, engine="threads", client=HOSTILE)
    assert _lost(run) == {("east", reason)}
    assert _answer(run)["n"] == 41 + 33 + 28
    assert run.losses()


def test_a_replayed_reply_is_refused_in_the_next_round(tmp_path: Path) -> None:
    run = make_run(tmp_path, study=STUDY)
    _misbehave(run, "replay")
    simulate(run, engine="threads", client=HOSTILE)
    assert ("east", "bad_signature") in _lost(run) or ("east", "wrong_shape") in _lost(run)
    assert _answer(run)["n"] == 41 + 33 + 28


def test_a_site_lost_halfway_makes_the_statistic_begin_again_without_it(tmp_path: Path) -> None:
    run = make_run(tmp_path, study=STUDY)
    _misbehave(run, "nan", since=2)
    simulate(run, engine="threads", client=HOSTILE)
    events = [e["event"] for e in read_events(run.folder / "journal.jsonl")]
    assert "restart" in events
    clean = make_run(tmp_path / "clean", study=STUDY)
    _misbehave(clean, "nan", since=1)
    simulate(clean, engine="threads", client=HOSTILE)
    assert _answer(run) == _answer(clean)


@pytest.mark.parametrize(
    ("how", "reason", "deadline_s"), [("hang", "no_reply", 8), ("die", "crashed", 60)]
)
def test_a_site_that_hangs_or_dies_does_not_hold_up_the_others(
    tmp_path: Path, how: str, reason: str, deadline_s: float
) -> None:
    run = make_run(tmp_path, study=STUDY, roster={"deadline_s": deadline_s})
    _misbehave(run, how)
    simulate(run, engine="processes", client=HOSTILE)
    assert _lost(run) == {("east", reason)}
    assert _answer(run)["n"] == 41 + 33 + 28


def test_with_too_few_sites_left_a_step_fails_and_says_so(tmp_path: Path) -> None:
    run = make_run(tmp_path, study=STUDY, roster={"quorum": 4})
    _misbehave(run, "nan")
    simulate(run, engine="threads", client=HOSTILE)
    failed = json.loads((run.folder / "answers.json").read_text())["failed"]
    assert failed == {"table1": {"development": "too few sites: not_finite"}}


def test_a_site_that_is_slow_to_begin_is_greeted_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """No reply to the first greeting is no refusal: a busy machine may only be slow."""
    waits: list[float] = []
    replies = iter([Reason.NO_REPLY, Reason.NO_REPLY, "a packet"])

    def exchange(_: Post, packets: dict[int, object], kind: str, wait_s: float) -> list[object]:
        del kind
        waits.append(wait_s)
        return [(node, next(replies)) for node in packets]

    monkeypatch.setattr(Post, "_exchange", exchange)
    east = SimpleNamespace(site="east")
    monkeypatch.setattr(
        server.collect, "_member", lambda reply, *_: None if isinstance(reply, Reason) else east
    )
    monkeypatch.setattr(server.collect, "hello_packet", lambda hello: hello)
    post = Post(SimpleNamespace(get_node_ids=lambda: [7]))
    joined: list[tuple[str, ...]] = []
    post.join(SimpleNamespace(), {"east": ""}, 900, lambda *told: joined.append(told))
    assert joined == [("joined", "east")]
    assert waits == [60, 120, 240]
