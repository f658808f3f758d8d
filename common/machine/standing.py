"""A process that is to stand: one of its kind at a time, and it says how it is.

Its lock is the kernel's: it ends with the process, however that ends.
"""

import fcntl
import json
import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

_POLL_S = 0.1


@dataclass(frozen=True)
class Standing:
    """A standing process, as it and others see it.

    Attributes:
        folder: where its two files lie.
        name: what they are called: `NAME.json` says how it is, `NAME.lock` that it lives.
    """

    folder: Path
    name: str

    def state(self) -> dict[str, Any]:
        """Return what it last said, or nothing where it never did."""
        try:
            said: dict[str, Any] = json.loads(self._said.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return said

    def say(self, state: str, words: str, **more: object) -> None:
        """Say how this process is, for others to read."""
        said = {"pid": os.getpid(), "state": state, "words": words, "since": time.time(), **more}
        temporary = self._said.with_suffix(".tmp")
        temporary.write_text(json.dumps(said) + "\n", encoding="utf-8")
        temporary.replace(self._said)

    def lives(self) -> bool:
        """Tell whether such a process lives right now."""
        with self._lock.open("a") as file:
            return not _taken(file)

    @contextmanager
    def only_one(self) -> Iterator[None]:
        """Be this process.

        Raises:
            RuntimeError: there is one already.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        with self._lock.open("a") as file:
            if not _taken(file):
                pid = self.state().get("pid", "?")
                raise RuntimeError(f"{self.folder}: process {pid} is at this already")
            yield

    def stop(self, within_s: float) -> bool:
        """Ask the process to end and wait for it; tell whether there was one.

        Raises:
            TimeoutError: it still lives.
        """
        if not self.lives():
            return False
        pid = int(self.state()["pid"])
        os.kill(pid, signal.SIGTERM)
        end = time.monotonic() + within_s
        while self.lives():
            if time.monotonic() > end:
                raise TimeoutError(f"process {pid} did not end within {within_s:g} s")
            time.sleep(_POLL_S)
        return True

    @property
    def _said(self) -> Path:
        return self.folder / f"{self.name}.json"

    @property
    def _lock(self) -> Path:
        return self.folder / f"{self.name}.lock"


def _taken(file: IO[str]) -> bool:
    """Take the lock if it is free."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
