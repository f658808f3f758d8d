"""Writing on a site's disk so that a crash leaves the old file or the new one."""

import fcntl
import os
import secrets
import threading
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import TypeAlias

Buffer: TypeAlias = bytes | bytearray | memoryview


def write_atomically(path: Path, *data: Buffer, mode: int = 0o644, durable: bool = True) -> None:
    """Write `data` to `path` through a temporary file beside it.

    Args:
        path: the file.
        data: its content, in one piece or several.
        mode: its permissions.
        durable: wait until the disk has it; what can be made again need not wait.

    Raises:
        OSError: the disk is full or the folder cannot be written; `path` is unchanged.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    owner = f"{os.getpid()}-{threading.get_ident()}"  # two threads may answer for one site
    temporary = path.with_name(f".{path.name}.{owner}.tmp")
    try:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
        with os.fdopen(descriptor, "wb") as file:
            file.writelines(data)
            if durable:
                file.flush()
                os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:  # said of the file that people know
        if error.errno is None:
            raise
        raise OSError(error.errno, error.strerror, str(path)) from error
    finally:
        with suppress(OSError):  # where nothing can be written, nothing was
            temporary.unlink(missing_ok=True)


def write_once(path: Path, data: Buffer, *, mode: int = 0o644) -> None:
    """Write `data` to `path` unless there is such a file; of two at once the first stays.

    Raises:
        OSError: the disk is full or the folder cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = path.with_name(f".{path.name}.lock")
    with os.fdopen(os.open(lock, os.O_RDWR | os.O_CREAT, 0o600), "rb") as held:
        fcntl.flock(held, fcntl.LOCK_EX)  # until it is closed
        if not path.exists():
            write_atomically(path, data, mode=mode)


@lru_cache(maxsize=1)
def boot() -> str:
    """Return a word for the time since this machine was started; elsewhere, for this process."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return secrets.token_hex(16)


def overwrite(path: Path, stamp: bytes, data: Buffer) -> None:
    """Write a stamp and data into the file there is, for what can be made again.

    The stamp is cleared first and set last, so that a process that was killed leaves none
    that holds. A machine that went down may have written any part: the stamp has to be of
    this `boot`.

    Args:
        path: the file; its content is lost.
        stamp: by which the data are known; never all zeros.
        data: what follows it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT, 0o600), "r+b", buffering=0) as file:
        _write_whole(file.fileno(), bytes(len(stamp)), 0)
        os.ftruncate(file.fileno(), len(stamp) + len(memoryview(data)))
        _write_whole(file.fileno(), data, len(stamp))
        _write_whole(file.fileno(), stamp, 0)


def _write_whole(descriptor: int, data: Buffer, at: int) -> None:
    rest = memoryview(data)
    while rest:
        n = os.pwrite(descriptor, rest, at)
        rest, at = rest[n:], at + n
