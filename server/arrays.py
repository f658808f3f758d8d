"""Arrays on the coordinator's disk: safetensors, written atomically, known by sha256."""

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from safetensors.numpy import load, save

from common.sums import Array


def write_arrays(path: Path, arrays: Mapping[str, Array]) -> str:
    """Write arrays and return the sha256 of the file."""
    data = save({name: np.array(a, order="C", copy=None) for name, a in arrays.items()})
    write_file(path, data)
    return hashlib.sha256(data).hexdigest()


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
    """Write a file so that a crash leaves the old one or the new one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.tmp")
    with temporary.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
