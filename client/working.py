"""What the process that answers a message is at, and how it is made to let go of it.

Flower does not tell a process at work that its run was stopped, and one that is simply
killed blocks its SuperNode for a minute or, told to end, for ever. So work is noted in the
workspace; whoever keeps the site joined asks the coordinator about the run, and where it is
no more, puts a stop sign beside the note. The work then ends as a reply like any other.
"""

import json
import os
import signal
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import Any

from client.files import write_atomically

NOTE, STOP = "working.json", "stop"
_POLL_S = 0.3


class Halted(BaseException):
    """The work is to end now; no `except Exception` on the way may hold it up."""


@contextmanager
def at_work(workspace: Path, run: int, about: Mapping[str, Any]) -> Iterator[None]:
    """Note that this process works for a Flower run; end the work where a stop sign appears.

    Raises:
        Halted: the sign names this run.
    """
    note = {"pid": os.getpid(), "flower_run": str(run), "since": time.time(), **about}
    write_atomically(workspace / NOTE, json.dumps(note).encode(), durable=False)
    done = threading.Event()
    before = signal.signal(signal.SIGUSR1, _halt)
    threading.Thread(target=_watch, args=(workspace, str(run), done), daemon=True).start()
    try:
        yield
    finally:
        done.set()
        signal.signal(signal.SIGUSR1, signal.SIG_IGN)
        with suppress(OSError):
            (workspace / NOTE).unlink()
        signal.signal(signal.SIGUSR1, before)


def work_under_way(workspace: Path) -> dict[str, Any] | None:
    """Return the note of the process at work, if there is one and it lives."""
    try:
        note: dict[str, Any] = json.loads((workspace / NOTE).read_text(encoding="utf-8"))
        os.kill(int(note["pid"]), 0)
    except (OSError, ValueError, KeyError):
        return None
    return note


def stop_work(workspace: Path, run: str) -> None:
    """Put up the stop sign for a Flower run."""
    write_atomically(workspace / STOP, run.encode(), durable=False)


def kill_work(note: Mapping[str, Any]) -> bool:
    """Kill a process that does not heed the sign; tell whether it was one of ours."""
    pid = int(note["pid"])
    try:
        command = Path(f"/proc/{pid}/cmdline").read_bytes()
        ours = b"client.joining.worker" in command
        if ours:
            os.kill(pid, signal.SIGKILL)
    except OSError:
        return False
    return ours


def _watch(workspace: Path, run: str, done: threading.Event) -> None:
    main = threading.main_thread().ident
    while not done.wait(_POLL_S):
        if _sign(workspace) == run and main is not None:
            signal.pthread_kill(main, signal.SIGUSR1)
            return


def _sign(workspace: Path) -> str:
    try:
        return (workspace / STOP).read_text(encoding="utf-8").strip()
    except OSError:
        return ""


def _halt(_number: int, _frame: FrameType | None) -> None:
    raise Halted
