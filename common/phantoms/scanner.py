"""Take the picture of a body: blur, contrast, coil shading, noise and storage."""

import numpy as np
from numpy.typing import NDArray

from common.phantoms.anatomy import Body, Weighting
from common.phantoms.fields import Floats, Grid, block_mean, paint, smooth_field
from common.phantoms.spec import Scanner, VoxelType

_COIL_MM = 30.0


def fine_grid(grid: Grid, finest_mm: float = 1.0) -> Grid:
    """Return the grid that a body is drawn on: voxels cut into whole numbers of parts."""
    return grid.finer(finest_mm)[0]


def _factors(body: Body, grid: Grid) -> tuple[int, int, int]:
    """Return into how many parts the body's grid cuts a voxel."""
    fz, fy, fx = (n // m for n, m in zip(body.layers[0].share.shape, grid.shape, strict=True))
    return fz, fy, fx


def expose(
    body: Body,
    weighting: Weighting,
    scanner: Scanner,
    grid: Grid,
    rng: np.random.Generator,
) -> NDArray[np.generic]:
    """Return the image of a body, shape of the grid, as the scanner stores it."""
    clean = block_mean(_painted(body, weighting), _factors(body, grid))
    stretched = weighting.centre + scanner.contrast * (clean - weighting.centre)
    if weighting.modality == "CT":
        noise = scanner.noise * weighting.span * rng.standard_normal(grid.shape)
        return _stored(stretched + noise, scanner.stored_as)
    shading = np.exp(scanner.bias * smooth_field(rng, grid, _COIL_MM))
    signal = np.clip(stretched, 0.0, None) * shading
    real, imaginary = scanner.noise * rng.standard_normal((2, *grid.shape))
    return _stored(scanner.scale * np.hypot(signal + real, imaginary), scanner.stored_as)


def draw_masks(body: Body, grid: Grid) -> dict[str, NDArray[np.uint8]]:
    """Return the masks on the grid: a voxel belongs to what fills half of it.

    Labels are 1, 2, ... in the order of the regions.
    """
    factors = _factors(body, grid)
    out = {}
    for name, parts in body.regions.items():
        shares = np.stack([block_mean(part, factors) for part in parts.values()])
        filled = shares.sum(axis=0) >= 0.5
        out[name] = ((shares.argmax(axis=0) + 1) * filled).astype(np.uint8)
    return out


def _painted(body: Body, weighting: Weighting) -> Floats:
    picture = np.zeros(body.layers[0].share.shape)
    for layer in body.layers:
        grey = weighting.grey[layer.tissue] + weighting.span * layer.texture
        paint(picture, layer.share, grey)
    return picture


def _stored(values: Floats, kind: VoxelType) -> NDArray[np.generic]:
    if kind == "float32":
        return values.astype(np.float32)
    limits = np.iinfo(kind)
    return np.clip(np.rint(values), limits.min, limits.max).astype(kind)
