"""Who is waited for when a run begins, and who is not."""

import time
from collections.abc import Iterable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
import yaml
from flwr.app import Error, Message, RecordDict
from flwr.supercore.task_identity import TaskIdentity

from common.analyses.analysis import Ask
from common.codec import hello_packet, joined_packet, read_joined
from common.errors import Reason
from common.messages import Hello, Joined, Posed
from common.privacy.identity import new_identity, public_text
from common.wire import to_records
from server import app, collect
from server.collect import Post
from server.journal import Journal
from server.rounds import Exchange, Wanted
from server.run import DEPLOYED, create_run
from tests.runs import STUDY

HELLO = Hello("run", "session", "0" * 64)
NOT_VERIFIED, LOST = 7, 5


class _Grid:
    """Three nodes: one joins, one refuses the bundle, one is lost once and then joins."""

    def __init__(self, identities: dict[str, Any], how: dict[str, list[object]]) -> None:
        self.names = dict(enumerate(sorted(identities), 1))
        self.identities, self.how = identities, how
        self.replies: dict[str, Message] = {}

    def get_node_ids(self) -> Iterable[int]:
        return list(self.names)

    def get_nodes(self) -> Iterable[Any]:
        return [SimpleNamespace(node_id=n, name=name) for n, name in self.names.items()]

    def push_messages(self, messages: Iterable[Message]) -> list[str]:
        ids = []
        for message in messages:
            name = self.names[message.metadata.dst_node_id]
            ids.append(f"{name}-{len(self.replies)}")
            self.replies[ids[-1]] = self._reply(name, message)
        return ids

    def pull_messages(self, ids: Iterable[str]) -> list[Message]:
        return [self.replies[one] for one in ids]

    def _reply(self, name: str, message: Message) -> Message:
        code = self.how[name].pop(0) if self.how[name] else None
        if code is not None:
            return Message(Error(cast("int", code), "no"), reply_to=message)
        unsigned = Joined(name, "ab" * 32, "")
        signature = self.identities[name].sign(unsigned.signed(HELLO)).hex()
        content: RecordDict = to_records(joined_packet(Joined(name, "ab" * 32, signature)))
        return Message(content, reply_to=message)


@pytest.fixture(autouse=True)
def _in_a_run(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("_run_id", "_task_id", "_node_id"):
        monkeypatch.setattr(TaskIdentity, name, 1)


def test_nobody_waits_for_a_site_that_refuses_and_a_lost_answer_is_asked_again() -> None:
    identities = {name: new_identity() for name in ("east", "north", "west")}
    keys = {name: public_text(identity) for name, identity in identities.items()}
    grid = _Grid(identities, {"east": [], "north": [LOST], "west": [NOT_VERIFIED]})
    told: list[tuple[str, str]] = []
    begin = time.monotonic()
    members = Post(cast("Any", grid)).join(HELLO, keys, 60, lambda *said: told.append(said))
    assert set(members) == {"east", "north"}
    assert ("study_not_approved", "west") in told
    assert time.monotonic() - begin < 30


def test_a_site_known_not_to_have_approved_is_neither_greeted_nor_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whether it is connected (west) or not (south): what it has not signed it would refuse."""
    identities = {name: new_identity() for name in ("east", "north", "west")}
    public = {name: public_text(one) for name, one in identities.items()}
    roster = {name: {"key": key} for name, key in public.items()}
    roster["south"] = {"key": public_text(new_identity())}
    text = yaml.safe_dump({"sites": roster, "quorum": 2, "wait_s": 600})
    run = create_run(tmp_path, STUDY, text, {})
    (run.folder / DEPLOYED).write_text('{"not_approved": ["south", "west"]}')
    grid, journal = _Grid(identities, {name: [] for name in identities}), Journal(run.folder)
    monkeypatch.setattr(app, "Hello", lambda *_: HELLO)
    begin = time.monotonic()
    exchange = app._join(run, cast("Any", grid), journal)
    assert time.monotonic() - begin < 30
    assert set(exchange.members) == {"east", "north"}
    assert not any(one.startswith("west") for one in grid.replies)
    absent = {e["site"]: e["why"] for e in journal.events if e["event"] == "absent"}
    assert absent == dict.fromkeys(("south", "west"), "study_not_approved")
    assert exchange.refused["south"] is Reason.STUDY_NOT_APPROVED


def test_it_is_said_who_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(collect, "_TELL_S", 0.1)
    identity = new_identity()
    keys = {"east": public_text(identity), "north": public_text(new_identity())}
    grid = _Grid({"east": identity}, {"east": []})
    told: list[tuple[str, str]] = []
    Post(cast("Any", grid)).join(HELLO, keys, 1.5, lambda *said: told.append(said))
    assert told[0] == ("joined", "east")
    assert ("waiting", "north") in told


def test_a_site_cut_off_for_a_moment_is_sent_the_same_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(collect, "_NEXT_TRY_S", 0.01)
    names = ("east", "north", "west")
    how: dict[str, list[object]] = {"east": [], "north": [LOST], "west": [LOST] * 9}
    grid = _Grid({name: new_identity() for name in names}, how)
    post = Post(cast("Any", grid), {name: node for node, name in grid.names.items()})
    replies = dict(post.exchange(dict.fromkeys(names, hello_packet(HELLO)), 60))
    assert replies["west"] is Reason.UNREACHABLE
    assert read_joined(replies["north"]).site == "north"
    assert [one.rpartition("-")[0] for one in grid.replies].count("west") == 3
    assert len(how["west"]) == 6


def test_a_site_that_refused_the_session_is_lost_for_that_reason() -> None:
    posed = Posed("age/development", "age", ("east", "north", "west"), Ask("sums", {}))
    post = SimpleNamespace(exchange=lambda *_: iter(()))
    refused = {"west": Reason.STUDY_NOT_APPROVED}
    exchange = Exchange(cast("Any", post), HELLO, {}, {}, 1.0, refused)
    outcomes, _ = exchange.ask(1, [Wanted(posed, {}, 2)])
    lost = outcomes["age/development"].lost
    assert lost["west"] is Reason.STUDY_NOT_APPROVED
    assert lost["east"] is Reason.UNREACHABLE
