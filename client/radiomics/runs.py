"""Counting runs of one grey level along lines, as PyRadiomics' GLRLM does."""

import numpy as np

from client.radiomics.compiled import Array, Place, inner, kernel


@kernel
def run_lengths(
    grid: Array, geometry: tuple[Array, Array, Array, Array], plane_size: tuple[int, int, int],
    n_levels: int, longest: int,
) -> Array:  # fmt: skip
    """Count runs by direction, grey level and length.

    A run's length so far is one more than that of the voxel before it, if that has the
    same level; the run is counted where the next voxel has another level.

    Args:
        grid: flattened padded grid of levels, 0 outside the region.
        geometry: index, planes, rows and lines of the region.
        plane_size: voxels of a padded plane, of a padded row, and the padding.
        n_levels: highest level.
        longest: no run can be longer.

    Returns:
        (directions, levels + 1, longest + 1); length 0 is scrap.
    """
    index, planes, rows, lines = geometry
    plane, row, pad = plane_size
    counts = np.zeros((lines.shape[0], n_levels + 1, longest + 1), np.uint32)
    so_far = np.ones((2, plane + 4 * row), np.uint16)
    ended = np.zeros(plane, np.uint16)
    for a in range(lines.shape[0]):
        step = lines[a]
        table = counts[a]
        across = step > plane // 2
        for z in range(planes.shape[0] - 1):
            low, high = planes[z], planes[z + 1]
            if low == high:
                continue
            y, n_rows = rows[z, 0], rows[z, 1] - rows[z, 0]
            first = (z + pad) * plane + (y + pad) * row + pad
            start = 2 * row + (y + pad) * row + pad
            n = n_rows * row - 2 * pad
            this, before = so_far[z & 1], so_far[z & 1]
            if across:
                before = so_far[1 - (z & 1)]
                back = start - (step - plane)
                _lengthen(
                    (grid[first : first + n], grid[first - step : first - step + n]),
                    before[back : back + n], this[start : start + n],
                )  # fmt: skip
            elif step > 1:
                _lengthen_rows(grid, so_far[z & 1], (first, start), (step, row, n_rows, pad))
            else:
                _lengthen_along(grid[first - 1 : first + n], this[start : start + n])
            _end(
                (grid[first : first + n], grid[first + step : first + step + n]),
                this[start : start + n], ended[:n],
            )  # fmt: skip
            _count(grid, index[low:high], np.uintp(first), ended, table)
    return counts


@inner
def _lengthen(levels: tuple[Array, Array], before: Array, this: Array) -> None:
    here, there = levels
    for x in range(here.shape[0]):
        grown = np.uint16(before[x] + np.uint16(1))
        this[x] = grown if here[x] == there[x] else np.uint16(1)


@inner
def _lengthen_rows(
    grid: Array, so_far: Array, starts: tuple[int, int], steps: tuple[int, int, int, int]
) -> None:
    """Do the rows of a plane one after the other: each needs the one before it."""
    first, start = starts
    step, row, n_rows, pad = steps
    for y in range(n_rows):
        i, k, n = first + y * row, start + y * row, row - 2 * pad
        _lengthen(
            (grid[i : i + n], grid[i - step : i - step + n]),
            so_far[k - step : k - step + n],
            so_far[k : k + n],
        )


@inner
def _lengthen_along(levels: Array, this: Array) -> None:
    length = np.uint16(1)
    for x in range(this.shape[0]):
        length = np.uint16(length + np.uint16(1)) if levels[x + 1] == levels[x] else np.uint16(1)
        this[x] = length


@inner
def _end(levels: tuple[Array, Array], this: Array, ended: Array) -> None:
    here, there = levels
    for x in range(here.shape[0]):
        ended[x] = this[x] if here[x] != there[x] else np.uint16(0)


@inner
def _count(grid: Array, index: Array, first: Place, ended: Array, table: Array) -> None:
    for t in range(index.shape[0]):
        i = index[t]
        table[grid[i], ended[i - first]] += np.uint32(1)
