"""Finding connected zones of one grey level, as PyRadiomics' GLSZM does."""

import numpy as np

from client.radiomics.compiled import Array, Place, inner, kernel


@kernel
def zones(  # noqa: PLR0912, PLR0915  (the decision tree is one piece)
    grid: Array, index: Array, strides: tuple[int, int], flat: bool
) -> tuple[Array, Array]:
    """Find zones: voxels of one level that touch by face, edge or corner.

    Union-find in one sweep over the voxels already seen. Where the voxel above has the
    same level it touches every other seen neighbour of that level, so that none is looked
    at; see Wu, Otoo and Suzuki, Pattern Anal Appl 12:117 (2009), for this in two dimensions.

    Args:
        grid: flattened padded grid of levels, 0 outside the region.
        index: places of the region's voxels, ascending.
        strides: steps to the next plane and the next row.
        flat: stay within a plane.

    Returns:
        Level and size of every zone.
    """
    n = index.shape[0]
    names = np.empty(grid.shape[0], np.int32)
    parent = np.empty(n, np.int32)
    size = np.empty(n, np.int32)
    level = np.empty(n, grid.dtype)
    plane, row = np.uintp(strides[0]), np.uintp(strides[1])
    one = np.uintp(1)
    n_names = 0
    for t in range(n):
        i = index[t]
        here = grid[i]
        if not flat and grid[i - plane] == here:
            name = _root(parent, names[i - plane])
        elif grid[i - row] == here:
            name = _root(parent, names[i - row])
            if not flat:
                name = _join_row(grid, names, (parent, size), i - plane + row, (here, name))
        else:
            name = -1
            if grid[i - one] == here:
                name = _root(parent, names[i - one])
            else:
                name = _join(grid, names, (parent, size), i - row - one, (here, name))
            name = _join(grid, names, (parent, size), i - row + one, (here, name))
            if not flat:
                name = _join_row(grid, names, (parent, size), i - plane - row, (here, name))
                name = _join(grid, names, (parent, size), i - plane - one, (here, name))
                name = _join(grid, names, (parent, size), i - plane + one, (here, name))
                name = _join_row(grid, names, (parent, size), i - plane + row, (here, name))
            if name < 0:
                name = n_names
                parent[name] = name
                size[name] = 0
                level[name] = here
                n_names += 1
        names[i] = name
        size[name] += np.int32(1)
    return _collect(parent[:n_names], size, level)


@inner
def _collect(parent: Array, size: Array, level: Array) -> tuple[Array, Array]:
    n_zones = 0
    for name in range(parent.shape[0]):
        if parent[name] == name:
            n_zones += 1
    levels, sizes = np.empty(n_zones, np.int64), np.empty(n_zones, np.int64)
    k = 0
    for name in range(parent.shape[0]):
        if parent[name] == name:
            levels[k], sizes[k] = level[name], size[name]
            k += 1
    return levels, sizes


@inner
def _root(parent: Array, name: int) -> int:
    while parent[name] != name:
        parent[name] = parent[parent[name]]
        name = parent[name]
    return name


@inner
def _join(
    grid: Array, names: Array, trees: tuple[Array, Array], i: Place, own: tuple[int, int]
) -> int:
    """Join the zone of one neighbour, if it has the same level, and return the joint name."""
    here, name = own
    if grid[i] != here:
        return name
    parent, size = trees
    other = _root(parent, names[i])
    if name < 0 or other == name:
        return other
    low, high = min(name, other), max(name, other)
    parent[high] = low
    size[low] += size[high]
    return low


@inner
def _join_row(
    grid: Array, names: Array, trees: tuple[Array, Array], i: Place, own: tuple[int, int]
) -> int:
    """Join three neighbours in a row; the middle one touches the other two."""
    here, name = own
    if grid[i] == here:
        return _join(grid, names, trees, i, own)
    name = _join(grid, names, trees, i - np.uintp(1), (here, name))
    return _join(grid, names, trees, i + np.uintp(1), (here, name))
