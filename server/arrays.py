"""Arrays on the coordinator's disk: safetensors, written atomically, known by sha256."""

import hashlib
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from safetensors.numpy import load

from common.sums import Array

Buffer: TypeAlias = bytes | memoryview

_NAMES = {"f": "F", "i": "I", "u": "U"}  # of types, by numpy's kind


def write_arrays(path: Path, arrays: Mapping[str, Array]) -> str:
    """Write arrays and return the sha256 of the file."""
    sha = hashlib.sha256()

    def pieces() -> Iterator[Buffer]:
        for piece in _file_of(arrays):
            sha.update(piece)
            yield piece

    _write(path, pieces())
    return sha.hexdigest()


def _file_of(arrays: Mapping[str, Array]) -> Iterator[Buffer]:
    """Yield a file of safetensors in pieces: its own `save` makes a copy of every array."""
    plain = {name: np.asarray(a, order="C") for name, a in arrays.items()}
    in_order = sorted(plain.items(), key=lambda item: (-item[1].itemsize, item[0]))
    head: dict[str, dict[str, Any]] = {}
    at = 0
    for name, array in in_order:
        end = at + array.nbytes
        type_ = "BOOL" if array.dtype == bool else f"{_NAMES[array.dtype.kind]}{8 * array.itemsize}"
        head[name] = {"dtype": type_, "shape": array.shape, "data_offsets": (at, end)}
        at = end
    text = json.dumps(head).encode()
    text += b" " * (-len(text) % 8)
    yield len(text).to_bytes(8, "little") + text
    for _, array in in_order:
        yield array.reshape(-1).view(np.uint8).data


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
    _write(path, [data])


def _write(path: Path, pieces: Iterable[Buffer]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.tmp")
    try:
        with temporary.open("wb") as file:
            file.writelines(pieces)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise OSError(error.errno, error.strerror, str(path)) from error
