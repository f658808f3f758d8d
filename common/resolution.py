"""Make an image coarser as a scanner would, and finer again by interpolation.

Pure arrays of (Z, Y, X). Voxels share their edges: with a factor of 2, coarse voxel i
covers the fine voxels 2i and 2i + 1. Every axis is one matrix, so that what is done to an
image can be read off. Matrices are multiplied by one thread: the last bits of a product
may depend on their number.
"""

from functools import lru_cache
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy import fft, ndimage
from threadpoolctl import threadpool_limits

from common.tasks.acquisition import Acquisition, Blur, KSpaceCrop, SliceProfile

Floats = NDArray[np.float32]
Factors = tuple[int, int, int]
Order = Literal["linear", "bspline"]

_SIGMA = 1 / np.sqrt(8 * np.log(2))  # of a Gaussian whose half maximum is 1 wide


def coarser(fine: NDArray[Any], factors: Factors, how: Acquisition) -> Floats:
    """Return the image that a coarser acquisition would have given, without its noise.

    An axis whose length is no multiple of its factor is continued by its last voxel.

    Args:
        fine: (Z, Y, X).
        factors: fine voxels to a coarse one, an axis.
        how: the acquisition.
    """
    blurs: tuple[Blur, ...] = (how.through_plane, how.in_plane, how.in_plane)
    short = [-n % f for n, f in zip(fine.shape, factors, strict=True)]
    image = np.pad(fine.astype(np.float64), [(0, n) for n in short], mode="edge")
    with threadpool_limits(1):
        for axis, (factor, blur) in enumerate(zip(factors, blurs, strict=True)):
            if factor > 1:
                matrix = coarsening(image.shape[axis], factor, blur)
                image = np.moveaxis(np.tensordot(matrix, image, (1, axis)), 0, axis)
    return np.ascontiguousarray(image, np.float32)


def finer(coarse: NDArray[Any], factors: Factors, shape: tuple[int, ...], order: Order) -> Floats:
    """Return an image interpolated to `factors` times as many voxels, cut to `shape`.

    Args:
        coarse: (Z, Y, X).
        factors: fine voxels to a coarse one, an axis.
        shape: of the fine image; at most `factors` times that of the coarse one.
        order: linear, or cubic B-splines through the values (Unser et al., IEEE Trans
            Signal Process 41:821, 1993).
    """
    degree = {"linear": 1, "bspline": 3}[order]
    zoomed: Floats = ndimage.zoom(
        coarse.astype(np.float64), factors, order=degree, mode="reflect", grid_mode=True
    ).astype(np.float32)
    return np.ascontiguousarray(zoomed[tuple(slice(n) for n in shape)])


@lru_cache(maxsize=128)
def coarsening(n: int, factor: int, blur: Blur) -> NDArray[np.float64]:
    """Return the matrix (n / factor, n) of one axis; every row adds up to 1."""
    if isinstance(blur, KSpaceCrop):
        matrix = _cropped(n, factor, blur)
    else:
        matrix = _averaged(n, factor, blur)
    matrix.flags.writeable = False
    return matrix


def _averaged(n: int, factor: int, blur: SliceProfile) -> NDArray[np.float64]:
    """Return weights of the fine voxels around each coarse one."""
    centres = np.arange(n // factor)[:, None] * factor + (factor - 1) / 2
    away = np.abs(np.arange(n)[None] - centres)
    width = blur.width * factor
    if blur.shape == "gaussian":
        weights = np.exp(-0.5 * (away / (width * _SIGMA)) ** 2)
    else:  # the share of each fine voxel that lies in the box
        weights = np.clip(width / 2 + 0.5 - away, 0, 1)
    return np.asarray(weights / weights.sum(axis=1, keepdims=True), np.float64)


def _cropped(n: int, factor: int, blur: KSpaceCrop) -> NDArray[np.float64]:
    """Return the cosine transform, without its high frequencies, undone on fewer voxels."""
    m = n // factor
    kept = fft.dct(np.eye(n), axis=0, norm="ortho")[:m]
    if blur.window == "hamming":
        kept = kept * (0.54 + 0.46 * np.cos(np.pi * np.arange(m) / m))[:, None]
    return np.asarray(fft.idct(kept, axis=0, norm="ortho") * np.sqrt(m / n), np.float64)
