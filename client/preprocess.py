"""From files to the arrays a network sees, and back onto the grid of the files.

What was made is kept in a cache folder under a name that depends on the files' size and
time and on everything that was done. Raises where an image cannot be used; the text
is for the site's own log.
"""

import hashlib
import io
import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import ceil
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from client.bench import Bench
from client.cases import Case
from client.files import write_atomically
from client.imageio import Grid, Turn, Volume, read_image, resample, turn_to
from common.tasks.recipe import Normalise, Percentile, Recipe, Window

_VERSION = 1  # one more whenever the same settings come to other arrays
_N_SPOTS = 1000

Floats = NDArray[np.float32]
Classes = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Frame:
    """How the voxels of a case's first image lie in the array that a network sees.

    Attributes:
        stored: grid of the first image, as in its file.
        turn: from that to the recipe's orientation.
        work: the turned grid with the recipe's voxel size.
        start: first voxel of the array on the work grid; negative where padded.
        shape: of the array, (z, y, x).
    """

    stored: Grid
    turn: Turn
    work: Grid
    start: tuple[int, int, int]
    shape: tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class Prepared:
    """A case as a network sees it.

    Attributes:
        image: (C, Z, Y, X).
        mask: class of every voxel, (Z, Y, X); None if the case has no mask.
        spots: indices of some labelled voxels, (n, 3), of every label alike.
        spacing_mm: voxel size, (z, y, x).
    """

    image: Floats
    mask: Classes | None
    spots: NDArray[np.int32]
    spacing_mm: tuple[float, float, float]


def prepare(bench: Bench, case: Case) -> Prepared:
    """Return a case's arrays, from the cache if it was seen before; mapped, read-only.

    Raises:
        ValueError: an image or mask cannot be used; says which and why.
    """
    key = _key(bench, case)
    paths = {part: bench.cache / f"{key}.{part}.npy" for part in _PARTS}
    if not paths["spacing"].exists():
        for part, array in _make(bench, case).items():
            write_atomically(paths[part], _bytes(array))
    arrays = {part: np.load(path, mmap_mode="r") for part, path in paths.items()}
    z, y, x = arrays["spacing"].tolist()
    mask = arrays["mask"] if arrays["mask"].size else None
    return Prepared(arrays["image"], mask, arrays["spots"], (z, y, x))


def frame_of(bench: Bench, stored: Grid) -> Frame:
    """Return how an image on the grid `stored` becomes an array."""
    recipe = bench.task.recipe
    turn = turn_to(stored, recipe.orientation)
    work = _respaced(turn.of_grid(stored), recipe)
    a, b, c = (_extent(n, axis, bench) for axis, n in enumerate(work.shape))
    start = tuple((n - m) // 2 for n, m in zip(work.shape, (a, b, c), strict=True))
    return Frame(stored, turn, work, (start[0], start[1], start[2]), (a, b, c))


def load_images(bench: Bench, case: Case) -> tuple[Floats, Frame]:
    """Return the channels of a case (C, Z, Y, X) and how they came about.

    Raises:
        ValueError: an image is missing, is not finite or is constant.
    """
    volumes = {name: _finite(name, _open(case.images, name)) for name in bench.task.images}
    frame = frame_of(bench, next(iter(volumes.values())).grid)
    channels = [
        _fit(_channel(name, volume, frame, bench.task.recipe), frame)
        for name, volume in volumes.items()
    ]
    return np.stack(channels), frame


def read_classes(bench: Bench, case: Case) -> Volume | None:
    """Return the case's mask as stored, with classes 1, 2, ... for its labels.

    Raises:
        ValueError: a value is no label of the contract.
    """
    name = bench.task.mask
    path = case.masks.get(name)
    if path is None:
        return None
    stored = read_image(path)
    classes = np.zeros(stored.voxels.shape, np.uint8)
    for i, value in enumerate(bench.mask.labels.values(), start=1):
        classes[stored.voxels == value] = i
    odd = np.unique(stored.voxels[(classes == 0) & (stored.voxels != 0)])
    if odd.size:
        known = list(bench.mask.labels.values())
        raise ValueError(f'mask "{name}": expected labels {known}, got {odd[:5].tolist()}')
    return Volume(classes, stored.grid)


def restore(chances: Floats, frame: Frame, onto: Grid) -> Classes:
    """Return the likeliest class of every voxel of a stored image's grid.

    Where only axes were turned and cropped, voxels keep their class; else the
    chances are interpolated. Beyond the array there is background.

    Args:
        chances: of every class, (classes, Z, Y, X), of the array of `frame`.
        frame: how the array came about.
        onto: grid of the image on which the mask is wanted.
    """
    whole = _unfit(chances, frame)
    if frame.work == frame.turn.of_grid(frame.stored) and onto.matches(frame.stored):
        back = frame.turn.back(whole.argmax(axis=0).astype(np.uint8))
        return np.ascontiguousarray(back)
    best = np.full(onto.shape, 0.0, np.float32)
    classes = np.zeros(onto.shape, np.uint8)
    for i, chance in enumerate(whole):
        volume = Volume(chance, frame.work)
        here = resample(volume, onto, how="linear", outside=float(i == 0))
        classes[here > best] = i
        best = np.maximum(best, here)
    return classes


_PARTS = ("image", "mask", "spots", "spacing")  # the last one is written last


def _make(bench: Bench, case: Case) -> dict[str, NDArray[np.generic]]:
    image, frame = load_images(bench, case)
    stored = read_classes(bench, case)
    mask = np.empty((0, 0, 0), np.uint8) if stored is None else _mask(stored, frame)
    return {
        "image": image,
        "mask": mask,
        "spots": _spots(mask, len(bench.labels)),
        "spacing": np.array(frame.work.spacing_mm),
    }


def _key(bench: Bench, case: Case) -> str:
    task = bench.task
    images = [(name, _stamp(case.images.get(name))) for name in task.images]
    mask = (bench.mask.model_dump(), _stamp(case.masks.get(task.mask)))
    made = [_VERSION, images, mask, task.recipe.model_dump(), task.divisor]
    return hashlib.sha256(json.dumps(made, sort_keys=True).encode()).hexdigest()[:32]


def _stamp(path: Path | None) -> list[tuple[str, int, int]]:
    """Return name, size and time of a file, or of every file of a DICOM folder."""
    return sorted(_stats(path)) if path is not None else []


def _stats(path: Path) -> Iterator[tuple[str, int, int]]:
    if not path.is_dir():
        stat = path.stat()
        yield str(path), stat.st_size, stat.st_mtime_ns
        return
    with os.scandir(path) as entries:
        for entry in entries:
            stat = entry.stat()
            yield entry.path, stat.st_size, stat.st_mtime_ns


def _bytes(array: NDArray[np.generic]) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=False)
    return buffer.getvalue()


