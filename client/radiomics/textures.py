"""All grey-value features of one image of a region, in one call without the interpreter."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from client.radiomics.compiled import Array, Floats, kernel
from client.radiomics.errors import Cause, RadiomicsError
from client.radiomics.firstorder import first_order
from client.radiomics.glcm import glcm_features
from client.radiomics.neighbours import cooccurrence, dependence_and_difference
from client.radiomics.region import Region
from client.radiomics.runs import run_lengths
from client.radiomics.sizes import (
    dependence_features,
    difference_features,
    run_features,
    zone_features,
)
from client.radiomics.zones import zones
from common.radiomics.settings import Settings

CLASSES = ("firstorder", "glcm", "glrlm", "glszm", "gldm", "ngtdm")
_MOST_LEVELS = 4096


@dataclass(frozen=True, slots=True)
class Discretisation:
    """Grey levels of a region.

    Attributes:
        levels: (N,), from 1.
        n_levels: the highest.
        n_present: how many occur.
    """

    levels: Array
    n_levels: int
    n_present: int


def discretise(values: Array, settings: Settings, origin: float | None = None) -> Discretisation:
    """Return grey levels as PyRadiomics' `binImage` gives them.

    Args:
        values: (N,), in the image's own precision, which decides how edges round.
        settings: bin width or count.
        origin: where the first level begins, instead of a multiple of the width.

    Raises:
        RadiomicsError: too many levels, as from a width far below the image's unit.
    """
    low, high = values.min(), values.max()
    edges = _edges(low, high, settings, origin)
    if len(edges) - 1 > _MOST_LEVELS:
        raise RadiomicsError(Cause.TOO_MANY_GREY_LEVELS, f"{len(edges) - 1} grey levels")
    levels = _digitise(values.astype(np.float64), np.asarray(edges, np.float64))
    present = np.bincount(levels)
    if present[0]:
        raise RadiomicsError(Cause.FAILED, "a value below the first grey level")
    return Discretisation(levels, len(present) - 1, int(np.count_nonzero(present)))


def _edges(low: Any, high: Any, settings: Settings, origin: float | None) -> Array:
    if settings.bin_count is not None:
        edges = np.histogram_bin_edges(np.array([low, high]), settings.bin_count)
        edges[-1] += 1
        return edges
    width = settings.bin_width
    start = low - (low % width) if origin is None else origin
    if not (float(high) - float(start)) / width < 2 * _MOST_LEVELS:
        raise RadiomicsError(Cause.TOO_MANY_GREY_LEVELS, f"bin width {width}")
    with np.errstate(over="ignore"):
        edges = np.arange(start, high + 2 * width, width)
    return edges if len(edges) != 1 else np.array([edges[0] - 0.5, edges[0] + 0.5])


@kernel
def _digitise(values: Floats, edges: Floats) -> Array:
    """Return how many edges are not above each value, as `numpy.digitize` counts."""
    n = edges.shape[0]
    out = np.empty(values.shape[0], np.uint16)
    width = (edges[n - 1] - edges[0]) / (n - 1) if n > 1 else 1.0
    for k in range(values.shape[0]):
        v = values[k]
        guess = int(min(max((v - edges[0]) / width + 1, 0.0), n * 1.0))
        while guess < n and edges[guess] <= v:
            guess += 1
        while guess > 0 and edges[guess - 1] > v:
            guess -= 1
        out[k] = guess
    return out


def texture_features(
    values: Array,
    found: Discretisation,
    region: Region,
    settings: Settings,
    wanted: tuple[str, ...],
) -> dict[str, Floats]:
    """Return the features of each wanted class, in the order of `common.radiomics.names`.

    Args:
        values: (N,), grey values at the region's voxels.
        found: their grey levels.
        region: the geometry.
        settings: of this image type.
        wanted: among `CLASSES`.
    """
    grid = np.zeros(region.shape, np.uint16).ravel()
    histogram = fill(grid, region.index, found.levels, found.n_levels)
    n_levels, plane = found.n_levels, region.plane
    out: dict[str, Floats] = {}
    if "firstorder" in wanted:
        shift = float(settings.voxel_array_shift)
        out["firstorder"] = first_order(
            values.astype(np.float64), histogram, shift, region.voxel_mm3
        )
    if "glcm" in wanted:
        counts = cooccurrence(grid, region.index, region.offsets, n_levels)
        weights = pair_weights(region.steps_mm, settings.weighting_norm)
        out["glcm"] = glcm_features(counts, np.flatnonzero(histogram), weights)
    if "glrlm" in wanted:
        lengths = run_lengths(grid, region.along_lines, plane, n_levels, max(region.shape))
        weights = run_weights(region.line_steps_mm, settings.weighting_norm)
        out["glrlm"] = run_features(lengths, region.empty_lines, weights)
    if "glszm" in wanted:
        levels, sizes = zones(grid, region.index, plane[:2], region.flat)
        out["glszm"] = zone_features(levels, sizes, n_levels)
    if "gldm" in wanted or "ngtdm" in wanted:
        around = (grid, region.to_neighbours, plane, n_levels, settings.gldm_a)
        dependence, difference = dependence_and_difference(*around)
        out["gldm"] = dependence_features(dependence)
        out["ngtdm"] = difference_features(difference)
    return out


@kernel
def fill(grid: Array, index: Array, levels: Array, n_levels: int) -> Array:
    """Write levels into the grid and return how many voxels have each."""
    histogram = np.zeros(n_levels + 1, np.int64)
    for k in range(levels.shape[0]):
        grid[index[k]] = levels[k]
        histogram[levels[k]] += 1
    return histogram


def pair_weights(steps_mm: Array, norm: str | None) -> Floats:
    """Return PyRadiomics' weight of each neighbour's direction for co-occurrence."""
    if norm is None:
        return np.empty(0)
    return (
        np.exp(-(run_weights(steps_mm, norm) ** 2))
        if norm != "no_weighting"
        else np.ones(len(steps_mm))
    )


def run_weights(steps_mm: Array, norm: str | None) -> Floats:
    """Return PyRadiomics' weight of each direction for runs: the step's length."""
    lengths = np.abs(steps_mm)
    if norm is None:
        return np.empty(0)
    if norm == "infinity":
        return np.asarray(lengths.max(1))
    if norm == "euclidean":
        return np.asarray(np.sqrt((lengths**2).sum(1)))
    if norm == "manhattan":
        return np.asarray(lengths.sum(1))
    return np.ones(len(lengths))
