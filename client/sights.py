"""A site's cases as a classifier sees them: a window of the images, columns, a class.

Windows lie in the cache folder, under names that depend on the files' size and time and
on everything that was done to them.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from client.bench import Bench
from client.cases import Case
from client.dataset import Example, as_tensor, bytes_of, stamps
from client.files import write_atomically
from client.imageio import Volume, read_image
from client.preprocess import Floats, Frame, load_image, onto_frame
from common.tasks.classification import Classification, class_of

_VERSION = 1  # one more whenever the same settings come to other arrays
_N_SPOTS = 2000

Vector = tuple[float, float, float]


@dataclass(frozen=True, slots=True)
class Sight:
    """One case.

    Attributes:
        seen: the window; its mask is the region, or empty space where there is none.
        columns: encoded clinical columns, (q,), float32; NaN where missing.
        label: the class; -1 where it is not known.
    """

    seen: Example
    columns: torch.Tensor
    label: int


def load_sights(bench: Bench, cases: Sequence[Case], device: torch.device) -> list[Sight]:
    """Return the cases, their windows held on the device as far as memory allows.

    Raises:
        ValueError: an image or mask cannot be used; says which and why.
    """
    left = bench.memory_mb * 2**20
    sights = []
    for case in cases:
        sight = sight_of(bench, case)
        left -= int(sight.seen.image.nbytes)
        sights.append(_held(sight, device) if left >= 0 else sight)
    return sights


def sight_of(bench: Bench, case: Case) -> Sight:
    """Return a case's window, mapped from the cache, with its columns and its class.

    Raises:
        ValueError: an image or mask cannot be used; says which and why.
    """
    task: Classification = bench.task
    encoding = task.encoding(bench.known)
    columns = torch.from_numpy(encoding.row(case.values).astype(np.float32))
    value = case.values.get(task.outcome, float("nan"))
    label = class_of(bench.known.columns[task.outcome], value)
    return Sight(_window(bench, case), columns, -1 if label is None else label)


def load_window(bench: Bench, case: Case) -> tuple[Floats, NDArray[np.uint8] | None, Frame]:
    """Return images (C, Z, Y, X), the region (Z, Y, X) and where they lie; not cached.

    Raises:
        ValueError: an image or mask cannot be used; says which and why.
    """
    task: Classification = bench.task
    if task.mask is None:
        image, frame = load_image(bench, case)
        return image, None, frame
    region = _region(task, case)
    centre = middle_mm(region) if task.mask.use != "channel" else None
    image, frame = load_image(bench, case, centre)
    return image, onto_frame(region, frame, task.recipe), frame


def middle_mm(region: Volume) -> Vector:
    """Return the middle of the box around a region, in patient coordinates."""
    where = np.argwhere(region.voxels)
    middle = (where.min(0) + where.max(0)) / 2
    return region.grid.point_mm(middle.tolist())


def _region(task: Classification, case: Case) -> Volume:
    name = task.mask.name if task.mask else ""
    path = case.masks.get(name)
    if path is None:
        raise ValueError(f'mask "{name}": the case has none')
    stored = read_image(path)
    if not stored.voxels.any():
        raise ValueError(f'mask "{name}": it is empty')
    return Volume((stored.voxels != 0).astype(np.uint8), stored.grid)


def _window(bench: Bench, case: Case) -> Example:
    key = _key(bench, case)
    paths = {part: bench.cache / f"{key}.{part}.npy" for part in ("image", "region", "spacing")}
    if not paths["spacing"].exists():
        image, region, frame = load_window(bench, case)
        made: dict[str, NDArray[Any]] = {
            "image": image,
            "region": np.empty((0, 0, 0), np.uint8) if region is None else region,
            "spacing": np.array(frame.work.spacing_mm),
        }
        for part, path in paths.items():
            write_atomically(path, bytes_of(made[part]), durable=False)
    image, region = (np.load(paths[part], mmap_mode="r") for part in ("image", "region"))
    z, y, x = np.load(paths["spacing"]).tolist()
    if not region.size:  # takes no memory
        region = np.broadcast_to(np.uint8(0), image.shape[1:])
    spots = np.argwhere(region).astype(np.int32)
    return Example(image, region, spots[:: max(1, len(spots) // _N_SPOTS)], (z, y, x))


def _held(sight: Sight, device: torch.device) -> Sight:
    image = as_tensor(sight.seen.image, device)
    seen = Example(image, sight.seen.mask, sight.seen.spots, sight.seen.spacing_mm)
    return Sight(seen, sight.columns.to(device), sight.label)


def _key(bench: Bench, case: Case) -> str:
    task: Classification = bench.task
    images = [(name, list(stamps(case.images.get(name)))) for name in task.images]
    region = None
    if task.mask is not None:
        region = (task.mask.use == "channel", list(stamps(case.masks.get(task.mask.name))))
    made = ["sight", _VERSION, images, region, task.dimensions, task.recipe.model_dump()]
    return hashlib.sha256(json.dumps(made, sort_keys=True).encode()).hexdigest()[:32]
