"""A Flower grid inside one machine, without Ray: the same apps, no network between.

Each simulated site is a node. Its ClientApp runs in a worker: a process of its own (a
crash or a hang takes only that process, which is replaced) or a thread.
"""

import itertools
import threading
import time
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field

from flwr.app import Error, Message, RecordDict
from flwr.common.constant import ErrorCode
from flwr.serverapp import Grid
from flwr.supercore.run import Run as FlowerRun
from flwr.supercore.task_identity import TaskIdentity

from server.workers import Crashed, Late, Worker, WorkerFactory

RUN_ID, COORDINATOR = 1, 1
_FIRST_NODE = 1000


@dataclass
class _Letter:
    """A message on its way and what became of it."""

    message: Message
    worker: Worker | None = None
    ready: threading.Event = field(default_factory=threading.Event)
    taken: threading.Event = field(default_factory=threading.Event)

    def take(self) -> Message:
        """Return the reply and let the worker go on."""
        try:
            if self.worker is not None:
                return self.worker.take()
        except Crashed:
            pass
        finally:
            self.taken.set()
        return self._crashed()

    def stream(self) -> Message:
        """Return the reply; once its arrays are read or closed the worker goes on."""
        try:
            if self.worker is not None:
                return self.worker.stream(self.taken.set)
        except Crashed:
            pass
        self.taken.set()
        return self._crashed()

    def _crashed(self) -> Message:
        error = Error(ErrorCode.CLIENT_APP_CRASHED, "ClientApp stopped responding.")
        return Message(error, reply_to=self.message)


class LocalGrid(Grid):
    """Carries messages to simulated sites; `nodes` lists their partition-ids.

    Workers take letters in the order they were pushed. A worker keeps a finished reply
    until it is pulled, so that the coordinator never holds more than one.
    """

    first_poll_s, slowest_poll_s = 0.001, 0.05

    def __init__(self, n_sites: int, make_worker: WorkerFactory, n_workers: int) -> None:
        self._run = FlowerRun.create_empty(RUN_ID)
        TaskIdentity.run_id, TaskIdentity.task_id = RUN_ID, COORDINATOR
        TaskIdentity.node_id = COORDINATOR
        self.nodes = {_FIRST_NODE + i: i for i in range(n_sites)}
        self._letters: dict[str, _Letter] = {}
        self._queue: deque[str] = deque()
        self._ids = itertools.count(1)
        self._changed = threading.Condition()
        self._closed = False
        self._threads = [
            threading.Thread(target=self._work, args=(make_worker(),), daemon=True)
            for _ in range(min(n_workers, n_sites))
        ]
        for thread in self._threads:
            thread.start()

    @property
    def at_once(self) -> int:
        """How many sites work at the same time."""
        return len(self._threads)

    def close(self) -> None:
        """Stop all workers."""
        with self._changed:
            self._closed = True
            self._queue.clear()
            self._changed.notify_all()
        for letter in list(self._letters.values()):
            letter.taken.set()
        for thread in self._threads:
            thread.join(timeout=10)

    def set_run(self, run: FlowerRun) -> None:
        """Set Flower's description of the run."""
        self._run = run

    @property
    def run(self) -> FlowerRun:
        """Flower's description of the run."""
        return self._run

    def create_message(
        self,
        content: RecordDict,
        message_type: str,
        dst_node_id: int,
        group_id: str,
        ttl: float | None = None,
    ) -> Message:
        """Return a message to a node."""
        return Message(
            content, dst_node_id=dst_node_id, message_type=message_type, group_id=group_id, ttl=ttl
        )

    def get_node_ids(self) -> Iterable[int]:
        """Return the nodes' ids."""
        return list(self.nodes)

    def push_messages(self, messages: Iterable[Message]) -> Iterable[str]:
        """Queue messages and return their ids."""
        ids = []
        with self._changed:
            for message in messages:
                name = str(next(self._ids))
                message.metadata.__dict__["_message_id"] = name
                self._letters[name] = _Letter(message)
                self._queue.append(name)
                ids.append(name)
            self._changed.notify_all()
        return ids

    def pull_messages(self, message_ids: Iterable[str]) -> Iterable[Message]:
        """Return the replies to those of the messages that have one."""
        return [letter.take() for letter in self._arrived(message_ids)]

    def pull_streamed(self, message_ids: Iterable[str]) -> Iterable[Message]:
        """Return the same, with arrays that are read from the workers as they are used."""
        return [letter.stream() for letter in self._arrived(message_ids)]

    def _arrived(self, message_ids: Iterable[str]) -> list[_Letter]:
        ready = [m for m in message_ids if m in self._letters and self._letters[m].ready.is_set()]
        return [self._letters.pop(name) for name in ready]

    def send_and_receive(
        self, messages: Iterable[Message], *, timeout: float | None = None
    ) -> Iterable[Message]:
        """Push messages and wait for their replies."""
        waiting = set(self.push_messages(messages))
        end = None if timeout is None else time.monotonic() + timeout
        replies: list[Message] = []
        while waiting and (end is None or time.monotonic() < end):
            for reply in self.pull_messages(list(waiting)):
                waiting.discard(reply.metadata.reply_to_message_id)
                replies.append(reply)
            time.sleep(0.002)
        return replies

    def _work(self, worker: Worker) -> None:
        """Carry letters with one worker until the grid is closed."""
        while (letter := self._next()) is not None:
            message = letter.message
            metadata = message.metadata
            remaining = metadata.created_at + metadata.ttl - time.time()
            try:
                worker.run(message, self.nodes[metadata.dst_node_id], remaining)
            except Late:
                continue  # nobody waits for it any more
            except Crashed:
                pass  # a letter without a worker has no reply
            else:
                letter.worker = worker
            letter.ready.set()
            letter.taken.wait()
            del message, letter  # or they live on until the next letter comes
        worker.close()

    def _next(self) -> _Letter | None:
        with self._changed:
            self._changed.wait_for(lambda: self._queue or self._closed)
            return None if self._closed else self._letters[self._queue.popleft()]
