"""All grey-value features of one image of a region, in one call without the interpreter."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

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

if TYPE_CHECKING:
    from common.radiomics.settings import Settings

CLASSES = ("firstorder", "glcm", "glrlm", "glszm", "gldm", "ngtdm")
_MOST_LEVELS = 4096


class Counts(Protocol):
    """What counts the grey levels of one image: the compiled kernels, or a torch device."""

    def cooccurrence(self) -> Array: ...  # noqa: D102  (see `CompiledCounts`)
    def run_lengths(self) -> Array: ...  # noqa: D102
    def zones(self) -> tuple[Array, Array]: ...  # noqa: D102
    def dependence_and_difference(self, alpha: int) -> tuple[Array, Array]: ...  # noqa: D102


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


class CompiledCounts:
    """One image's grey levels in a grid, ready to be counted by the compiled kernels."""

    def __init__(self, region: Region, levels: Array, n_levels: int) -> None:
        self._region, self._n_levels = region, n_levels
        self._grid = np.zeros(region.shape, np.uint16).ravel()
        fill(self._grid, region.index, levels)

    def cooccurrence(self) -> Array:
        """Return (levels + 1, A, levels + 1) one-sided pair counts."""
        region = self._region
        return cooccurrence(self._grid, region.index, region.offsets, self._n_levels)

    def run_lengths(self) -> Array:
        """Return (directions, levels + 1, longest + 1) counts of runs."""
        region = self._region
        longest = max(region.shape)
        return run_lengths(self._grid, region.along_lines, region.plane, self._n_levels, longest)

    def zones(self) -> tuple[Array, Array]:
        """Return level and size of every zone."""
        region = self._region
        return zones(self._grid, region.index, region.plane[:2], region.flat)

    def dependence_and_difference(self, alpha: int) -> tuple[Array, Array]:
        """Return GLDM counts, and voxels and summed differences of each level for the NGTDM."""
        region = self._region
        around = (self._grid, region.to_neighbours, region.plane)
        return dependence_and_difference(*around, self._n_levels, alpha)


def texture_features(
    values: Array, found: Discretisation, region: Region, settings: Settings,
    wanted: tuple[str, ...], counts: Counts,
) -> dict[str, Floats]:  # fmt: skip
    """Return the features of each wanted class, in the order of `common.radiomics.names`.

    Args:
        values: (N,), grey values at the region's voxels.
        found: their grey levels.
        region: the geometry.
        settings: of this image type.
        wanted: among `CLASSES`.
        counts: what counts the grey levels.
    """
    histogram = np.bincount(found.levels, minlength=found.n_levels + 1)
    out: dict[str, Floats] = {}
    if "firstorder" in wanted:
        shift, volume = float(settings.voxel_array_shift), region.voxel_mm3
        out["firstorder"] = first_order(values.astype(np.float64), histogram, shift, volume)
    if "glcm" in wanted:
        weights = pair_weights(region.steps_mm, settings.weighting_norm)
        present = np.flatnonzero(histogram)
        out["glcm"] = glcm_features(counts.cooccurrence(), present, weights)
    if "glrlm" in wanted:
        weights = run_weights(region.line_steps_mm, settings.weighting_norm)
        out["glrlm"] = run_features(counts.run_lengths(), region.empty_lines, weights)
    if "glszm" in wanted:
        out["glszm"] = zone_features(*counts.zones(), found.n_levels)
    if "gldm" in wanted or "ngtdm" in wanted:
        dependence, difference = counts.dependence_and_difference(settings.gldm_a)
        out["gldm"] = dependence_features(dependence)
        out["ngtdm"] = difference_features(difference)
    return out


@kernel
def fill(grid: Array, index: Array, levels: Array) -> None:
    """Write levels into the grid."""
    for k in range(levels.shape[0]):
        grid[index[k]] = levels[k]


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
