"""One coordinator a run: its folder is held by a lock as long as a session lasts.

The kernel lets go of the lock when the process ends, however it ends, so that a run that
was killed can be gone on with at once.
"""

import fcntl
import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_FILE = ".held"


class UnderWay(Exception):
    """Another process drives the run."""


@contextmanager
def held(folder: Path) -> Iterator[None]:
    """Hold a run's folder; nobody else can, as long as the block lasts.

    Raises:
        UnderWay: somebody else holds it.
    """
    with (folder / _FILE).open("a+", encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            raise UnderWay(_in_words(folder, file.read())) from None
        file.truncate(0)
        file.write(f"process {os.getpid()} on {platform.node()}")
        file.flush()
        yield


def _in_words(folder: Path, holder: str) -> str:
    return (
        f"{folder}: this run is under way in {holder or 'another process'}; "
        "wait for its end or stop it, nothing was changed"
    )
