"""Workers that run a ClientApp for simulated sites: a process each, or a thread."""

import importlib
import logging
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from multiprocessing import resource_tracker
from multiprocessing.process import BaseProcess
from typing import Protocol, TypeAlias

from flwr.app import Context, Message, RecordDict
from flwr.clientapp import ClientApp

from common.machine.processes import end_with_parent
from common.wire import release
from server.line import Head, Line, open_line

log = logging.getLogger(__name__)

_LONGEST_WAIT_S = 10 * 365 * 86400.0
_CLOSING_S = 5.0


class Crashed(Exception):
    """The worker died while it worked; a new one takes its place."""


class Late(Exception):
    """The worker was still busy when the message expired; a new one takes its place."""


class Worker(Protocol):
    """Runs one message at a time."""

    def run(self, message: Message, partition: int, timeout_s: float) -> None:
        """Run a message for a site to its end; raise Crashed or Late otherwise."""

    def take(self) -> Message:
        """Return the reply of the last message run."""

    def stream(self, done: Callable[[], None]) -> Message:
        """Return the reply, which is still the worker's until `done`: arrays may be streams."""

    def close(self) -> None:
        """Stop."""


WorkerFactory: TypeAlias = Callable[[], Worker]


def load_app(reference: str) -> ClientApp:
    """Return the ClientApp named "module:attribute", as Flower names it."""
    module, _, attribute = reference.partition(":")
    app: ClientApp = getattr(importlib.import_module(module), attribute)
    return app


def context_of(partition: int) -> Context:
    """Return the context of a simulated site, as Flower's simulation makes it."""
    return Context(1, partition, {"partition-id": partition}, RecordDict(), {})


@dataclass
class ThreadWorker:
    """Runs the app in threads of this process: quick to start, cannot be killed."""

    reference: str
    _reply: Message | None = None

    def run(self, message: Message, partition: int, timeout_s: float) -> None:
        """Run a message; raise Crashed where the app raises, Late where it takes too long."""
        outcome: Future[Message] = Future()
        work = partial(_run_into, outcome, self.reference, message, partition)
        threading.Thread(target=work, daemon=True).start()
        try:
            error = outcome.exception(min(max(timeout_s, 0), _LONGEST_WAIT_S))
        except TimeoutError:
            raise Late from None
        if error is not None:
            log.error("the ClientApp raised", exc_info=error)
            raise Crashed
        self._reply = outcome.result()

    def take(self) -> Message:
        """Return the reply of the last message run."""
        reply, self._reply = self._reply, None
        if reply is None:
            raise Crashed
        return reply

    def stream(self, done: Callable[[], None]) -> Message:
        """Return the reply of the last message run; it is whole already."""
        done()
        return self.take()

    def close(self) -> None:
        """Do nothing: daemon threads end with the process."""


def _run_into(outcome: Future[Message], reference: str, message: Message, partition: int) -> None:
    try:
        outcome.set_result(load_app(reference)(message, context_of(partition)))
    except Exception as error:  # noqa: BLE001  (handed on to the thread that waits)
        outcome.set_exception(error)


@dataclass
class ProcessWorker:
    """Runs the app in a child process, replaced when it dies or hangs."""

    reference: str
    environment: Mapping[str, str]
    _process: BaseProcess | None = None
    _line: Line | None = None
    _head: Head | None = None

    def run(self, message: Message, partition: int, timeout_s: float) -> None:
        """Run a message; raise Crashed where the process dies, Late where it takes too long."""
        line = self._begin()
        try:
            line.send(message, partition)
            arrived = line.wait(min(max(timeout_s, 0), _LONGEST_WAIT_S))
            self._head = line.receive_head() if arrived else None
        except (EOFError, OSError):
            self._end()
            raise Crashed from None
        if not arrived:
            self._end()
            raise Late

    def take(self) -> Message:
        """Return the reply of the last message run."""
        if self._line is None or self._head is None:
            raise Crashed
        try:
            return self._line.receive_body(self._head)
        except (EOFError, OSError):
            raise Crashed from None
        finally:
            self._head = None

    def stream(self, done: Callable[[], None]) -> Message:
        """Return the reply of the last message run, its arrays as streams."""
        if self._line is None or self._head is None:
            raise Crashed
        head, self._head = self._head, None
        return self._line.stream_body(head, done)

    def close(self) -> None:
        """Stop the process."""
        self._end()

    def _begin(self) -> Line:
        if self._process is None or self._line is None or not self._process.is_alive():
            self._end()
            context = multiprocessing.get_context("spawn")
            self._line, theirs = open_line()
            arguments = (theirs, self.reference, dict(self.environment))
            self._process = context.Process(target=_serve, args=arguments, daemon=True)
            with _no_interrupts():
                self._process.start()
            theirs.close()
        return self._line

    def _end(self) -> None:
        if self._line is not None:
            self._line.close()
        if self._process is not None:
            self._process.kill()
            self._process.join(_CLOSING_S)
        self._process, self._line = None, None


@contextmanager
def _no_interrupts() -> Iterator[None]:
    """Let a child that is started meanwhile be deaf to Ctrl-C while it imports.

    A thread may block a signal for itself and its children; only the main thread may
    ignore it. The tracker of multiprocessing unblocks it when it starts, so it starts first.
    """
    resource_tracker.ensure_running()
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _serve(line: Line, reference: str, environment: dict[str, str]) -> None:
    """Answer messages until the line closes: the child's whole life."""
    end_with_parent()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to handle
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})  # what it starts inherits both
    os.environ.update(environment)
    app = load_app(reference)
    try:
        while True:
            head = line.receive_head()
            message = line.receive_body(head)
            reply = app(message, context_of(head.partition))
            line.send(reply, head.partition)
            for done in (message, reply):
                if done.has_content():
                    release(done.content)
    except (EOFError, OSError):
        return
