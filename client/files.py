"""Writing on a site's disk so that a crash leaves the old file or the new one."""

import os
from pathlib import Path
from typing import TypeAlias

Buffer: TypeAlias = bytes | bytearray | memoryview


def write_atomically(path: Path, data: Buffer, *, mode: int = 0o644, durable: bool = True) -> None:
    """Write `data` to `path` through a temporary file beside it.

    Args:
        path: the file.
        data: its content.
        mode: its permissions.
        durable: wait until the disk has it; what can be made again need not wait.

    Raises:
        OSError: the disk is full or the folder cannot be written; `path` is unchanged.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            if durable:
                file.flush()
                os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
