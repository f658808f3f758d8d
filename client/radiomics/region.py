"""The geometry that all images of one region share: its voxels, its box, its neighbours."""

from dataclasses import dataclass

import numpy as np

from client.radiomics.compiled import Array, kernel
from client.radiomics.gaussian import Box


@dataclass(frozen=True, slots=True)
class Region:
    """A region in a grid that is padded on all sides, so that no neighbour needs a check.

    For two-dimensional textures the axis that is left out comes first.

    Attributes:
        box: lower and upper index (exclusive) in the image, (z, y, x).
        where: (3, N), the voxels' indices inside the box, (z, y, x).
        index: (N,), their places in the flattened padded grid, ascending.
        shape: of the padded grid.
        pad: voxels added on each side.
        planes: (n + 1,), where each plane of the grid begins in `index`.
        rows: (n, 2), first and last (exclusive) row that a plane's voxels are in.
        offsets: (A,), steps to the neighbours that textures look at, one of each pair.
        lines: (13,) or (4,), steps along which runs are counted.
        empty_lines: whether no line in that direction holds two voxels.
        steps_mm: (A, 3), the offsets in mm.
        line_steps_mm: the same for lines.
        flat: whether zones stay within a plane.
        voxel_mm3: volume of a voxel.
    """

    box: Box
    where: Array
    index: Array
    shape: tuple[int, int, int]
    pad: int
    planes: Array
    rows: Array
    offsets: Array
    lines: Array
    empty_lines: Array
    steps_mm: Array
    line_steps_mm: Array
    flat: bool
    voxel_mm3: float

    @property
    def n_voxels(self) -> int:
        """Return how many voxels the region has."""
        return len(self.index)

    @property
    def plane(self) -> tuple[int, int, int]:
        """Return the voxels of a padded plane, of a padded row, and the padding."""
        return self.shape[1] * self.shape[2], self.shape[2], self.pad

    @property
    def to_neighbours(self) -> tuple[Array, Array, Array, Array]:
        """Return what a kernel needs to visit every voxel's neighbours."""
        return self.index, self.planes, self.rows, self.offsets

    @property
    def along_lines(self) -> tuple[Array, Array, Array, Array]:
        """Return what a kernel needs to follow every line."""
        return self.index, self.planes, self.rows, self.lines


def bounding_box(inside: Array) -> Box:
    """Return lower and upper index (exclusive) of the true voxels; all zero if there are none."""
    found = _bounds(inside)
    pairs = [(int(found[i]), int(found[i + 1])) for i in (0, 2, 4)]
    return (pairs[0], pairs[1], pairs[2])


@kernel
def _bounds(inside: Array) -> Array:
    n_z, n_y, n_x = inside.shape
    out = np.array([n_z, 0, n_y, 0, n_x, 0])
    for z in range(n_z):
        for y in range(n_y):
            row = inside[z, y]
            first = 0
            while first < n_x and not row[first]:
                first += 1
            if first == n_x:
                continue
            last = n_x - 1
            while not row[last]:
                last -= 1
            out[0], out[1] = min(out[0], z), max(out[1], z + 1)
            out[2], out[3] = min(out[2], y), max(out[3], y + 1)
            out[4], out[5] = min(out[4], first), max(out[5], last + 1)
    return out if out[1] else np.zeros(6, np.int64)


def region_of(
    inside: Array, box: Box, spacing_mm: Array, distances: tuple[int, ...], left_out: int | None
) -> Region:
    """Return the geometry of a region.

    Args:
        inside: bool, shape of the box.
        box: where it lies in the image.
        spacing_mm: voxel size along z, y, x.
        distances: of neighbours in co-occurrence, dependence and difference, in voxels.
        left_out: the axis along which textures do not look, or None.
    """
    order = (0, 1, 2) if left_out is None else (left_out, *({0, 1, 2} - {left_out}))
    turned = inside.transpose(order)
    where = np.array(np.nonzero(turned))
    pad = max(distances)
    shape = tuple(n + 2 * pad for n in turned.shape)
    strides = np.array([shape[1] * shape[2], shape[2], 1])
    steps = angles(distances, left_out is not None)
    lines = angles((1,), left_out is not None)
    index = strides @ (where + pad)
    planes = np.searchsorted(where[0], np.arange(turned.shape[0] + 1))
    spacing = np.asarray(spacing_mm, float)[list(order)]
    back = np.argsort(order)
    return Region(
        box=box,
        where=where[back],
        index=index.astype(np.uintp),
        shape=(shape[0], shape[1], shape[2]),
        pad=pad,
        planes=planes,
        rows=_rows(where, planes),
        offsets=steps @ strides,
        lines=lines @ strides,
        empty_lines=np.array([_is_empty(turned, where, step) for step in lines]),
        steps_mm=steps * spacing,
        line_steps_mm=lines * spacing,
        flat=left_out is not None,
        voxel_mm3=float(np.prod(spacing_mm)),
    )


def angles(distances: tuple[int, ...], flat: bool) -> Array:
    """Return one step of each opposite pair, (A, 3), in PyRadiomics' order."""
    far = max(distances)
    span = range(far, -far - 1, -1)
    steps = [(z, y, x) for z in ((0,) if flat else span) for y in span for x in span]
    kept = [s for s in steps if max(map(abs, s)) in distances]
    return np.array(kept[: len(kept) // 2], np.int64)


def _rows(where: Array, planes: Array) -> Array:
    rows = np.zeros((len(planes) - 1, 2), np.int64)
    for plane in range(len(planes) - 1):
        y = where[1, planes[plane] : planes[plane + 1]]
        if len(y):
            rows[plane] = y[0], y[-1] + 1
    return rows


def _is_empty(inside: Array, where: Array, step: Array) -> bool:
    """Say whether no line along a step holds two voxels, neighbours or not."""
    ahead = tuple(slice(max(s, 0), n + min(s, 0)) for s, n in zip(step, inside.shape, strict=True))
    here = tuple(slice(max(-s, 0), n + min(-s, 0)) for s, n in zip(step, inside.shape, strict=True))
    if (inside[ahead] & inside[here]).any():
        return False
    axis = int(np.flatnonzero(step)[0])
    starts = where - where[axis] * (step[:, None] * step[axis])
    return bool(np.unique(starts, axis=1).shape[1] == where.shape[1])
