"""Random streams, grids and smooth random fields that every anatomy draws with.

All positions are in mm from the middle of the field of view, in array order
(z, y, x), so that a body does not depend on the voxels it is shown with.
"""

import hashlib
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import BSpline

Floats = NDArray[np.float64]
Triple = tuple[float, float, float]

_DEGREE = 3


def stream(*names: str | int) -> np.random.Generator:
    """Return the random stream of these names, independent of every other's."""
    text = "\0".join(str(name) for name in names)
    digest = hashlib.sha256(text.encode()).digest()
    return np.random.default_rng(int.from_bytes(digest[:16], "big"))


@dataclass(frozen=True, slots=True)
class Grid:
    """Voxels of a field of view.

    Attributes:
        shape: number of voxels, (z, y, x).
        spacing_mm: voxel size, (z, y, x).
    """

    shape: tuple[int, int, int]
    spacing_mm: Triple

    @classmethod
    def over(cls, size_mm: Triple, spacing_mm: Triple) -> "Grid":
        """Return the grid of this spacing that covers a field of view best."""
        nz, ny, nx = (
            max(2, round(size / step)) for size, step in zip(size_mm, spacing_mm, strict=True)
        )
        return cls((nz, ny, nx), spacing_mm)

    def finer(self, most_mm: float) -> tuple["Grid", tuple[int, int, int]]:
        """Return a grid with no step far above `most_mm`, and its factors."""
        fz, fy, fx = (max(1, round(step / most_mm)) for step in self.spacing_mm)
        (nz, ny, nx), (sz, sy, sx) = self.shape, self.spacing_mm
        grid = Grid((nz * fz, ny * fy, nx * fx), (sz / fz, sy / fy, sx / fx))
        return grid, (fz, fy, fx)

    def axis(self, which: int) -> Floats:
        """Return the positions of the voxels along one axis, in mm."""
        n, step = self.shape[which], self.spacing_mm[which]
        return np.asarray((np.arange(n) - (n - 1) / 2) * step, np.float64)

    def points(self) -> tuple[Floats, Floats, Floats]:
        """Return z, y and x of the voxels, each ready to broadcast."""
        z, y, x = (self.axis(i) for i in range(3))
        return z[:, None, None], y[None, :, None], x[None, None, :]


def block_mean(values: Floats, factors: tuple[int, int, int]) -> Floats:
    """Return the mean over blocks of voxels: what a thick slice sees."""
    (fz, fy, fx), (nz, ny, nx) = factors, values.shape
    blocks = values.reshape(nz // fz, fz, ny // fy, fy, nx // fx, fx)
    return np.asarray(blocks.mean(axis=(1, 3, 5)), np.float64)


def smooth_field(rng: np.random.Generator, grid: Grid, scale_mm: float) -> Floats:
    """Return a smooth random field of mean 0 and standard deviation about 1.

    A tensor product of cubic B-splines over random numbers `scale_mm` apart. The
    numbers depend on the field of view alone, not on the voxels.

    Args:
        rng: the stream.
        grid: where the field is wanted.
        scale_mm: distance between two independent values.
    """
    bases = [
        _basis(n, step, round(scale_mm * 1000))
        for n, step in zip(grid.shape, grid.spacing_mm, strict=True)
    ]
    field = rng.standard_normal([basis.shape[1] for basis in bases])
    for axis, basis in enumerate(bases):
        field = np.moveaxis(np.tensordot(basis, field, (1, axis)), 0, axis)
    # The squares of cubic B-splines on a unit grid sum to 0.479 on average.
    return np.asarray(field / 0.4794**1.5, np.float64)


@lru_cache(maxsize=256)
def _basis(n: int, step_mm: float, scale_um: int) -> Floats:
    """Return the B-splines at n voxel centres, shape (n, number of splines)."""
    scale = scale_um / 1000
    half = n * step_mm / 2
    n_spans = int(np.ceil(2 * half / scale))
    knots = (np.arange(-_DEGREE, n_spans + _DEGREE + 1) - n_spans / 2) * scale
    at = (np.arange(n) - (n - 1) / 2) * step_mm
    basis = BSpline.design_matrix(at, knots, _DEGREE).toarray()
    basis.flags.writeable = False
    return np.asarray(basis, np.float64)


def inside(distance_mm: Floats, edge_mm: float) -> Floats:
    """Return the share of tissue, 0 to 1, from a distance that is negative inside."""
    return np.asarray(0.5 - 0.5 * np.tanh(distance_mm / edge_mm), np.float64)


def paint(picture: Floats, share: Floats, value: float | Floats) -> None:
    """Cover a picture with a tissue of this grey value where its share is."""
    picture += share * (value - picture)
