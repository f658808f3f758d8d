"""Count NaN and infinite voxels of a NIfTI file.

ITK's reader of NIfTI turns them into 0 without a word, so an image that it returned
cannot tell. Hence the voxels are read here once more, as they lie on the disk.
"""

import gzip
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np

_FLOATS = {16: "f4", 64: "f8"}  # the codes of the format for float32 and float64
_BLOCK = 1 << 22


@dataclass(frozen=True, slots=True)
class _Layout:
    """Where voxels lie in a file, by the size of its heading (NIfTI-1 or -2)."""

    kind: tuple[str, int]
    start: tuple[str, int]


_LAYOUTS = {348: _Layout(("h", 70), ("f", 108)), 540: _Layout(("h", 12), ("q", 168))}


def is_nifti(path: Path) -> bool:
    """Return whether a file's name is that of a NIfTI file."""
    return path.name.endswith((".nii", ".nii.gz"))


def count_not_finite(path: Path) -> int:
    """Return how many voxels are NaN or infinite.

    Raises:
        OSError: the file cannot be read.
        ValueError: it is no NIfTI file.
    """
    with _opened(path) as file:
        heading = file.read(540)
        order, layout = _layout(heading)
        (kind,) = struct.unpack_from(order + layout.kind[0], heading, layout.kind[1])
        (start,) = struct.unpack_from(order + layout.start[0], heading, layout.start[1])
        if kind not in _FLOATS:
            return 0
        file.seek(int(start))
        return _count(file, np.dtype(order + _FLOATS[kind]))


def _opened(path: Path) -> BinaryIO | gzip.GzipFile:
    return gzip.GzipFile(path) if path.name.endswith(".gz") else path.open("rb")


def _layout(heading: bytes) -> tuple[str, _Layout]:
    for order in "<>":
        if len(heading) >= 348:
            (size,) = struct.unpack_from(order + "i", heading)
            if size in _LAYOUTS:
                return order, _LAYOUTS[size]
    raise ValueError("no NIfTI heading")


def _count(file: BinaryIO | gzip.GzipFile, kind: np.dtype[np.floating]) -> int:
    n = 0
    while block := file.read(_BLOCK):
        values = np.frombuffer(block[: len(block) // kind.itemsize * kind.itemsize], kind)
        n += values.size - int(np.count_nonzero(np.isfinite(values)))
    return n
