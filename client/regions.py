"""One region of one image, read from a case's files and made fit for measuring.

Whatever is wrong with it becomes a Fault; nothing is repaired in silence.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from client.imageio import Grid, Volume, read_image, resample
from client.nifti import count_not_finite, is_nifti
from common.radiomics.faults import Fault, Faulty

Bools = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Scan:
    """An image of a case as it is measured.

    Attributes:
        volume: voxels (Z, Y, X), float32 or whole numbers, in the study's unit.
        digest: sha256 of the files.
    """

    volume: Volume
    digest: str


def read_scan(path: Path | None, scale: float = 1.0) -> Scan:
    """Return an image.

    Args:
        path: a file or a folder with one DICOM series; None where the case has none.
        scale: grey levels times this are in the study's unit.

    Raises:
        Faulty: IMAGE_MISSING, IMAGE_UNREADABLE or IMAGE_NOT_FINITE.
    """
    if path is None:
        raise Faulty(Fault.IMAGE_MISSING)
    try:
        volume = read_image(path)
        n_odd = count_not_finite(path) if is_nifti(path) else 0
    except (OSError, RuntimeError, ValueError) as error:
        raise Faulty(Fault.IMAGE_UNREADABLE, str(error)) from None
    voxels = volume.voxels
    if voxels.dtype.kind == "f":
        n_odd = max(n_odd, voxels.size - int(np.isfinite(voxels).sum()))
    if n_odd:
        raise Faulty(Fault.IMAGE_NOT_FINITE, f"{n_odd} voxels are NaN or infinite")
    if scale != 1.0:
        volume = Volume(voxels.astype(np.float64) * scale, volume.grid)
    return Scan(volume, digest_of(path))


def read_mask(path: Path | None) -> Volume:
    """Return a mask.

    Raises:
        Faulty: MASK_MISSING or MASK_UNREADABLE.
    """
    if path is None:
        raise Faulty(Fault.MASK_MISSING)
    try:
        return read_image(path)
    except (OSError, RuntimeError, ValueError) as error:
        raise Faulty(Fault.MASK_UNREADABLE, str(error)) from None


def region_in(mask: Volume, values: tuple[int, ...], onto: Grid, *, own: bool) -> Bools:
    """Return which voxels of an image's grid belong to a region, shape of the grid.

    Args:
        mask: label values.
        values: those of the region.
        onto: the image's grid.
        own: the mask was drawn on this image, so that its grid must be the same.

    Raises:
        Faulty: MASK_EMPTY, MASK_OTHER_GRID or MASK_OFF_IMAGE.
    """
    inside: Bools = np.isin(mask.voxels, values)
    if not inside.any():
        raise Faulty(Fault.MASK_EMPTY, f"no voxel has one of the values {values}")
    if mask.grid.matches(onto):
        return inside
    if own and _overlaps(mask.grid, onto):
        raise Faulty(Fault.MASK_OTHER_GRID, f"{mask.grid} against {onto}")
    found = resample(Volume(inside.astype(np.uint8), mask.grid), onto, how="label", outside=0)
    if not found.any():
        raise Faulty(Fault.MASK_OFF_IMAGE, "the region lies outside of the image")
    moved: Bools = found > 0
    return moved


def digest_of(path: Path) -> str:
    """Return the sha256 of a file, or of all files of a folder."""
    sha = hashlib.sha256()
    for file in _files(path):
        with file.open("rb") as opened:
            sha.update(hashlib.file_digest(opened, "sha256").digest())
    return sha.hexdigest()


def _files(path: Path) -> Iterator[Path]:
    yield from sorted(p for p in path.iterdir() if p.is_file()) if path.is_dir() else (path,)


def _overlaps(mask: Grid, image: Grid) -> bool:
    """Return whether the boxes of two grids, in patient coordinates, share any room."""
    a, b = _box(mask), _box(image)
    return bool((a[0] <= b[1]).all() and (b[0] <= a[1]).all())


def _box(grid: Grid) -> tuple[NDArray[Any], NDArray[Any]]:
    last = np.subtract(grid.shape, 1)
    corners = [grid.point_mm(np.multiply(c, last).tolist()) for c in np.ndindex(2, 2, 2)]
    return np.min(corners, axis=0), np.max(corners, axis=0)
