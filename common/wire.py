"""Packets inside Flower's messages: the only file of `common` that knows Flower."""

import json
from typing import cast

from flwr.app import Array, ArrayRecord, ConfigRecord, RecordDict

from common.codec import Malformed
from common.messages import Blob, Packet
from common.stream import Stream

HELLO = "query.hello"
ROUND = "query.round"

_HEAD, _BLOBS, _RAW = "head", "blobs", "consortium.raw"
_MOST_HEAD_BYTES = 64 * 2**20
_SMALL_BYTES = 256 * 2**10


def to_records(packet: Packet) -> RecordDict:
    """Return a packet as Flower's records, which share the memory of its blobs.

    Every array is three objects of Flower's, each a request of its own wherever the message
    is handed on. So what is small goes with the head.
    """
    layouts = [blob.layout for blob in packet.blobs]
    text = json.dumps({"head": packet.head, "layouts": layouts}, allow_nan=False)
    if sum(len(blob.data) for blob in packet.blobs) <= _SMALL_BYTES:
        small = {str(i): bytes(cast("bytes", b.data)) for i, b in enumerate(packet.blobs)}
        return RecordDict({_HEAD: ConfigRecord({"json": text, **small})})
    empty = {str(i): _array(len(blob.data)) for i, blob in enumerate(packet.blobs)}
    arrays = ArrayRecord(empty)
    for i, blob in enumerate(packet.blobs):
        # Flower declares bytes and checks for them; all it does is to read a buffer.
        arrays[str(i)].__dict__["data"] = blob.data
    return RecordDict({_HEAD: ConfigRecord({"json": text}), _BLOBS: arrays})


def from_records(records: RecordDict) -> Packet:
    """Return the packet in Flower's records.

    Raises:
        Malformed: they hold none.
    """
    try:
        text = records.config_records[_HEAD]["json"]
        large = records.array_records.get(_BLOBS)
        if not isinstance(text, str) or len(text) > _MOST_HEAD_BYTES:
            raise Malformed("no head")
        outer = json.loads(text)
        blobs = [
            Blob(
                tuple((str(n), str(c), tuple(map(int, s))) for n, c, s in layout),
                _small(records, i) if large is None else large[str(i)].data,
            )
            for i, layout in enumerate(outer["layouts"])
        ]
        head = outer["head"]
    except (KeyError, TypeError, ValueError) as error:
        raise Malformed(f"not one of our messages: {type(error).__name__}") from None
    if not isinstance(head, dict):
        raise Malformed("no head")
    return Packet(head, blobs)


def _small(records: RecordDict, i: int) -> bytes:
    data = records.config_records[_HEAD][str(i)]
    if not isinstance(data, bytes):
        raise Malformed("no blob")
    return data


def release(records: RecordDict) -> None:
    """Let go of the bytes of records that are done with.

    Flower's records refer to each other in circles, so that they outlive their use.
    """
    for record in records.array_records.values():
        for array in record.values():
            data: object = array.data
            array.data = b""
            if isinstance(data, Stream):
                data.close()


def _array(n_bytes: int) -> Array:
    return Array("uint8", (n_bytes,), _RAW, b"")
