"""Processes that one owner starts, watches and stops: exactly these, and all of them.

Each gets a session of its own, so that it and whatever it starts form a group that a
signal reaches, and Ctrl-C reaches nobody but the owner. Where the owner itself is killed,
Linux asks them to stop.
"""

import ctypes
import multiprocessing
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType, TracebackType
from typing import Self

_POLL_S = 0.1
_GRACE_S = 20.0
_LAST_WORDS = 2000
_PR_SET_PDEATHSIG = 1  # <linux/prctl.h>
_LIBC = ctypes.CDLL(None) if sys.platform == "linux" else None  # not to be loaded after a fork
_STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Ended(RuntimeError):
    """A process has ended that should still run."""


@dataclass(frozen=True)
class Plan:
    """A process to be started.

    Attributes:
        name: what it is called here, and its log.
        command: program and arguments.
        folder: where it runs.
        environment: all of it.
    """

    name: str
    command: Sequence[str]
    folder: Path
    environment: Mapping[str, str]


@dataclass(frozen=True)
class Gone:
    """A process that does not run any more.

    Attributes:
        name: of its plan.
        code: its exit code; below 0, the signal that ended it.
        last_words: the end of what it wrote since it was started.
    """

    name: str
    code: int
    last_words: str


@dataclass
class _Process:
    plan: Plan
    log: Path
    popen: subprocess.Popen[bytes]
    begin: int = 0
    swept: bool = False

    def last_words(self) -> str:
        """Return the end of what it wrote to its log."""
        with self.log.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(self.begin, size - _LAST_WORDS))
            return file.read().decode("utf-8", errors="replace")

    def ended(self) -> bool:
        """Tell whether it has ended; if so, end what it may have left in its group."""
        if self.popen.poll() is None:
            return False
        if not self.swept:  # at once and once: later the number may be another's
            self.swept = True
            self._signal(signal.SIGKILL)
        return True

    def ask_to_stop(self) -> None:
        """Ask it and its group to stop."""
        if not self.ended():
            self._signal(signal.SIGTERM)

    def end(self, deadline: float) -> None:
        """Wait for it until a moment of the monotonic clock, then make an end of it."""
        while not self.ended() and time.monotonic() < deadline:
            time.sleep(_POLL_S)
        if not self.ended():
            self._signal(signal.SIGKILL)
            self.popen.wait()
            self.swept = True

    def _signal(self, number: int) -> None:
        # PermissionError is how macOS says that only zombies are left.
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self.popen.pid, number)


