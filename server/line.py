"""A line between the simulation and a worker process on the same machine.

What Flower's message says goes through a pipe in Python's own encoding; the bytes of its
arrays go through a socket straight from and into their place, as they may be large. Both
ends are our own processes: nothing that came from a network is ever read this way.
"""

import multiprocessing
import socket
from collections.abc import Iterator
from copy import copy as copy_of
from dataclasses import dataclass
from multiprocessing.connection import Connection

from flwr.app import Array, ArrayRecord, Message, RecordDict

from common.buffers import BUFFERS


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

    def close(self) -> None:
        """Close this end."""
        self.pipe.close()
        self.bulk.close()

    def _read(self, size: int) -> memoryview:
        content = BUFFERS.lend(size).data
        rest = content
        while rest:
            n = self.bulk.recv_into(rest)
            if n == 0:
                raise EOFError("the other end of the line is gone")
            rest = rest[n:]
        return content


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
