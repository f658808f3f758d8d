"""Messages to packets and back. Arrays and JSON only; sizes and types checked first."""

from collections.abc import Mapping, Sequence
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from common.analyses.analysis import Ask
from common.buffers import BUFFERS, address
from common.errors import Reason
from common.messages import Blob, Hello, Joined, Packet, Posed, Replies, Reply, Round
from common.privacy.encoding import Words
from common.stream import Stream
from common.sums import Array

_TYPES = {"<f4", "<f8", "<i8", "<i4", "<u8", "|u1", "|b1"}
_MOST_ARRAYS = 100_000
_MOST_BYTES = 2**34


class Malformed(ValueError):
    """A packet is not what its head says."""


def pack(arrays: Mapping[str, Array]) -> Blob:
    """Return arrays end to end, in the order given, little-endian."""
    plain = {name: _plain(array) for name, array in arrays.items()}
    layout = tuple((name, a.dtype.str, a.shape) for name, a in plain.items())
    return Blob(layout, _joined([a.reshape(-1).view(np.uint8) for a in plain.values()]))


def _joined(pieces: Sequence[NDArray[np.uint8]]) -> NDArray[np.uint8]:
    """Return bytes end to end; where they lie so already, they are the arrays' own."""
    if len(pieces) == 1:
        return pieces[0]
    size = sum(piece.size for piece in pieces)
    whole = pieces[0].base if pieces else None
    if isinstance(whole, np.ndarray) and whole.dtype == np.uint8 and _in_turn(pieces, whole):
        at = address(pieces[0]) - address(whole)
        return whole[at : at + size]
    joined = BUFFERS.lend(size)
    at = 0
    for piece in pieces:
        joined[at : at + piece.size] = piece
        at += piece.size
    return joined


def _in_turn(pieces: Sequence[NDArray[np.uint8]], whole: Array) -> bool:
    """Tell whether pieces lie side by side in one array."""
    ends = [address(piece) + piece.size for piece in pieces]
    return all(
        p.base is whole and address(p) == end for p, end in zip(pieces[1:], ends, strict=False)
    )


def unpack(blob: Blob) -> dict[str, Array]:
    """Return the arrays of a blob as read-only views.

    Raises:
        Malformed: types, shapes and bytes do not fit together.
    """
    if len(blob.layout) > _MOST_ARRAYS or len(blob.data) > _MOST_BYTES:
        raise Malformed("more arrays or bytes than any message has")
    arrays: dict[str, Array] = {}
    at = 0
    data = memoryview(cast("bytes", blob.data))  # numpy's arrays are buffers, too
    for name, code, shape in blob.layout:
        size = _nbytes(code, shape)
        piece = data[at : at + size]
        if name in arrays or len(piece) != size:
            raise Malformed(f"array {len(arrays)} does not fit its head")
        arrays[name] = np.frombuffer(piece, np.dtype(code)).reshape(shape)
        at += size
    if at != len(blob.data):
        raise Malformed("more bytes than the head declares")
    return arrays


def _plain(array: Array) -> Array:
    plain = np.ascontiguousarray(array)
    plain = plain.astype(plain.dtype.newbyteorder("<"), copy=False)
    if plain.dtype.str not in _TYPES:
        raise Malformed(f"no message carries an array of {plain.dtype}")
    return plain.reshape(array.shape)


def _nbytes(code: str, shape: tuple[int, ...]) -> int:
    if code not in _TYPES or len(shape) > 8 or any(d < 0 for d in shape):
        raise Malformed("unknown type or impossible shape")
    n = 1
    for d in shape:
        n *= d  # Python's integers: no overflow
    if n > _MOST_BYTES:
        raise Malformed("an array larger than any message")
    return n * np.dtype(code).itemsize


def hello_packet(hello: Hello) -> Packet:
    """Return the packet of a Hello."""
    return Packet({"run": hello.run, "session": hello.session, "study": hello.study})


def read_hello(packet: Packet) -> Hello:
    """Return the Hello of a packet."""
    head = packet.head
    return Hello(_text(head, "run"), _text(head, "session"), _text(head, "study"))


def joined_packet(joined: Joined) -> Packet:
    """Return the packet of a Joined."""
    return Packet(_joined_head(joined))


def read_joined(packet: Packet) -> Joined:
    """Return the Joined of a packet."""
    return _read_joined(packet.head)


