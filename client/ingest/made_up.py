"""Made-up cases for any data contract: to try a study out before any real case is touched.

The numbers mean nothing. Every image, mask, column and level that the contract declares is
there, so that a study's steps have something to work on.
"""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from client.imageio import Grid, Volume, write_image
from client.ingest.cohort_csv import write_sheet
from common.cohort import CASE_ID, PATIENT_ID, SPLIT, Cohort, Column, Mask
from common.seeds import numpy_rng

_SIZE = (24, 40, 40)
_SPACING_MM = (2.0, 1.5, 1.5)
_AXES = ((0.0, 0.0, 1.0), (0.0, 1.0, 0.0), (1.0, 0.0, 0.0))
_SPLITS = ("train", "train", "train", "validation", "test")
_UNBOUNDED = (0.0, 100.0)


def make_up(contract: Cohort, folder: Path, n: int, name: str) -> Path:
    """Write a folder with cohort.csv and images of patients who never lived.

    Args:
        contract: of the study.
        folder: a new one.
        n: number of patients, a case each.
        name: draws others for another name.
    """
    (folder / "images").mkdir(parents=True)
    rows = [_row(contract, folder, i, name) for i in range(n)]
    drawn = (*contract.images, *contract.masks)
    write_sheet(folder, [CASE_ID, PATIENT_ID, SPLIT, *drawn, *contract.columns], rows)
    return folder


def _row(contract: Cohort, folder: Path, i: int, name: str) -> dict[str, str]:
    rng = numpy_rng("made up", name, i)
    case = f"{name}-{i:03d}"
    severity = float(rng.random())  # ties columns and images together a little
    cells = {CASE_ID: case, PATIENT_ID: case, SPLIT: _SPLITS[i % len(_SPLITS)]}
    grid = Grid(_SIZE, _SPACING_MM, (0.0, 0.0, 0.0), _AXES)
    for image, about in contract.images.items():
        masks = {m: mask for m, mask in contract.masks.items() if mask.on == image}
        voxels = rng.normal(100.0, 10.0, _SIZE)
        for mask, wanted in masks.items():
            labels = _labels(wanted, severity, rng)
            voxels += 20.0 * labels
            cells[mask] = _write(folder, f"{case}_{mask.replace('@', '_')}", labels, grid)
        shift = -1000.0 if about.modality == "CT" else 0.0
        cells[image] = _write(folder, f"{case}_{image}", (voxels + shift).astype(np.int16), grid)
    return cells | {c: _cell(column, severity, rng) for c, column in contract.columns.items()}


def _labels(mask: Mask, severity: float, rng: np.random.Generator) -> NDArray[np.uint16]:
    """Return one ball a label, beside each other."""
    labels = np.zeros(_SIZE, np.uint16)
    z, y, x = np.indices(_SIZE, dtype=np.float64)
    places = np.linspace(0.25, 0.75, len(mask.labels)) if len(mask.labels) > 1 else [0.5]
    for place, value in zip(places, mask.labels.values(), strict=True):
        middle = np.array([_SIZE[0] / 2, _SIZE[1] * place, _SIZE[2] / 2]) + rng.normal(0, 1, 3)
        far = np.sqrt((z - middle[0]) ** 2 + (y - middle[1]) ** 2 + (x - middle[2]) ** 2)
        labels[far < 3.5 + 2.0 * severity] = value
    return labels


def _write(folder: Path, name: str, voxels: NDArray[np.generic], grid: Grid) -> str:
    file = f"images/{name}.nii.gz"
    write_image(folder / file, Volume(voxels, grid))
    return file


def _cell(column: Column, severity: float, rng: np.random.Generator) -> str:
    level = float(np.clip(0.6 * severity + 0.4 * rng.random(), 0.0, 1.0))
    if column.levels:
        return column.levels[min(int(level * len(column.levels)), len(column.levels) - 1)]
    low, high = column.range or _UNBOUNDED
    value = low + level * (high - low)
    return str(round(value)) if column.type == "integer" else f"{value:.4g}"
