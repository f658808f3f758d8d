"""What an image or mask file holds, as far as a cohort check asks; kept on disk.

Opening 200 images takes a minute, so what was found is remembered for as long as size
and time of the file stay the same. Facts say nothing about a study: every study judges
them by its own contract.
"""

import hashlib
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import TypeAdapter, ValidationError

from client.files import write_atomically
from client.nifti import count_not_finite, is_nifti
from client.pool import each

if TYPE_CHECKING:
    from client.imageio import Volume

Kind = Literal["image", "mask"]
Wanted = tuple[Kind, Path]

_FILE = "facts.json"
_WORTH_MB = 200  # compressed; below it, starting processes takes longer than it saves
_VERSION = 1  # one more whenever a fact changes its meaning
_MOST_LABELS = 1000


@dataclass(frozen=True, slots=True)
class Facts:
    """What one file holds.

    Attributes:
        problem: why it cannot be read, or "".
        size: number of voxels, (z, y, x).
        spacing_mm: voxel size, (z, y, x).
        corners_mm: patient coordinates of the first voxel and of the last one along
            each axis in turn, four points; they say where the grid lies.
        n_not_finite: NaN or infinite voxels.
        low: smallest finite value.
        high: largest finite value.
        labels: of a mask: its distinct values without 0, at most a thousand.
        digest: sha256 of the voxels.
    """

    problem: str = ""
    size: tuple[int, ...] = ()
    spacing_mm: tuple[float, ...] = ()
    corners_mm: tuple[tuple[float, ...], ...] = ()
    n_not_finite: int = 0
    low: float = 0.0
    high: float = 0.0
    labels: tuple[float, ...] = ()
    digest: str = ""


@dataclass(frozen=True, slots=True)
class _Kept:
    """Facts with the size and time of the file they are about."""

    mark: str
    facts: Facts


_MEMORY = TypeAdapter(dict[str, _Kept])


def find_facts(wanted: Iterable[Wanted], cache: Path | None) -> dict[Wanted, Facts]:
    """Return the facts of every file, opening only those that changed.

    Args:
        wanted: files; each must exist.
        cache: folder to remember them in, or None.
    """
    known = _remembered(cache)
    marks = {item: _mark(item[1]) for item in dict.fromkeys(wanted)}
    fresh = [item for item, mark in marks.items() if not _holds(known, item, mark)]
    for item, facts in _opened(fresh):
        known[_key(item)] = _Kept(marks[item], facts)
    if fresh and cache is not None:
        write_atomically(cache / _FILE, _MEMORY.dump_json(known))
    return {item: known[_key(item)].facts for item in marks}


def _holds(known: Mapping[str, _Kept], item: Wanted, mark: str) -> bool:
    kept = known.get(_key(item))
    return kept is not None and kept.mark == mark


def _opened(fresh: list[Wanted]) -> Iterator[tuple[Wanted, Facts]]:
    """Yield files with their facts, in any order; many are read in several processes.

    Not in threads: a simulation's worker died in SimpleITK 2.5.7 while two of them read,
    in the copy of an image's metadata. It was seen once and not in 34 000 reads after it.
    """
    large = sum(_size(path) for _, path in fresh) > _WORTH_MB * 10**6
    yield from each(_pair, fresh, processes=0 if large else 1, crashed=_died)


def _pair(item: Wanted) -> tuple[Wanted, Facts]:
    return item, _open(item)


def _died(item: Wanted) -> tuple[Wanted, Facts]:
    return item, Facts(problem="the program that reads images died of it, twice")


def _size(path: Path) -> int:
    if path.is_dir():
        return sum(stat.st_size for _, stat in _files(path))
    return path.stat().st_size


def _open(item: Wanted) -> Facts:
    from client.imageio import read_image  # heavy: an ask about tables needs none

    kind, path = item
    try:
        volume = read_image(path)
        n_zeroed = count_not_finite(path) if is_nifti(path) else 0
    except (RuntimeError, OSError, EOFError, ValueError) as error:
        return Facts(problem=_reason(error))
    return _look(kind, volume, n_zeroed)


def _reason(error: Exception) -> str:
    """Return the last line of a reader's message, which is the one for people."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1][:200] if lines else type(error).__name__


def _look(kind: Kind, volume: "Volume", n_zeroed: int) -> Facts:
    voxels, grid = volume.voxels, volume.grid
    finite = np.isfinite(voxels)
    n_not_finite = int(voxels.size - np.count_nonzero(finite))
    good = voxels[finite] if n_not_finite else voxels
    nz, ny, nx = (n - 1 for n in grid.shape)
    ends = [(0, 0, 0), (nz, 0, 0), (0, ny, 0), (0, 0, nx)]
    return Facts(
        size=grid.shape,
        spacing_mm=grid.spacing_mm,
        corners_mm=tuple(grid.point_mm(end) for end in ends),
        n_not_finite=n_not_finite + n_zeroed,
        low=float(good.min()) if good.size else 0.0,
        high=float(good.max()) if good.size else 0.0,
        labels=_labels(good) if kind == "mask" else (),
        digest=_digest(voxels),
    )


def _labels(voxels: NDArray[Any]) -> tuple[float, ...]:
    labels = np.unique(voxels)
    return tuple(float(label) for label in labels[labels != 0][:_MOST_LABELS])


def _digest(voxels: NDArray[Any]) -> str:
    digest = hashlib.sha256(f"{voxels.shape}{voxels.dtype.str}".encode())
    digest.update(np.ascontiguousarray(voxels).data)
    return digest.hexdigest()


def _key(item: Wanted) -> str:
    return f"{item[0]} {item[1]}"


def _mark(path: Path) -> str:
    """Return size and time of a file, or of every file of a DICOM folder."""
    files = sorted(_files(path)) if path.is_dir() else [(path.name, path.stat())]
    text = "".join(f"{name} {s.st_size} {s.st_mtime_ns}\n" for name, s in files)
    return hashlib.sha256(f"{_VERSION}\n{text}".encode()).hexdigest()[:16]


def _files(folder: Path) -> Iterator[tuple[str, os.stat_result]]:
    with os.scandir(folder) as entries:
        yield from ((entry.name, entry.stat()) for entry in entries if entry.is_file())


def _remembered(cache: Path | None) -> dict[str, _Kept]:
    """Return what is known; a file that another version wrote counts for nothing."""
    if cache is None:
        return {}
    try:
        return _MEMORY.validate_json((cache / _FILE).read_bytes())
    except (OSError, ValidationError):
        return {}
