"""Arrays on the coordinator's disk: safetensors, written atomically, known by sha256."""

import errno
import hashlib
import os
import re
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load, save_file

from common.sums import Array


def write_arrays(path: Path, arrays: Mapping[str, Array]) -> str:
    """Write arrays and return the sha256 of the file."""
    plain = {name: np.asarray(a, order="C") for name, a in arrays.items()}
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.tmp")
    try:
        save_file(plain, temporary)
    except SafetensorError as error:  # it wraps the system's own
        temporary.unlink(missing_ok=True)
        number = re.search(r"os error (\d+)", str(error))
        code = int(number[1]) if number else errno.EIO
        raise OSError(code, os.strerror(code), str(path)) from None
    with temporary.open("r+b") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
        os.fsync(file.fileno())
    temporary.replace(path)
    return digest


def read_arrays(path: Path, sha256: str) -> dict[str, Array]:
    """Return the arrays of a file.

    Raises:
        ValueError: the file is not the one that was written.
    """
    data = path.read_bytes()
    if hashlib.sha256(data).hexdigest() != sha256:
        raise ValueError(f"{path}: expected the file the journal names, but it was changed")
    return dict(load(data))


def write_file(path: Path, data: bytes) -> None:
    """Write a file so that a crash leaves the old one or the new one.

    Raises:
        OSError: of the file as it was named, not of what is written beside it before.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.tmp")
    try:
        with temporary.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        if error.filename != str(temporary):
            raise
        raise type(error)(error.errno, error.strerror, str(path)) from error
