"""Distances between the surfaces of two masks.

The surface of a mask is its voxels that share a face with a voxel outside it; what lies
beyond the image is outside. Distances go from voxel centre to voxel centre.
"""

from dataclasses import dataclass
from math import nan

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from common.metrics.overlap import Mask, Spacing, check_shapes


@dataclass(frozen=True, slots=True)
class Distances:
    """From every surface voxel of one mask to the nearest of the other, in mm.

    Attributes:
        there: from the prediction to the truth; empty if one of them is empty.
        back: from the truth to the prediction; the same.
        n_empty: how many of the two masks are empty.
    """

    there: NDArray[np.float64]
    back: NDArray[np.float64]
    n_empty: int


def surface_distances(prediction: Mask, truth: Mask, spacing_mm: Spacing) -> Distances:
    """Return the distances between two surfaces, from which both scores follow.

    Args:
        prediction: mask of shape (Z, Y, X), bool.
        truth: mask of the same shape.
        spacing_mm: voxel size in array order, (z, y, x).

    Raises:
        ValueError: the shapes differ.
    """
    check_shapes(prediction, truth)
    n_empty = int(not prediction.any()) + int(not truth.any())
    if n_empty:
        return Distances(np.empty(0), np.empty(0), n_empty)
    box = _box(prediction | truth)
    a, b = _surface(prediction[box]), _surface(truth[box])
    return Distances(_to(b, spacing_mm)[a], _to(a, spacing_mm)[b], 0)


def hausdorff_95(distances: Distances) -> float:
    """Return the 95th percentile of surface distances, in mm.

    The larger of the two directed percentiles, not the percentile of both pooled.

    Returns:
        Distance in mm; NaN if exactly one mask is empty, 0.0 if both are.
    """
    if distances.n_empty:
        return nan if distances.n_empty == 1 else 0.0
    return float(max(np.percentile(distances.there, 95), np.percentile(distances.back, 95)))


def surface_dice(distances: Distances, tolerance_mm: float) -> float:
    """Return the share of both surfaces that lies within a tolerance of the other.

    Surface voxels are counted, not weighted by the area they stand for.

    Returns:
        0 to 1; 0.0 if exactly one mask is empty, 1.0 if both are.
    """
    if distances.n_empty:
        return 0.0 if distances.n_empty == 1 else 1.0
    both = np.concatenate([distances.there, distances.back])
    return float(np.count_nonzero(both <= tolerance_mm) / both.size)


def _box(mask: Mask) -> tuple[slice, ...]:
    """Return the smallest box around a mask; nothing of a surface lies outside it."""
    boxes: list[tuple[slice, ...]] = ndimage.find_objects(mask.astype(np.uint8))
    return boxes[0]


def _surface(mask: Mask) -> Mask:
    inner: Mask = ndimage.binary_erosion(mask, border_value=0)
    return mask & ~inner


def _to(surface: Mask, spacing_mm: Spacing) -> NDArray[np.float64]:
    """Return every voxel's distance to a surface."""
    distance: NDArray[np.float64] = ndimage.distance_transform_edt(~surface, sampling=spacing_mm)
    return distance
