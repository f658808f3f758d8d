"""Replies added as they come off the line: the same sums, and none of what broke off."""

import hashlib
import threading
from collections.abc import Iterator
from typing import Any, cast

import numpy as np
import pytest
from flwr.app import Message
from flwr.supercore.task_identity import TaskIdentity

from common.analyses.analysis import Ask
from common.codec import replies_packet
from common.errors import Reason
from common.messages import Blob, Hello, Joined, Packet, Posed, Replies, Reply, Round, signed_words
from common.privacy.encoding import Words, encode
from common.privacy.identity import new_identity, public_text
from common.stream import Stream, pieces
from common.sums import count, real, weight
from common.wire import ROUND, from_records, release, to_records
from server.line import _without_bytes, open_line
from server.rounds import Exchange, Wanted

SITES = ("east", "north", "south", "west")
SCHEMA = {"n": count(), "x": real(30_000, bound=2.0**50), "w": weight(50_000)}
HELLO = Hello("run", "session", "0" * 64)


@pytest.fixture(autouse=True)
def _in_a_run(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("_run_id", "_task_id", "_node_id"):
        monkeypatch.setattr(TaskIdentity, name, 1)


def _message(*vectors: Words) -> Message:
    replies = tuple(Reply(f"p{i}", words, "ff") for i, words in enumerate(vectors))
    content = to_records(replies_packet(Replies("east", replies)))
    return Message(content, dst_node_id=1, message_type=ROUND)


def _words(seed: int) -> Words:
    return np.random.default_rng(seed).integers(0, 2**64, 90_000, np.uint64)


def _blobs(message: Message) -> list[Stream]:
    return [cast("Stream", blob.data) for blob in from_records(message.content).blobs]


def test_arrays_are_read_from_the_line_as_they_are_used_or_not_at_all() -> None:
    ours, theirs = open_line()
    first, second = _message(_words(1), _words(2), _words(3)), _message(_words(4))

    def send() -> None:
        theirs.send(first, 0)
        theirs.send(second, 0)

    threading.Thread(target=send, daemon=True).start()
    done: list[bool] = []
    message = ours.stream_body(ours.receive_head(), lambda: done.append(True))
    _, middle, last = _blobs(message)
    assert (np.concatenate([p.copy() for p in pieces(middle)]) == _words(2)).all()
    with pytest.raises(EOFError, match="no more on the line"):
        next(pieces(middle))
    next(pieces(last))
    assert not done
    release(message.content)
    assert done == [True]
    message = ours.stream_body(ours.receive_head(), lambda: None)
    (only,) = _blobs(message)
    assert (np.concatenate([p.copy() for p in pieces(only)]) == _words(4)).all()
    for line in (ours, theirs):
        line.close()


def test_a_line_that_breaks_ends_a_stream() -> None:
    ours, theirs = open_line()
    theirs.bulk.sendall(bytes(100))
    theirs.pipe.send((_without_bytes(_message(_words(1))), 0, (720_000,)))
    theirs.close()
    done: list[bool] = []
    message = ours.stream_body(ours.receive_head(), lambda: done.append(True))
    with pytest.raises(EOFError):
        next(pieces(_blobs(message)[0]))
    release(message.content)
    assert done == [True]
    ours.close()


class _Sites:
    """A post office whose sites sign unmasked words; some fail in their first reply."""

    def __init__(self, how: dict[str, str]) -> None:
        self.identities = {site: new_identity() for site in SITES}
        self.keys = {site: public_text(one) for site, one in self.identities.items()}
        self.how, self.asked = how, 0

    def exchange(self, packets: dict[str, Packet], _: float) -> Iterator[tuple[str, Packet]]:
        self.asked += 1
        for site in packets:
            how = self.how.get(site, "") if self.asked == 1 else ""
            yield site, self._reply(site, packets[site], how)

    def _reply(self, site: str, packet: Packet, how: str) -> Packet:
        words = encode(sums_of(site), SCHEMA)
        ask = cast("Any", packet.head)["asks"][0]
        posed = Posed(ask["problem"], ask["step"], tuple(ask["group"]), Ask("sums"))
        members = {name: Joined(name, "ab" * 32, "") for name in posed.group}
        binding = Round(HELLO, 1, self.asked, members).binding(posed)
        digest = hashlib.sha256(words.data).digest()
        signature = self.identities[site].sign(signed_words(site, binding, digest)).hex()
        bad = replies_packet(Replies(site, (Reply("p", words + np.uint64(1), signature),)))
        good = replies_packet(Replies(site, (Reply("p", words, signature),)))
        if how == "twice":  # what was added of the first would stay in the sum
            head = {**good.head, "replies": [*bad.head["replies"], *good.head["replies"]]}
            return Packet(head, [*bad.blobs, *good.blobs])
        if how == "tampered":
            return bad
        data = words.view(np.uint8)
        end = data.size - 8 if how == "broken" else data.size

        def fill(start: int, buffer: memoryview) -> None:
            if start + len(buffer) > end:
                raise EOFError
            buffer[:] = data[start : start + len(buffer)].data

        stream = Stream(data.size, fill, lambda: None)
        return Packet(good.head, [Blob(good.blobs[0].layout, stream)])


def sums_of(site: str) -> dict[str, np.ndarray]:
    """Return sums on whose carries much depends."""
    rng = np.random.default_rng(SITES.index(site))
    wide, narrow = rng.normal(size=30_000), rng.normal(size=50_000)
    return {"n": np.array(20), "x": wide * 1e9, "w": np.round(narrow * 2**20) / 2**20}


@pytest.mark.parametrize(
    ("how", "reason"),
    [
        ("", None),
        ("broken", Reason.CRASHED),
        ("tampered", Reason.BAD_SIGNATURE),
        ("twice", Reason.BAD_SIGNATURE),
    ],
)
def test_what_was_added_of_a_lost_reply_is_in_no_total(how: str, reason: Reason | None) -> None:
    sites = _Sites({"north": how})
    members = {site: Joined(site, "ab" * 32, "") for site in SITES}
    exchange = Exchange(cast("Any", sites), HELLO, members, sites.keys, 1.0)
    posed = Posed("p", "step", SITES, Ask("sums"))
    outcome = exchange.ask(1, [Wanted(posed, SCHEMA, 3)])[0]["p"]
    rest = [site for site in SITES if site != "north" or reason is None]
    assert outcome.sites == tuple(rest)
    assert outcome.lost.get("north") is reason
    assert outcome.total is not None
    assert outcome.total["n"] == 20 * len(rest)
    expected = np.sum([sums_of(site)["w"] for site in rest], axis=0)
    np.testing.assert_array_equal(outcome.total["w"], expected)
    wide = np.sum([sums_of(site)["x"] for site in rest], axis=0)
    np.testing.assert_allclose(outcome.total["x"], wide, rtol=1e-14, atol=1e-6)
