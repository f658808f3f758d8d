"""A site's cases as arrays, ready to be learnt from.

Preprocessed arrays lie in a cache folder, under names that depend on the files' size
and time and on everything that was done to them.
"""

import hashlib
import io
import json
import logging
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray

from client.bench import Bench
from client.cases import Case
from client.files import write_atomically
from client.preprocess import Classes, load_image, load_mask

log = logging.getLogger(__name__)

_VERSION = 1  # one more whenever the same settings come to other arrays
_N_SPOTS = 2000
_PARTS = ("image", "mask", "spots", "spacing")  # the last is written last

Array: TypeAlias = NDArray[Any] | torch.Tensor


@dataclass(frozen=True, slots=True)
class Example:
    """A case as a network sees it; on disk, in memory or on a GPU.

    Attributes:
        image: (C, Z, Y, X), float32.
        mask: class of every voxel, (Z, Y, X), uint8; empty if the case has no mask.
        spots: indices (n, 3) of some labelled voxels, of every label about alike.
        spacing_mm: voxel size, (z, y, x).
    """

    image: Array
    mask: Array
    spots: NDArray[np.int32]
    spacing_mm: tuple[float, float, float]


def prepare(bench: Bench, case: Case) -> Example:
    """Return a case's arrays, mapped from the cache, where they are made if missing.

    Raises:
        ValueError: an image or the mask cannot be used; says which and why.
    """
    key = _key(bench, case)
    paths = {part: bench.cache / f"{key}.{part}.npy" for part in _PARTS}
    if not paths["spacing"].exists():
        for part, array in _make(bench, case).items():
            write_atomically(paths[part], bytes_of(array))
    image, mask, spots = (np.load(paths[part], mmap_mode="r") for part in _PARTS[:3])
    z, y, x = np.load(paths["spacing"]).tolist()
    return Example(image, mask, np.array(spots), (z, y, x))


def load_examples(bench: Bench, cases: Sequence[Case], device: torch.device) -> list[Example]:
    """Return the cases as examples, held on the device as far as memory allows."""
    left = bench.memory_mb * 2**20
    examples = []
    for case in cases:
        example = prepare(bench, case)
        left -= example.image.nbytes + example.mask.nbytes
        examples.append(_held(example, device) if left >= 0 else example)
    if left < 0:
        log.info("the cohort is larger than %d MB: read from disk", bench.memory_mb)
    return examples


def digest_of(cases: Sequence[Case]) -> str:
    """Return a digest of who the cases are and of their files' sizes and times."""
    files = [
        [c.case_id, c.patient_id, sorted(c.values.items())]
        + [list(stamps(path)) for _, path in sorted({**c.images, **c.masks}.items())]
        for c in cases
    ]
    return hashlib.sha256(json.dumps(files).encode()).hexdigest()


def as_tensor(array: Array, device: torch.device) -> torch.Tensor:
    """Return a part of an example's image or mask as a tensor on a device."""
    if isinstance(array, torch.Tensor):
        return array
    # A mapped array is read-only, which a tensor cannot be.
    return torch.from_numpy(np.array(array)).to(device, non_blocking=True)


def _held(example: Example, device: torch.device) -> Example:
    image, mask = as_tensor(example.image, device), as_tensor(example.mask, device)
    return Example(image, mask, example.spots, example.spacing_mm)


def _make(bench: Bench, case: Case) -> dict[str, NDArray[Any]]:
    image, frame = load_image(bench, case)
    found = load_mask(bench, case, frame)
    mask = np.empty((0, 0, 0), np.uint8) if found is None else found
    return {
        "image": image,
        "mask": mask,
        "spots": _spots(mask, len(bench.labels)),
        "spacing": np.array(frame.work.spacing_mm),
    }


def _spots(mask: Classes, n_labels: int) -> NDArray[np.int32]:
    """Return voxels spread evenly over each label."""
    chosen = []
    for label in range(1, n_labels + 1):
        voxels = np.argwhere(mask == label).astype(np.int32)
        chosen.append(voxels[:: max(1, len(voxels) // (_N_SPOTS // n_labels))])
    return np.concatenate(chosen)


def _key(bench: Bench, case: Case) -> str:
    task = bench.task
    images = [(name, list(stamps(case.images.get(name)))) for name in task.images]
    # The order of the labels matters, which sorted keys would lose.
    labels = list(bench.mask.labels.items())
    mask = (labels, bench.mask.ignored, list(stamps(case.masks.get(task.mask))))
    made = [_VERSION, images, mask, task.recipe.model_dump()]
    return hashlib.sha256(json.dumps(made, sort_keys=True).encode()).hexdigest()[:32]


def stamps(path: Path | None) -> Iterator[tuple[str, int, int]]:
    """Yield name, size and time of a file, or of every file of a DICOM folder."""
    if path is None:
        return
    files = sorted(os.scandir(path), key=lambda f: f.name) if path.is_dir() else [path]
    for file in files:
        stat = file.stat()
        yield os.fspath(file), stat.st_size, stat.st_mtime_ns


def bytes_of(array: NDArray[Any]) -> bytes:
    """Return an array as the bytes of a .npy file."""
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=False)
    return buffer.getvalue()
