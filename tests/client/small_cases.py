"""Small cases on disk for tests: bright balls in noise, one label inside another."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from client.bench import Bench
from client.cases import Case
from client.imageio import Grid, Volume, write_image
from common.cohort import Image, Mask
from common.holdings import Holdings
from common.seeds import numpy_rng
from common.tasks.segmentation import Segmentation

# Neither consecutive nor in order: classes are 1 for rim and 2 for core.
LABELS = {"rim": 7, "core": 3}
RAS = ((0.0, 0.0, 1.0), (0.0, -1.0, 0.0), (-1.0, 0.0, 0.0))
TASK: Mapping[str, Any] = {
    "images": ["t1"],
    "mask": "ball",
    "recipe": {"size": [8, 16, 8]},
    "network": {"channels": [4, 8]},
}


def oblique(degrees: float = 20.0) -> tuple[tuple[float, float, float], ...]:
    """Return axes of an image turned about two patient axes."""
    c, s = np.cos(np.deg2rad(degrees)), np.sin(np.deg2rad(degrees))
    a = np.array([[1, 0, 0], [0, c, -s], [0, s, c]])
    b = np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]])
    return tuple(tuple(row) for row in (np.array(RAS) @ a @ b).tolist())


def grid(shape=(8, 16, 8), spacing_mm=(1.0, 1.0, 1.0), axes=RAS) -> Grid:
    return Grid(shape, spacing_mm, (10.0, -20.0, 30.0), axes)


def ball(on: Grid, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Return an image and the label values of the ball in it."""
    rng = numpy_rng("ball", seed)
    middle = (np.array(on.shape) - 1) / 2 + rng.uniform(-0.5, 0.5, 3)
    where = np.moveaxis(np.indices(on.shape), 0, -1)
    apart = np.linalg.norm((where - middle) * on.spacing_mm, axis=-1)
    labels = np.where(apart < 2, 3, np.where(apart < 3.2, 7, 0)).astype(np.uint8)
    image = 100 + 60 * (labels == 3) + 30 * (labels == 7) + rng.normal(0, 5, on.shape)
    return image.astype(np.float32), labels


def case(folder: Path, seed: int = 0, on: Grid | None = None, **changes: Any) -> Case:
    """Write a case and return it."""
    on = on or grid()
    image, labels = ball(on, seed)
    paths = {name: folder / f"{seed}_{name}.nii.gz" for name in ("t1", "ball")}
    write_image(paths["t1"], Volume(image, on))
    write_image(paths["ball"], Volume(labels, on))
    settings = {"images": {"t1": paths["t1"]}, "masks": {"ball": paths["ball"]}} | changes
    return Case(
        case_id=f"c{seed}", patient_id=f"p{seed}", split="train", session="", values={}, **settings
    )


def bench(folder: Path, **changes: Any) -> Bench:
    """Return a bench whose task has some settings changed."""
    task = Segmentation.model_validate({**TASK, **changes})
    known = Holdings(
        images={"t1": Image(modality="MR")}, masks={"ball": Mask(on="t1", labels=LABELS)}
    )
    return Bench(task, known, folder / "cache", device="cpu", precision="float32")
