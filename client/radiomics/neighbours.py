"""Counting what grey levels stand beside each other: co-occurrence, dependence, difference.

Counts as PyRadiomics' C code makes them, over a grid that is padded with zeros.
"""

import numpy as np

from client.radiomics.compiled import Array, Place, inner, kernel


@kernel
def cooccurrence(grid: Array, index: Array, offsets: Array, n_levels: int) -> Array:
    """Count pairs of grey levels.

    Args:
        grid: flattened padded grid of levels, 0 outside the region.
        index: places of the region's voxels.
        offsets: (A,), steps to one neighbour of each pair.
        n_levels: highest level.

    Returns:
        (levels + 1, A, levels + 1), one-sided; row and column 0 hold what lies outside.
    """
    n_offsets = offsets.shape[0]
    counts = np.zeros((n_levels + 1, n_offsets, n_levels + 1), np.uint32)
    steps = offsets.astype(np.uintp)
    for t in range(index.shape[0]):
        i = index[t]
        table = counts[grid[i]]
        for a in range(n_offsets):
            table[a, grid[i + steps[a]]] += np.uint32(1)
    return counts


@inner
def _add_neighbour(
    grids: tuple[Array, Array], alpha: int, sums: tuple[Array, Array, Array]
) -> None:
    """Add one neighbour of every voxel of a stretch: how many, how high, how alike."""
    here, there = grids
    same, count, total = sums
    if alpha == 0:
        for x in range(here.shape[0]):
            v = there[x]
            same[x] += np.uint16(v == here[x])
            count[x] += np.uint16(v != 0)
            total[x] += np.uint16(v)
        return
    for x in range(here.shape[0]):
        v = np.int32(there[x])
        apart = abs(v - np.int32(here[x]))
        same[x] += np.uint16((v != 0) & (apart <= alpha))
        count[x] += np.uint16(v != 0)
        total[x] += np.uint16(v)


@kernel
def dependence_and_difference(
    grid: Array, geometry: tuple[Array, Array, Array, Array], plane_size: tuple[int, int, int],
    n_levels: int, alpha: int,
) -> tuple[Array, Array]:  # fmt: skip
    """Count dependent neighbours (GLDM) and add up differences to the neighbourhood (NGTDM).

    Args:
        grid: flattened padded grid of levels, 0 outside the region.
        geometry: index, planes, rows and offsets of the region.
        plane_size: voxels of a padded plane, of a padded row, and the padding.
        n_levels: highest level.
        alpha: levels that a dependent neighbour may differ by.

    Returns:
        (levels + 1, neighbours + 1) counts, and (levels + 1, 2): voxels, summed differences.
    """
    index, planes, rows, offsets = geometry
    plane, row, pad = plane_size
    n_offsets = offsets.shape[0]
    dependence = np.zeros((n_levels + 1, 2 * n_offsets + 1), np.uint32)
    difference = np.zeros((n_levels + 1, 2))
    same_of = np.zeros(plane, np.uint16)
    count_of = np.zeros(plane, np.uint16)
    total_of = np.zeros(plane, np.uint16)
    stretch = (same_of, count_of, total_of)
    for z in range(planes.shape[0] - 1):
        low, high = planes[z], planes[z + 1]
        if low == high:
            continue
        # From the first voxel that can be inside to the last, so that no neighbour of it
        # lies before or behind the grid.
        first = (z + pad) * plane + (rows[z, 0] + pad) * row + pad
        n = (rows[z, 1] - rows[z, 0]) * row - 2 * pad
        for x in range(n):
            same_of[x], count_of[x], total_of[x] = 0, 0, 0
        for a in range(n_offsets):
            for step in (offsets[a], -offsets[a]):
                begin = first + step
                here = grid[first : first + n]
                _add_neighbour((here, grid[begin : begin + n]), alpha, stretch)
        _count_plane(grid, index[low:high], np.uintp(first), stretch, (dependence, difference))
    return dependence, difference


@inner
def _count_plane(
    grid: Array,
    index: Array,
    first: Place,
    sums: tuple[Array, Array, Array],
    tables: tuple[Array, Array],
) -> None:
    dependence, difference = tables
    same, count, total = sums
    for t in range(index.shape[0]):
        i = index[t]
        level = grid[i]
        x = i - first
        dependence[level, same[x]] += np.uint32(1)
        n = count[x]
        apart = 0.0
        if n:
            apart = abs(np.float64(level) - np.float64(total[x]) / np.float64(n))
        difference[level, 0] += 1.0
        difference[level, 1] += apart
