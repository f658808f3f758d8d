"""From a case's files to the array a network sees, and back onto the files' grid.

Raises ValueError where an image cannot be used; the text is for the site's own log.
"""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from client.bench import Bench
from client.cases import Case
from client.imageio import Grid, Order, Vector, Volume, Voxels, read_image, resample, turn_to
from client.nifti import count_not_finite, is_nifti
from common.tasks.loss import IGNORED
from common.tasks.recipe import Normalise, Percentile, Recipe, Window

log = logging.getLogger(__name__)

Floats = NDArray[np.float32]
Classes = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Frame:
    """How the array that a network sees lies in the patient.

    Attributes:
        work: the first image's grid, turned and with the recipe's voxel size.
        start: first voxel of the array on the work grid; negative where padded.
        shape: of the array, (z, y, x).
    """

    work: Grid
    start: tuple[int, int, int]
    shape: tuple[int, int, int]

    @property
    def window(self) -> Grid:
        """The array's own grid."""
        work = self.work
        return Grid(self.shape, work.spacing_mm, work.point_mm(self.start), work.axes)


def frame_of(bench: Bench, stored: Grid, centre_mm: Vector | None = None) -> Frame:
    """Return how an image on the grid `stored` becomes an array.

    Args:
        bench: the task and the machine.
        stored: the image's grid.
        centre_mm: patient coordinates of the middle of the array; nothing: of the image's.
    """
    recipe = bench.task.recipe
    turned = turn_to(stored, recipe.orientation).of_grid(stored)
    work = _respaced(turned, recipe)
    a, b, c = (_extent(n, axis, bench) for axis, n in enumerate(work.shape))
    i, j, k = ((n - m) // 2 for n, m in zip(work.shape, (a, b, c), strict=True))
    if centre_mm is not None:
        i, j, k = _around(centre_mm, work, (a, b, c))
    return Frame(work, (i, j, k), (a, b, c))


def load_image(bench: Bench, case: Case, centre_mm: Vector | None = None) -> tuple[Floats, Frame]:
    """Return the channels of a case (C, Z, Y, X) and how they came about.

    Args:
        bench: the task and the machine.
        case: with the task's images.
        centre_mm: see `frame_of`.

    Raises:
        ValueError: an image is missing, not finite or constant; says which.
    """
    recipe = bench.task.recipe
    volumes = {name: open_image(case.images, name) for name in bench.task.images}
    frame = frame_of(bench, next(iter(volumes.values())).grid, centre_mm)
    channels = []
    for name, volume in volumes.items():
        channel = _onto(volume, frame, recipe)
        how = recipe.normalise_image.get(name, recipe.normalise)
        channels.append(_fit(_normalise(channel, how), frame))
    return np.stack(channels), frame


def onto_frame(region: Volume, frame: Frame, recipe: Recipe) -> Classes:
    """Return a mask (uint8) on the array of a frame; what lies outside is cut off."""
    found: Classes = _fit(_onto(region, frame, recipe), frame)
    return found


def load_mask(bench: Bench, case: Case, frame: Frame) -> Classes | None:
    """Return the class of every voxel of the array, or None without a mask.

    Raises:
        ValueError: a value is no label of the contract.
    """
    stored = read_classes(bench, case)
    if stored is None:
        return None
    onto_work: Classes = _onto(stored, frame, bench.task.recipe).astype(np.uint8)
    kept = onto_work[_common(frame)[0]]
    n_lost = int(np.count_nonzero(onto_work)) - int(np.count_nonzero(kept))
    if n_lost:
        log.warning("%s: the recipe's size cuts off %d labelled voxels", case.case_id, n_lost)
    return _fit(onto_work, frame)


def onto_array(mask: Volume, frame: Frame, recipe: Recipe) -> Classes:
    """Return a mask of 0 and 1 (uint8), stored on any grid, over the array of a frame."""
    return _fit(_onto(mask, frame, recipe).astype(np.uint8), frame)


def read_classes(bench: Bench, case: Case) -> Volume | None:
    """Return the case's mask as stored, with classes 1, 2, ... for its labels.

    Voxels whose label nobody knows get the class `IGNORED`.

    Raises:
        ValueError: a value is no label of the contract.
    """
    name, labels = bench.task.mask, list(bench.mask.labels.values())
    path = case.masks.get(name)
    if path is None:
        return None
    stored = read_image(path)
    classes = np.zeros(stored.voxels.shape, np.uint8)
    if bench.mask.ignored is not None:
        classes[stored.voxels == bench.mask.ignored] = IGNORED
    for i, value in enumerate(labels, start=1):
        classes[stored.voxels == value] = i
    odd = np.unique(stored.voxels[(classes == 0) & (stored.voxels != 0)])
    if odd.size:
        raise ValueError(f'mask "{name}": expected labels {labels}, got {odd[:5].tolist()}')
    return Volume(classes, stored.grid)


def restore(chances: Floats, frame: Frame, onto: Grid, recipe: Recipe) -> Classes:
    """Return the likeliest class of every voxel of a stored image.

    Where axes were only turned and cropped, voxels keep their class exactly; else
    chances are interpolated. Beyond the array there is background.

    Args:
        chances: of every class, (classes, Z, Y, X), over the array of `frame`.
        frame: how the array came about.
        onto: grid of the image the mask is for.
        recipe: by which the array was made.
    """
    whole = _unfit(chances, frame)
    turn = turn_to(onto, recipe.orientation)
    if turn.of_grid(onto).matches(frame.work):
        classes = whole.argmax(axis=0).astype(np.uint8)
        return np.ascontiguousarray(turn.back(classes))
    best = np.full(onto.shape, -1.0, np.float32)
    found = np.zeros(onto.shape, np.uint8)
    for i, chance in enumerate(whole):
        volume = Volume(chance, frame.work)
        here = resample(volume, onto, how="linear", outside=0)
        found[here > best] = i
        best = np.maximum(best, here)
    return found


def open_image(images: Mapping[str, Path], name: str) -> Volume:
    """Return an image of a case as float32.

    Raises:
        ValueError: it is missing, not finite or constant.
    """
    if name not in images:
        raise ValueError(f'image "{name}": the case has none')
    path = images[name]
    volume = read_image(path)
    voxels = volume.voxels.astype(np.float32)
    n_odd = int(voxels.size - np.count_nonzero(np.isfinite(voxels)))
    n_odd += count_not_finite(path) if is_nifti(path) else 0  # read as 0
    if n_odd:
        raise ValueError(f'image "{name}": {n_odd} voxels are NaN or infinite')
    if float(voxels.min()) == float(voxels.max()):
        raise ValueError(f'image "{name}": every voxel has the same value')
    return Volume(voxels, volume.grid)


def _onto(volume: Volume, frame: Frame, recipe: Recipe) -> Voxels:
    """Return an image (float32) or mask (uint8) at the voxels of the work grid."""
    turn = turn_to(volume.grid, recipe.orientation)
    turned = Volume(turn.of(volume.voxels), turn.of_grid(volume.grid))
    if turned.grid.matches(frame.work):
        return np.ascontiguousarray(turned.voxels)
    if turned.voxels.dtype == np.uint8:
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
    mean, deviation = inside.mean(dtype=np.float64), inside.std(dtype=np.float64)
    scaled: Floats = ((image - mean) / max(deviation, 1e-6)).astype(np.float32)
    return scaled


def _between(image: Floats, low: float, high: float) -> Floats:
    shares = (np.clip(image, low, high) - low) / max(high - low, 1e-6)
    return (2 * shares - 1).astype(np.float32)


def _respaced(grid: Grid, recipe: Recipe) -> Grid:
    """Return a grid of the recipe's voxel size around the same centre."""
    if recipe.spacing_mm is None:
        return grid
    # In 2D the distance between slices stays as it is.
    u, v, w = (*grid.spacing_mm[: 3 - len(recipe.spacing_mm)], *recipe.spacing_mm)
    wanted = np.array([u, v, w])
    extent = np.multiply(grid.shape, grid.spacing_mm)
    shape = np.maximum(np.rint(extent / wanted), 1).astype(int)
    middle = (np.array(grid.shape) - 1) / 2 - (shape - 1) / 2 * wanted / grid.spacing_mm
    a, b, c = shape.tolist()
    return Grid((a, b, c), (u, v, w), grid.point_mm(middle.tolist()), grid.axes)


def _extent(n: int, axis: int, bench: Bench) -> int:
    """Return the length of the array along an axis of `n` voxels."""
    recipe, axis = bench.task.recipe, axis - (3 - bench.task.dimensions)
    if axis < 0:
        return n  # in 2D every slice is kept
    n = n if recipe.size is None else recipe.size[axis]
    return n if recipe.patch is None else max(n, recipe.patch[axis])


def _around(centre_mm: Vector, work: Grid, shape: Order) -> Order:
    """Return the first voxel of an array of a shape around a point."""
    steps = np.array(work.axes) @ np.subtract(centre_mm, work.origin_mm) / work.spacing_mm
    first = np.rint(steps - (np.array(shape) - 1) / 2).astype(int)
    # An axis that is kept whole begins where the image does; none ends before the image begins.
    whole = np.array(shape) == work.shape
    i, j, k = np.where(whole, 0, np.clip(first, 1 - np.array(shape), np.array(work.shape) - 1))
    return int(i), int(j), int(k)


def _fit(voxels: Voxels, frame: Frame) -> Voxels:
    """Crop to the array; pad with the nearest voxel, as augmentation does."""
    on_work, on_array = _common(frame)
    missing = [(s.start, n - s.stop) for s, n in zip(on_array, frame.shape, strict=True)]
    return np.pad(voxels[on_work], missing, mode="edge")


def _unfit(chances: Floats, frame: Frame) -> Floats:
    """Put the array back onto the work grid, with background around it."""
    on_work, on_array = _common(frame)
    whole = np.zeros((len(chances), *frame.work.shape), np.float32)
    whole[0] = 1
    whole[(slice(None), *on_work)] = chances[(slice(None), *on_array)]
    return whole


def _common(frame: Frame) -> tuple[tuple[slice, ...], tuple[slice, ...]]:
    """Return the voxels that work grid and array share, on the one and in the other."""
    on_work, on_array = [], []
    for start, n, n_work in zip(frame.start, frame.shape, frame.work.shape, strict=True):
        first, end = max(start, 0), min(start + n, n_work)
        on_work.append(slice(first, end))
        on_array.append(slice(first - start, end - start))
    return tuple(on_work), tuple(on_array)
