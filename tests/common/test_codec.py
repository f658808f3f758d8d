"""Messages survive the wire; nothing that is not one of ours is read."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from common.analyses.analysis import Ask
from common.codec import (
    Malformed,
    pack,
    read_hello,
    read_joined,
    read_replies,
    read_round,
    replies_packet,
    round_packet,
    unpack,
)
from common.errors import Reason
from common.messages import Blob, Hello, Joined, Packet, Posed, Replies, Reply, Round
from common.wire import from_records, release, to_records

arrays = st.dictionaries(
    st.text("abc.", min_size=1, max_size=6),
    hnp.arrays(
        st.sampled_from([np.float32, np.float64, np.int64, np.uint64, np.uint8]),
        hnp.array_shapes(min_dims=0, max_dims=3, max_side=4),
    ),
    max_size=4,
)


@given(arrays)
def test_arrays_come_back_bit_by_bit(sent: dict[str, np.ndarray]) -> None:
    got = unpack(pack(sent))
    assert list(got) == list(sent)
    for name, array in sent.items():
        assert got[name].dtype == array.dtype
        assert got[name].shape == array.shape
        assert got[name].tobytes() == array.tobytes()


def _round() -> Round:
    hello = Hello("run", "session", "ab" * 32)
    ask = Ask("train", {"round": 3, "rate": 0.1}, {"weights.a": np.arange(6.0).reshape(2, 3)})
    members = {name: Joined(name, "00" * 32, "11" * 64) for name in ("a", "b")}
    return Round(hello, 7, 2, members, (Posed("s/all", "s", ("a", "b"), ask),))


def test_a_round_comes_back_with_the_same_binding() -> None:
    sent = _round()
    packet = round_packet(sent, {"s/all": pack(sent.asks[0].ask.arrays)})
    got = read_round(from_records(to_records(packet)))
    assert got.binding(got.asks[0]) == sent.binding(sent.asks[0])
    assert got.asks[0].ask.values == sent.asks[0].ask.values


@pytest.mark.parametrize(
    "change",
    [
        {"number": 8},
        {"attempt": 3},
        {"hello": Hello("other", "session", "ab" * 32)},
        {"hello": Hello("run", "other", "ab" * 32)},
        {"hello": Hello("run", "session", "cd" * 32)},
        {"members": {"a": Joined("a", "22" * 32, ""), "b": Joined("b", "00" * 32, "")}},
    ],
)
def test_the_binding_depends_on_everything_a_sum_belongs_to(change: dict[str, object]) -> None:
    sent = _round()
    assert replace(sent, **change).binding(sent.asks[0]) != sent.binding(sent.asks[0])


@pytest.mark.parametrize(
    "change", [{"problem": "s/x"}, {"step": "t"}, {"group": ("b", "a")}, {"ask": Ask("other")}]
)
def test_the_binding_depends_on_problem_group_and_ask(change: dict[str, object]) -> None:
    sent = _round()
    assert sent.binding(replace(sent.asks[0], **change)) != sent.binding(sent.asks[0])


def test_replies_come_back() -> None:
    words = np.arange(5, dtype=np.uint64)
    sent = Replies("a", (Reply("p", words, "ff"), Reply("q", reason=Reason.NO_CASES)), 1.5)
    got = read_replies(from_records(to_records(replies_packet(sent))))
    assert (got.site, got.work_s) == ("a", 1.5)
    assert got.replies[0].words is not None
    assert (got.replies[0].words == words).all()
    assert got.replies[1].reason is Reason.NO_CASES


@pytest.mark.parametrize(
    "blob",
    [
        Blob((("a", "<f8", (3,)),), bytes(16)),
        Blob((("a", "<f8", (2,)),), bytes(24)),
        Blob((("a", "<f8", (1,)), ("a", "<f8", (1,))), bytes(16)),
        Blob((("a", "|O", (1,)),), bytes(8)),
        Blob((("a", "<f8", (-1,)),), bytes(8)),
        Blob((("a", "<f8", (2**40, 2**40)),), b""),
        Blob((("a", "nonsense", (1,)),), bytes(8)),
    ],
)
def test_a_blob_that_does_not_fit_its_head_is_refused(blob: Blob) -> None:
    with pytest.raises(Malformed):
        unpack(blob)


@pytest.mark.parametrize(
    "head",
    [
        {},
        {"site": "a", "replies": 7, "work_s": 0},
        {"site": 5, "replies": [], "work_s": 0},
        {"site": "a", "replies": [{"problem": "p"}], "work_s": 0},
        {"site": "a", "replies": [{"problem": "p", "reason": "free text"}], "work_s": 0},
    ],
)
def test_what_are_no_replies_is_refused(head: dict[str, object]) -> None:
    with pytest.raises(Malformed):
        read_replies(Packet(head))


@pytest.mark.parametrize("read", [read_hello, read_joined, read_round])
def test_an_empty_packet_is_refused(read: object) -> None:
    with pytest.raises(Malformed):
        read(Packet({}))  # type: ignore[operator]


def test_an_array_of_objects_cannot_be_sent() -> None:
    with pytest.raises(Malformed):
        pack({"a": np.array([{}])})


def test_released_records_hold_no_bytes() -> None:
    records = to_records(Packet({}, [pack({"a": np.zeros(100)})]))
    release(records)
    assert sum(len(a.data) for r in records.array_records.values() for a in r.values()) == 0
