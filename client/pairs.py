"""A coarse image beside the fine one it was made of, as super-resolution sees them.

Raises ValueError where an image cannot be used; the text is for the site's own log.
"""

import hashlib
import json
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from client.bench import Bench
from client.cases import Case
from client.dataset import Array, bytes_of, stamps
from client.files import write_atomically
from client.imageio import Grid, Turn, Volume, turn_to
from client.preprocess import open_image
from common.resolution import coarser, finer
from common.seeds import numpy_rng
from common.tasks.super_resolution import SuperResolution

Floats = NDArray[np.float32]

_VERSION = 1  # one more whenever the same settings come to other arrays


@dataclass(frozen=True, slots=True)
class Pair:
    """Three views of a part of a body; on disk, in memory or on a GPU.

    Grey levels have mean 0 and standard deviation 1 over the coarse image.

    Attributes:
        coarse: (z, y, x), float32.
        interpolated: the same by B-splines, (Z, Y, X).
        original: (Z, Y, X).
    """

    coarse: Array
    interpolated: Array
    original: Array


@dataclass(frozen=True, slots=True)
class Scan:
    """A coarse image and what is needed to put a finer one in its place.

    Attributes:
        coarse: (z, y, x), in the grey levels of the file.
        turn: from the axes of the file to these.
        fine: grid of the finer image, in the axes of the file.
        original: the voxels of the fine image, as stored; None where there is none.
    """

    coarse: Floats
    turn: Turn
    fine: Grid
    original: Floats | None

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the finer image, in the axes of `coarse`."""
        return tuple(self.fine.shape[axis] for axis in self.turn.order)

    @property
    def level(self) -> tuple[float, float]:
        """Mean and standard deviation of the coarse image."""
        mean, deviation = float(self.coarse.mean(dtype=np.float64)), float(self.coarse.std())
        return mean, max(deviation, 1e-6)


def simulate(task: SuperResolution, fine: Volume) -> Scan:
    """Return the coarse image that the task's acquisition makes of a fine one."""
    turn = turn_to(fine.grid, task.orientation)
    coarse = coarser(turn.of(fine.voxels), task.finer, task.acquisition)
    if task.acquisition.noise > 0:
        # A function of the image alone: the same in every step, at whatever site it lies.
        rng = numpy_rng("acquisition", hashlib.sha256(coarse.tobytes()).hexdigest())
        strength = task.acquisition.noise * float(coarse.std())
        coarse = coarse + np.float32(strength) * rng.standard_normal(coarse.shape, np.float32)
    return Scan(coarse, turn, fine.grid, fine.voxels)


def acquired(task: SuperResolution, coarse: Volume, fine: Volume | None) -> Scan:
    """Return an image that was acquired coarse, with the fine one where both show the same."""
    turn = turn_to(coarse.grid, task.orientation)
    grid = _refined(coarse.grid, turn, task.finer)
    fits = fine is not None and fine.grid.matches(grid)
    voxels = np.ascontiguousarray(turn.of(coarse.voxels))
    return Scan(voxels, turn, grid, fine.voxels if fine is not None and fits else None)


def load_pair(bench: Bench, case: Case) -> Pair:
    """Return a case as a pair to learn from, mapped from the cache."""
    key = _key(bench.task, case)
    names = ("coarse", "interpolated", "original")
    paths = [bench.cache / f"{key}.{name}.npy" for name in names]
    if not paths[-1].exists():  # the last is written last
        scan = simulate(bench.task, open_image(case.images, bench.task.image))
        for path, array in zip(paths, _views(bench.task, scan), strict=True):
            write_atomically(path, bytes_of(array), durable=False)
    coarse, interpolated, original = (np.load(path, mmap_mode="r") for path in paths)
    return Pair(coarse, interpolated, original)


def _views(task: SuperResolution, scan: Scan) -> tuple[Floats, Floats, Floats]:
    """Return the arrays of a pair, with the fine ones as long as the coarse one says."""
    if scan.original is None:
        raise ValueError("expected an original to learn from, got none")
    shape = tuple(n * f for n, f in zip(scan.coarse.shape, task.finer, strict=True))
    original = scan.turn.of(scan.original)
    short = [(0, n - m) for n, m in zip(shape, original.shape, strict=True)]
    interpolated = finer(scan.coarse, task.finer, shape, "bspline")
    mean, deviation = scan.level
    views: Any = (scan.coarse, interpolated, np.pad(original, short, mode="edge"))
    coarse, smooth, fine = (((v - mean) / deviation).astype(np.float32) for v in views)
    return coarse, smooth, fine


def _refined(grid: Grid, turn: Turn, factors: tuple[int, ...]) -> Grid:
    """Return the grid whose voxels share their edges with those of a coarser one."""
    by = [1, 1, 1]
    for axis, factor in zip(turn.order, factors, strict=True):
        by[axis] = factor
    first = [(1 / f - 1) / 2 for f in by]  # in coarse voxels, from the middle of the first
    a, b, c = (n * f for n, f in zip(grid.shape, by, strict=True))
    u, v, w = (s / f for s, f in zip(grid.spacing_mm, by, strict=True))
    return Grid((a, b, c), (u, v, w), grid.point_mm(first), grid.axes)


def _key(task: SuperResolution, case: Case) -> str:
    image = list(stamps(case.images.get(task.image)))
    made = [_VERSION, image, task.orientation, task.finer, task.acquisition.model_dump()]
    return hashlib.sha256(json.dumps(made, sort_keys=True).encode()).hexdigest()[:32]
