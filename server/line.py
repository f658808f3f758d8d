"""A line between the simulation and a worker process on the same machine.

What Flower's message says goes through a pipe in Python's own encoding; the bytes of its
arrays go through a socket straight from and into their place, as they may be large, or are
read from it only as they are used. Both ends are our own processes: nothing that came from a
network is ever read this way.
"""

import multiprocessing
import socket
from collections.abc import Callable, Iterator
from contextlib import suppress
from copy import copy as copy_of
from dataclasses import dataclass
from functools import partial
from multiprocessing.connection import Connection

from flwr.app import Array, ArrayRecord, Message, RecordDict

from common.buffers import BUFFERS
from common.stream import Stream

_NOWHERE = 1 << 18


@dataclass(frozen=True)
class Head:
    """A message without the bytes of its arrays, and how many they are."""

    message: Message
    partition: int
    sizes: tuple[int, ...]


@dataclass
class Line:
    """One end.

    Attributes:
        pipe: for messages without the bytes of their arrays.
        bulk: for those bytes, in the order of the arrays.
    """

    pipe: Connection
    bulk: socket.socket

    def send(self, message: Message, partition: int) -> None:
        """Send a message for, or from, a site."""
        contents = [array.data for array in _arrays(message)]
        self.pipe.send((_without_bytes(message), partition, tuple(map(len, contents))))
        for content in contents:
            self.bulk.sendall(content)

    def wait(self, timeout_s: float) -> bool:
        """Tell whether something arrives in time.

        Raises:
            EOFError: the other end is gone.
        """
        return self.pipe.poll(timeout_s)

    def receive_head(self) -> "Head":
        """Return the next message as far as it goes through the pipe.

        Raises:
            EOFError: the other end is gone.
        """
        return Head(*self.pipe.recv())

    def receive_body(self, head: "Head") -> Message:
        """Return the message of a head, whole.

        Raises:
            EOFError: the other end is gone.
        """
        for array, size in zip(_arrays(head.message), head.sizes, strict=True):
            array.__dict__["data"] = self._read(size)  # Flower declares bytes; any buffer does
        return head.message

    def stream_body(self, head: "Head", done: Callable[[], None]) -> Message:
        """Return the message of a head; its arrays are streams, to be read in their order.

        Until `done`, which the closing of the streams calls, the line is in use.
        """
        body = _Body(self.bulk, sum(head.sizes), done)
        start = 0
        for array, size in zip(_arrays(head.message), head.sizes, strict=True):
            array.__dict__["data"] = Stream(size, partial(body.fill, start), body.close)
            start += size
        if not start:
            body.close()
        return head.message

    def close(self) -> None:
        """Close this end."""
        self.pipe.close()
        self.bulk.close()

    def _read(self, size: int) -> memoryview:
        content = BUFFERS.lend(size).data
        _fill(self.bulk, content)
        return content


@dataclass
class _Body:
    """The arrays of one message that are still on the line, one behind the other.

    Attributes:
        bulk: what they come through.
        size: bytes of all of them.
        done: told once, when nothing of them is on the line any more.
        at: how many bytes have been read.
    """

    bulk: socket.socket
    size: int
    done: Callable[[], None]
    at: int = 0
    closed: bool = False

    def fill(self, start: int, offset: int, buffer: memoryview) -> None:
        """Fill a buffer from `offset` on of the array that begins at `start`."""
        self._skip_to(start + offset)
        _fill(self.bulk, buffer)
        self.at += len(buffer)

    def close(self) -> None:
        """Read what is left to nowhere."""
        if self.closed:
            return
        self.closed = True
        with suppress(EOFError):  # whoever uses the line next is told
            self._skip_to(self.size)
        self.done()

    def _skip_to(self, at: int) -> None:
        if at < self.at:
            raise EOFError("what has been read is no more on the line")
        nowhere = memoryview(bytearray(min(at - self.at, _NOWHERE)))
        while self.at < at:
            piece = nowhere[: at - self.at]
            _fill(self.bulk, piece)
            self.at += len(piece)


def _fill(bulk: socket.socket, rest: memoryview) -> None:
    try:
        while rest:
            n = bulk.recv_into(rest)
            if n == 0:
                raise EOFError("the other end of the line is gone")
            rest = rest[n:]
    except OSError as error:
        raise EOFError("the line broke") from error


def open_line() -> tuple[Line, Line]:
    """Return both ends of a new line."""
    context = multiprocessing.get_context("spawn")
    pipe, other_pipe = context.Pipe()
    bulk, other_bulk = socket.socketpair()
    return Line(pipe, bulk), Line(other_pipe, other_bulk)


def _without_bytes(message: Message) -> Message:
    """Return a message with empty arrays; the one given stays, as sites share its arrays."""
    if not message.has_content():
        return message
    content = RecordDict(dict(message.content.config_records))
    for name, record in message.content.array_records.items():
        empty = {key: Array(a.dtype, a.shape, a.stype, b"") for key, a in record.items()}
        content[name] = ArrayRecord(empty)
    copy = copy_of(message)  # Flower's constructor takes no metadata but its own
    copy.content = content
    return copy


def _arrays(message: Message) -> Iterator[Array]:
    if message.has_content():
        for record in message.content.array_records.values():
            yield from record.values()
