"""Shapes of a brain-like crop as signed distances in mm, negative inside.

They are approximate distances: right at the surface, which is all that painting needs.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from common.phantoms.fields import Floats, Grid, Triple, smooth_field, stream

Names = Sequence[str | int]

_HALF_LENGTH_MM = 14.5
_FLATNESS = (0.85, 1.2)  # height and width of the organ as factors of its radius


@dataclass(frozen=True, slots=True)
class Space:
    """Points of a body in the organ's own frame.

    Attributes:
        grid: the voxels.
        z: upwards, in mm, shape of the grid.
        y: to the back.
        x: to the side, away from the middle of the body.
    """

    grid: Grid
    z: Floats
    y: Floats
    x: Floats

    @classmethod
    def bent(cls, grid: Grid, left: bool, names: Names) -> "Space":
        """Return the points moved by a smooth random displacement and a small turn."""
        rng = stream(*names, "bend")
        z, y, x = grid.points()
        shift = rng.normal(0.0, 1.0, 3)
        turn_zy, turn_xy = rng.normal(0.0, 0.09, 2)
        bend = [1.1 * smooth_field(rng, grid, 9.0) for _ in range(3)]
        side = -1.0 if left else 1.0
        return cls(
            grid,
            z + turn_zy * y + shift[0] + bend[0],
            y - turn_zy * z - turn_xy * x + shift[1] + bend[1],
            side * x + turn_xy * y + shift[2] + bend[2],
        )


def organ(space: Space, size: float, shift_mm: Triple = (0.0, 0.0, 0.0)) -> Floats:
    """Return the distance to a curved club: thick in front, thin and bent behind."""
    z, y, x = space.z - shift_mm[0], space.y - shift_mm[1], space.x - shift_mm[2]
    t = y / (_HALF_LENGTH_MM * size)
    height, width = _FLATNESS
    dz, dx = (z - 2.5 * t * t - 1.6 * t) / height, (x - 2.5 * t * t + 0.8 * t) / width
    bulb = np.exp(-(((t + 0.58) / 0.36) ** 2))
    cap = np.sqrt(np.clip(1.0 - t**4, 0.0, None))
    radius = size * (3.6 + 1.9 * bulb - 0.8 * t) * cap
    beyond = np.clip(np.abs(t) - 1.0, 0.0, None) * _HALF_LENGTH_MM
    return np.asarray(np.hypot(dz, dx) - radius + beyond, np.float64)


def front(space: Space, size: float, names: Names) -> Floats:
    """Return the distance to the half space in front of the organ's bend."""
    rng = stream(*names, "front")
    at, tilt = rng.normal(-0.22, 0.05), rng.normal(0.1, 0.1)
    return np.asarray(space.y - at * _HALF_LENGTH_MM * size + tilt * space.z, np.float64)


def ellipsoid(space: Space, middle_mm: Triple, radii_mm: Triple) -> Floats:
    """Return the distance to an ellipsoid."""
    z, y, x = (
        (p - m) / r
        for p, m, r in zip((space.z, space.y, space.x), middle_mm, radii_mm, strict=True)
    )
    rho = np.sqrt(z * z + y * y + x * x)
    return np.asarray((rho - 1.0) * min(radii_mm), np.float64)


def folds(space: Space, calm: Floats, names: Names) -> Floats:
    """Return the distance to the nearest fold, where two banks of cortex meet.

    Args:
        space: the points.
        calm: how much folds are kept away from a point; 1 is much.
        names: of the random stream.
    """
    field = smooth_field(stream(*names, "folds"), space.grid, 8.0) + calm
    slope = np.gradient(field, *space.grid.spacing_mm)
    steepness = np.sqrt(sum(s * s for s in slope))
    return np.asarray(np.abs(field) / np.clip(steepness, 0.1, None), np.float64)


def tube(space: Space, radius_mm: float, rng: np.random.Generator) -> Floats:
    """Return the distance to a winding vessel along the y axis."""
    t = space.y / 20.0
    start = rng.uniform(-13.0, 13.0, 2)
    slope, bow = rng.normal(0.0, 4.0, 2), rng.normal(0.0, 5.0, 2)
    wave, phase = rng.normal(0.0, 1.2, 2), rng.uniform(0.0, 6.3, 2)
    z, x = (
        start[i] + slope[i] * t + bow[i] * t * t + wave[i] * np.sin(5.0 * t + phase[i])
        for i in range(2)
    )
    return np.asarray(np.hypot(space.z - z, space.x - x) - radius_mm, np.float64)


def lump(space: Space, middle_mm: Triple, volume_ml: float, names: Names) -> Floats:
    """Return the distance to a lobed lump of just this volume."""
    rough = smooth_field(stream(*names, "lump"), space.grid, 3.5)
    z, y, x = space.z - middle_mm[0], space.y - middle_mm[1], space.x - middle_mm[2]
    rho = np.sqrt(z * z + y * y + x * x) * (1.0 + 0.13 * rough)
    voxel_ml = float(np.prod(space.grid.spacing_mm)) / 1000.0
    n = min(rho.size - 1, max(1, round(volume_ml / voxel_ml)))
    return np.asarray(rho - np.partition(rho, n, axis=None)[n], np.float64)
