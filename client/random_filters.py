"""Random convolutions of an image, pooled over a region; the same wherever they are drawn."""

from itertools import product

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from client.imageio import Grid, Volume, resample
from client.regions import Bools
from common.seeds import numpy_rng

Floats = NDArray[np.float64]

_STEPS = (1, 2, 4)  # voxels between the taps of a filter
_CHUNK = 4096  # voxels at a time


def random_features(
    volume: Volume, inside: Bools, *, n: int, spacing_mm: float, seed: int
) -> Floats:
    """Return n features of a region, shape (n,).

    The image is brought to voxels of `spacing_mm` and to mean 0 and deviation 1 over
    the region and 10 voxels around it, so that scale and offset of a scanner fall out.

    Args:
        volume: the image.
        inside: the region, shape of the image.
        n: how many.
        spacing_mm: voxel size.
        seed: of the filters.
    """
    voxels, region = _box(volume, inside, spacing_mm)
    out = np.empty(n)
    for i, step in enumerate(_STEPS):
        which = np.arange(i, n, len(_STEPS))
        out[which] = _pooled(voxels, region, _filters(seed, step, len(which)), step)
    return out


def _filters(seed: int, step: int, n: int) -> Floats:
    """Return filters of 27 taps, mean 0 and length 1, shape (27, n)."""
    taps = numpy_rng(seed, "random filters", step).standard_normal((n, 27)).T
    taps -= taps.mean(axis=0)
    return np.asarray(taps / np.linalg.norm(taps, axis=0), np.float64)


def _pooled(voxels: Floats, region: Bools, filters: Floats, step: int) -> Floats:
    """Return the mean positive response of each filter over the region."""
    padded = np.pad(voxels, step, mode="edge")
    at = np.argwhere(region) + step
    offsets = step * (np.array([*product(range(3), repeat=3)]) - 1)
    total = np.zeros(filters.shape[1])
    for start in range(0, len(at), _CHUNK):
        places = at[start : start + _CHUNK, None, :] + offsets
        taps = padded[places[..., 0], places[..., 1], places[..., 2]]
        total += np.maximum(taps @ filters, 0).sum(axis=0)
    return np.asarray(total / max(len(at), 1), np.float64)


def _box(volume: Volume, inside: Bools, spacing_mm: float) -> tuple[Floats, Bools]:
    """Return the image around a region, resampled and standardised, and the region there."""
    grid = _around(volume.grid, inside, spacing_mm)
    ratio = np.divide(spacing_mm, volume.grid.spacing_mm)
    sigma = np.sqrt(np.maximum(ratio**2 - 1, 0)) / 2
    smooth = ndimage.gaussian_filter(volume.voxels.astype(np.float32), sigma, mode="nearest")
    lowest = float(volume.voxels.min())
    source = Volume(smooth, volume.grid)
    voxels = np.asarray(resample(source, grid, how="linear", outside=lowest), np.float64)
    mask = Volume(inside.astype(np.uint8), volume.grid)
    region = resample(mask, grid, how="label", outside=0) > 0
    spread = voxels.std()
    return (voxels - voxels.mean()) / (spread if spread > 0 else 1.0), region


def _around(grid: Grid, inside: Bools, spacing_mm: float) -> Grid:
    at = np.argwhere(inside)
    low, high = at.min(axis=0), at.max(axis=0)
    steps = np.array(grid.spacing_mm) / spacing_mm
    n_z, n_y, n_x = (np.ceil((high - low + 1) * steps).astype(int) + 20).tolist()
    middle = (low + high) / 2
    shape = np.array([n_z, n_y, n_x])
    first = middle - (shape - 1) / 2 / steps
    size = (spacing_mm,) * 3
    return Grid((n_z, n_y, n_x), size, grid.point_mm(first.tolist()), grid.axes)