def round_packet(message: Round, blobs: Mapping[str, Blob]) -> Packet:
    """Return the packet of a Round.

    Args:
        message: the round as one site sees it.
        blobs: the packed arrays of each ask by problem, shared between sites.
    """
    head = {
        **hello_packet(message.hello).head,
        "number": message.number,
        "attempt": message.attempt,
        "members": {name: _joined_head(member) for name, member in message.members.items()},
        "asks": [_posed_head(posed) for posed in message.asks],
    }
    return Packet(head, [blobs[posed.problem] for posed in message.asks])


def read_round(packet: Packet) -> Round:
    """Return the Round of a packet.

    Raises:
        Malformed: it is none.
    """
    head = packet.head
    try:
        asks = tuple(
            _read_posed(posed, blob) for posed, blob in zip(head["asks"], packet.blobs, strict=True)
        )
        members = {str(name): _read_joined(m) for name, m in head["members"].items()}
        return Round(read_hello(packet), int(head["number"]), int(head["attempt"]), members, asks)
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise Malformed(f"not a round: {error}") from None


def replies_packet(message: Replies) -> Packet:
    """Return the packet of a site's replies."""
    heads, blobs = [], []
    for reply in message.replies:
        one = {"problem": reply.problem, "signature": reply.signature}
        if reply.words is None:
            one["reason"] = str(reply.reason)
        else:
            blobs.append(pack({"words": cast("Words", reply.words)}))
        heads.append(one)
    head = {"site": message.site, "work_s": round(message.work_s, 3), "replies": heads}
    return Packet(head, blobs)


def read_replies(packet: Packet) -> Replies:
    """Return the replies of a packet.

    Raises:
        Malformed: it holds none.
    """
    blobs = iter(packet.blobs)
    try:
        replies = tuple(_read_reply(head, blobs) for head in packet.head["replies"])
        return Replies(_text(packet.head, "site"), replies, float(packet.head["work_s"]))
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise Malformed(f"no replies: {error}") from None


def _read_reply(head: Mapping[str, Any], blobs: Any) -> Reply:
    problem = _text(head, "problem")
    if "reason" in head:
        return Reply(problem, reason=Reason(head["reason"]))
    blob = next(blobs, None)
    if blob is None:
        raise Malformed("neither words nor a reason")
    if isinstance(blob.data, Stream):
        if blob.layout != (("words", "<u8", (len(blob.data) // 8,)),):
            raise Malformed("a reply is one vector of words")
        return Reply(problem, blob.data, _text(head, "signature"))
    words = unpack(blob)["words"]
    if words.dtype != np.dtype("<u8") or words.ndim != 1:
        raise Malformed("a reply is one vector of words")
    return Reply(problem, words.view(np.uint64), _text(head, "signature"))


def _posed_head(posed: Posed) -> dict[str, Any]:
    ask = posed.ask
    place = {"problem": posed.problem, "step": posed.step, "group": list(posed.group)}
    chosen = {"chosen": dict(ask.chosen)} if ask.chosen else {}
    return {**place, "phase": ask.phase, "values": dict(ask.values), **chosen}


def _read_posed(head: Mapping[str, Any], blob: Blob) -> Posed:
    chosen = {str(at): tuple(map(str, of)) for at, of in head.get("chosen", {}).items()}
    ask = Ask(_text(head, "phase"), dict(head["values"]), unpack(blob), chosen=chosen)
    group = tuple(str(name) for name in head["group"])
    return Posed(_text(head, "problem"), _text(head, "step"), group, ask)


def _joined_head(joined: Joined) -> dict[str, Any]:
    keys = {"session_key": joined.session_key, "signature": joined.signature}
    return {"site": joined.site, **keys, "protocol": joined.protocol, "per_site": joined.per_site}


def _read_joined(head: Mapping[str, Any]) -> Joined:
    try:
        protocol = int(head["protocol"])
    except (KeyError, TypeError, ValueError):
        raise Malformed("no protocol version") from None
    site, key, signature = (_text(head, k) for k in ("site", "session_key", "signature"))
    return Joined(site, key, signature, protocol, per_site=head.get("per_site") is True)


def _text(head: Mapping[str, Any], key: str) -> str:
    value = head.get(key)
    if not isinstance(value, str) or len(value) > 4096:
        raise Malformed(f'expected a text "{key}"')
    return value
