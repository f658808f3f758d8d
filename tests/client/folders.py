"""A site's folder for tests: small images, and a cohort.csv that may be spoilt."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import SimpleITK

from common.cohort import Cohort

CONTRACT = Cohort.model_validate(
    {
        "images": {"t1": {"modality": "MR"}},
        "masks": {"tumour": {"on": "t1", "labels": {"core": 1, "rim": 2}, "required": False}},
        "columns": {
            "age": {"type": "integer", "range": [18, 100], "unit": "years"},
            "sex": {"type": "category", "levels": ["f", "m"], "required": True},
        },
    }
)
HEADING = "case_id,patient_id,split,t1,tumour,age,sex"


def write_volume(
    path: Path,
    voxels: np.ndarray,
    *,
    spacing: Sequence[float] = (1.0, 1.0, 1.0),
    origin: Sequence[float] = (0.0, 0.0, 0.0),
) -> None:
    """Write voxels (Z, Y, X); spacing and origin are SimpleITK's, (x, y, z)."""
    image = SimpleITK.GetImageFromArray(voxels)
    image.SetSpacing(spacing[: image.GetDimension()])
    image.SetOrigin(origin[: image.GetDimension()])
    SimpleITK.WriteImage(image, str(path))


def anatomy(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(100.0, 20.0, (4, 6, 5)).astype(np.float32)


def labels(*values: float) -> np.ndarray:
    mask = np.zeros((4, 6, 5), np.float32)
    mask.ravel()[: len(values)] = values
    return mask


def rows(n: int) -> list[dict[str, str]]:
    return [
        {
            "case_id": f"case_{i:03d}",
            "patient_id": f"p{i:03d}",
            "split": ("train", "validation", "test")[i % 3],
            "t1": f"t1_{i}.nii.gz",
            "tumour": f"tumour_{i}.nii.gz",
            "age": str(40 + i),
            "sex": "fm"[i % 2],
        }
        for i in range(n)
    ]


def make_site(folder: Path, n: int = 4) -> list[dict[str, str]]:
    """Write n sound cases; change the rows returned and write them again to spoil."""
    folder.mkdir(parents=True, exist_ok=True)
    for i in range(n):
        write_volume(folder / f"t1_{i}.nii.gz", anatomy(i))
        write_volume(folder / f"tumour_{i}.nii.gz", labels(1, 2, 2))
    made = rows(n)
    write_rows(folder, made)
    return made


def write_rows(folder: Path, made: list[dict[str, str]]) -> None:
    names = HEADING.split(",")
    lines = [HEADING, *(",".join(row.get(n, "") for n in names) for row in made)]
    (folder / "cohort.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