@dataclass
class Processes:
    """What was started, in this order; it is stopped in the opposite order.

    Attributes:
        logs: folder for a log file each.
    """

    logs: Path
    _stages: list[list[_Process]] = field(default_factory=list)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with _undisturbed():
            self.stop()

    def start(self, *plans: Plan) -> None:
        """Start processes that belong together: they will be stopped at the same time."""
        stage: list[_Process] = []
        self._stages.append(stage)
        for plan in plans:
            stage.append(_start(plan, self.logs / f"{plan.name}.log"))

    def start_again(self, name: str) -> None:
        """Start a process that has ended once more, in its old place.

        Raises:
            KeyError: none of that name was started.
        """
        for stage in self._stages:
            for i, process in enumerate(stage):
                if process.plan.name == name:
                    stage[i] = _start(process.plan, process.log)
                    return
        raise KeyError(name)

    def ended(self) -> "Gone | None":
        """Return the first process that does not run any more, if there is one."""
        for process in (p for stage in self._stages for p in stage):
            if process.ended():
                return Gone(process.plan.name, process.popen.returncode, process.last_words())
        return None

    def last_words(self, name: str) -> str:
        """Return the end of what a process has written since it was started.

        Raises:
            KeyError: none of that name was started.
        """
        return self._named(name).last_words()

    def said(self, name: str, most_bytes: int = 1 << 18) -> str:
        """Return the beginning of what a process has written since it was started.

        Raises:
            KeyError: none of that name was started.
        """
        process = self._named(name)
        with process.log.open("rb") as file:
            file.seek(process.begin)
            return file.read(most_bytes).decode("utf-8", errors="replace")

    def _named(self, name: str) -> _Process:
        for process in (p for stage in self._stages for p in stage):
            if process.plan.name == name:
                return process
        raise KeyError(name)

    def check(self) -> None:
        """Check that all still run.

        Raises:
            Ended: one does not; the message ends with the last lines of its log.
        """
        gone = self.ended()
        if gone is not None:
            raise Ended(
                f"{gone.name} ended with {gone.code}; "
                f"{self.logs / gone.name}.log ends:\n{gone.last_words}"
            )

    def wait_for(self, condition: Callable[[], bool], what: str, limit_s: float) -> None:
        """Wait until a condition holds, while all processes run.

        Raises:
            Ended: a process does not run any more.
            TimeoutError: the condition did not hold in time.
        """
        end = time.monotonic() + limit_s
        while not condition():
            self.check()
            if time.monotonic() > end:
                raise TimeoutError(f"{what}: not within {limit_s:g} s; logs: {self.logs}")
            time.sleep(_POLL_S)

    def stop(self) -> None:
        """Stop everything that was started, the latest first, and wait for it."""
        while self._stages:
            stage = self._stages[-1]
            for process in stage:
                process.ask_to_stop()
            deadline = time.monotonic() + _GRACE_S
            for process in stage:
                process.end(deadline)
            self._stages.pop()


def free_ports(n: int) -> list[int]:
    """Return numbers of ports that nobody listens to on 127.0.0.1 right now."""
    with_sockets = [socket.socket() for _ in range(n)]
    try:
        for one in with_sockets:
            one.bind(("127.0.0.1", 0))
        return [int(one.getsockname()[1]) for one in with_sockets]
    finally:
        for one in with_sockets:
            one.close()


def end_with_parent() -> None:
    """Let this process, begun by `multiprocessing`, end as soon as its parent has.

    Else a parent that was killed leaves it at work, on a GPU too, on what nobody waits for.
    """
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_end_after, args=(parent.join,), daemon=True).start()


def _end_after(wait: Callable[[], None]) -> None:
    wait()
    os._exit(1)


@contextmanager
def stopped_by_signals() -> Iterator[None]:
    """Turn SIGTERM and SIGHUP into KeyboardInterrupt, so that they clean up as Ctrl-C does.

    A signal that is ignored, as by what a shell has in its background or under `nohup`, stays so.
    """
    with _handling(_interrupt):
        yield


@contextmanager
def _undisturbed() -> Iterator[None]:
    """Finish what is inside, whatever signal to stop arrives meanwhile."""
    with _handling(signal.SIG_IGN):
        yield


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


_Handler = Callable[[int, FrameType | None], None] | signal.Handlers


@contextmanager
def _handling(handler: _Handler) -> Iterator[None]:
    if threading.current_thread() is not threading.main_thread():
        yield  # only the main thread gets signals and may say what becomes of them
        return
    heard = [number for number in _STOPPING if signal.getsignal(number) is not signal.SIG_IGN]
    before = {number: signal.signal(number, handler) for number in heard}
    try:
        yield
    finally:
        for number, old in before.items():
            signal.signal(number, old)


def _stop_with_owner() -> None:
    if _LIBC is not None:
        _LIBC.prctl(_PR_SET_PDEATHSIG, int(signal.SIGTERM))


def _start(plan: Plan, log: Path) -> _Process:
    log.parent.mkdir(parents=True, exist_ok=True)
    plan.folder.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as output:
        begin = output.tell()
        popen = subprocess.Popen(  # noqa: S603  (the program is of this very package's plan)
            list(plan.command),
            cwd=plan.folder,
            env=dict(plan.environment),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=_stop_with_owner,
        )
    return _Process(plan, log, popen, begin)