def _open(images: Mapping[str, Path], name: str) -> Volume:
    if name not in images:
        raise ValueError(f'image "{name}": the case has none')
    return read_image(images[name])


def _finite(name: str, volume: Volume) -> Volume:
    voxels = volume.voxels.astype(np.float32)
    n_odd = int(voxels.size - np.count_nonzero(np.isfinite(voxels)))
    if n_odd:
        raise ValueError(f'image "{name}": {n_odd} voxels are NaN or infinite')
    if float(voxels.min()) == float(voxels.max()):
        raise ValueError(f'image "{name}": every voxel has the same value')
    return Volume(voxels, volume.grid)


def _channel(name: str, volume: Volume, frame: Frame, recipe: Recipe) -> Floats:
    """Return an image on the work grid, its grey levels normalised."""
    onto_work = _onto(volume, frame, how="linear")
    how = recipe.normalise_image.get(name, recipe.normalise)
    return _normalise(onto_work, how)


def _mask(stored: Volume, frame: Frame) -> Classes:
    return _fit(_onto(stored, frame, how="label"), frame).astype(np.uint8)


def _onto(volume: Volume, frame: Frame, *, how: str) -> NDArray[np.float32]:
    turned = Volume(frame.turn.of(volume.voxels), frame.turn.of_grid(volume.grid))
    if turned.grid.matches(frame.work):
        return np.ascontiguousarray(turned.voxels)
    if how == "label":
        return resample(turned, frame.work, how="label", outside=0)
    smooth = Volume(_smooth(turned, frame.work), turned.grid)
    lowest = float(volume.voxels.min())
    return resample(smooth, frame.work, how="linear", outside=lowest)


def _smooth(volume: Volume, onto: Grid) -> Floats:
    """Blur axes that become coarser, so that fine detail does not alias."""
    ratio = np.divide(onto.spacing_mm, volume.grid.spacing_mm)
    sigma = np.sqrt(np.maximum(ratio**2 - 1, 0)) / 2
    if float(sigma.max()) < 0.5:
        return np.asarray(volume.voxels)
    blurred: Floats = ndimage.gaussian_filter(volume.voxels, sigma, mode="nearest")
    return blurred


def _normalise(image: Floats, how: Normalise) -> Floats:
    if isinstance(how, Window):
        return _between(image, how.low, how.high)
    if isinstance(how, Percentile):
        low, high = np.percentile(image, [how.low, how.high])
        return _between(image, float(low), float(high))
    inside = image[image != 0] if how.over == "nonzero" else image
    scaled = (image - inside.mean(dtype=np.float64)) / max(
        float(inside.std(dtype=np.float64)), 1e-6
    )
    return scaled.astype(np.float32)


def _between(image: Floats, low: float, high: float) -> Floats:
    shares = (np.clip(image, low, high) - low) / max(high - low, 1e-6)
    return (2 * shares - 1).astype(np.float32)


def _respaced(grid: Grid, recipe: Recipe) -> Grid:
    """Return a grid of the recipe's voxel size around the same centre."""
    if recipe.spacing_mm is None:
        return grid
    wanted = recipe.spacing_mm if len(recipe.spacing_mm) == 3 else (
        grid.spacing_mm[0], *recipe.spacing_mm
    )
    extent = np.multiply(grid.shape, grid.spacing_mm)
    shape = np.maximum(np.rint(extent / wanted), 1).astype(int)
    middle = (np.array(grid.shape) - 1) / 2 - (shape - 1) / 2 * wanted / grid.spacing_mm
    a, b, c = shape.tolist()
    u, v, w = wanted
    return Grid((a, b, c), (u, v, w), grid.point_mm(middle.tolist()), grid.axes)


def _extent(n: int, axis: int, bench: Bench) -> int:
    """Return the voxels of the array along an axis (z, y, x) of `n` voxels."""
    task, axis = bench.task, axis - (3 - bench.task.dimensions)
    if axis < 0:
        return n  # 2D: slices are not cropped away
    if task.recipe.size is not None:
        n = task.recipe.size[axis]
    if task.recipe.patch is not None:
        n = max(n, task.recipe.patch[axis])
    divisor = task.divisor[axis]
    return ceil(n / divisor) * divisor if task.recipe.patch is None else n


def _fit[T: np.generic](voxels: NDArray[T], frame: Frame) -> NDArray[T]:
    return voxels
