"""Small cases with a class for tests: the ball is bright in one class and dark in the other."""

from pathlib import Path
from typing import Any

import numpy as np

from client.bench import Bench
from client.cases import Case
from client.imageio import Volume, write_image
from common.cohort import Column, Image, Mask
from common.holdings import Holdings
from common.tasks.classification import Classification
from tests.client.small_cases import ball, grid

TASK: dict[str, Any] = {
    "images": ["t1"],
    "outcome": "bad",
    "recipe": {"size": [8, 16, 8]},
    "network": {"channels": [4, 8]},
    "augmentation": None,
}
KNOWN = Holdings(
    columns={
        "bad": Column(type="category", levels=("no", "yes")),
        "grade": Column(type="integer", range=(1, 3)),
        "age": Column(type="integer", range=(18, 100)),
        "marker": Column(type="number"),
        "sex": Column(type="category", levels=("f", "m", "x")),
    },
    images={"t1": Image(modality="MR"), "t2": Image(modality="MR")},
    masks={"ball": Mask(on="t1", labels={"core": 1})},
)


def case(folder: Path, seed: int = 0, *, at: int = 0, **values: float) -> Case:
    """Write a case whose class is `seed % 2` and return it; `at` moves the ball along y."""
    image, labels = ball(grid(), seed)
    bright = 1.0 if seed % 2 else -1.0
    image = 100 + (image - 100) * bright
    image, labels = (np.roll(x, at, 1) for x in (image.astype(np.float32), labels))
    paths = {name: folder / f"{seed}_{at}_{name}.nii.gz" for name in ("t1", "t2", "ball")}
    for name in ("t1", "t2"):
        write_image(paths[name], Volume(image, grid()))
    write_image(paths["ball"], Volume((labels > 0).astype(np.uint8), grid()))
    told = {"bad": float(seed % 2), "grade": 1.0 + seed % 3, "age": 50.0 + seed, **values}
    return Case(
        case_id=f"c{seed}",
        patient_id=f"p{seed}",
        split="train",
        session="",
        images={name: paths[name] for name in ("t1", "t2")},
        masks={"ball": paths["ball"]},
        values=told,
    )


def bench(folder: Path, **changes: Any) -> Bench:
    """Return a bench whose task has some settings changed."""
    task = Classification.model_validate({**TASK, **changes})
    return Bench(task, KNOWN, folder / "cache", device="cpu", precision="float32")
