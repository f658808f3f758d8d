"""Packets inside Flower's messages: the only file of `common` that knows Flower."""

import json

from flwr.app import Array, ArrayRecord, ConfigRecord, RecordDict

from common.codec import Malformed
from common.messages import Blob, Packet

HELLO = "query.hello"
ROUND = "query.round"

_HEAD, _BLOBS, _RAW = "head", "blobs", "consortium.raw"
_MOST_HEAD_BYTES = 64 * 2**20


def to_records(packet: Packet, made: dict[int, Array] | None = None) -> RecordDict:
    """Return a packet as Flower's records.

    Args:
        packet: the message.
        made: arrays already made from a blob, by the blob's id: sites share them.
    """
    made = {} if made is None else made
    arrays = {str(i): _array(blob, made) for i, blob in enumerate(packet.blobs)}
    layouts = [blob.layout for blob in packet.blobs]
    text = json.dumps({"head": packet.head, "layouts": layouts}, allow_nan=False)
    return RecordDict({_HEAD: ConfigRecord({"json": text}), _BLOBS: ArrayRecord(arrays)})


def from_records(records: RecordDict) -> Packet:
    """Return the packet in Flower's records.

    Raises:
        Malformed: they hold none.
    """
    try:
        text = records.config_records[_HEAD]["json"]
        arrays = records.array_records[_BLOBS]
        if not isinstance(text, str) or len(text) > _MOST_HEAD_BYTES:
            raise Malformed("no head")
        outer = json.loads(text)
        blobs = [
            Blob(
                tuple((str(n), str(c), tuple(map(int, s))) for n, c, s in layout),
                arrays[str(i)].data,
            )
            for i, layout in enumerate(outer["layouts"])
        ]
        head = outer["head"]
    except (KeyError, TypeError, ValueError) as error:
        raise Malformed(f"not one of our messages: {type(error).__name__}") from None
    if not isinstance(head, dict):
        raise Malformed("no head")
    return Packet(head, blobs)


def release(records: RecordDict) -> None:
    """Let go of the bytes of records that have been read: a message may outlive its use."""
    for record in records.array_records.values():
        for array in record.values():
            array.data = b""


def _array(blob: Blob, made: dict[int, Array]) -> Array:
    if id(blob) not in made:
        made[id(blob)] = Array("uint8", (len(blob.data),), _RAW, blob.data)
    return made[id(blob)]
