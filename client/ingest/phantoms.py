"""Write a phantom cohort to disk, one folder a site, as a hospital would keep it.

A folder appears whole or not at all: it is filled under another name and then renamed,
with a stamp of what it was made from. A second call finds the stamp and does nothing.
"""

import json
import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from client.imageio import Grid, Volume, write_image
from client.ingest.cohort_csv import write_sheet
from common.cohort import CASE_ID, PATIENT_ID, SPLIT
from common.errors import ConfigError, Finding
from common.phantoms.cases import Plan, columns_of, draw, plan_site, row, truth
from common.phantoms.spec import PhantomSpec, Scanner

STAMP = ".phantom"
Row = dict[str, str]

_MIDDLE_MM = (-22.0, 18.0, -14.0)  # of the field of view: left, back, head


def write(spec: PhantomSpec, out_dir: Path) -> dict[str, Path]:
    """Write every site of a phantom cohort.

    Each folder gets `cohort.csv`, `truth.json` and NIfTI files under `images/`.

    Args:
        spec: the cohort.
        out_dir: where the sites' folders go, each by the site's name.

    Returns:
        The folder of each site.

    Raises:
        ConfigError: a folder of that name holds something else.
    """
    folders = {name: out_dir / name for name in spec.sites}
    foreign = [f for f in folders.values() if _holds_something_else(f)]
    if foreign:
        text = "expected a folder of phantoms or none, found other files; move it away"
        raise ConfigError([Finding(str(folder), None, "", text) for folder in foreign])
    for name, folder in folders.items():
        if not _complete(folder, spec.stamp(name)):
            _write_site(spec, name, folder)
    return folders


def _holds_something_else(folder: Path) -> bool:
    return folder.exists() and not (folder / STAMP).exists() and any(folder.iterdir())


def _complete(folder: Path, stamp: str) -> bool:
    try:
        made = json.loads((folder / STAMP).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return bool(made == {"stamp": stamp, "n_files": _n_files(folder)})


def _n_files(folder: Path) -> int:
    names = {path.name for path in folder.glob("images/*")}
    return len(names) + sum((folder / n).exists() for n in ("cohort.csv", "truth.json"))


def _write_site(spec: PhantomSpec, name: str, folder: Path) -> None:
    growing = folder.with_name(f".{name}.{os.getpid()}.tmp")
    shutil.rmtree(growing, ignore_errors=True)
    (growing / "images").mkdir(parents=True)
    try:
        rows = [_write_case(spec, plan, growing) for plan in plan_site(spec, name)]
        write_sheet(growing, _columns(spec), rows)
        text = json.dumps(truth(spec, name), indent=1)
        (growing / "truth.json").write_text(text + "\n", encoding="utf-8")
        stamp = {"stamp": spec.stamp(name), "n_files": _n_files(growing)}
        (growing / STAMP).write_text(json.dumps(stamp), encoding="utf-8")
        _replace(growing, folder)
    finally:
        shutil.rmtree(growing, ignore_errors=True)


def _replace(new: Path, folder: Path) -> None:
    old = new.with_suffix(".old")
    if folder.exists():
        folder.rename(old)
    new.rename(folder)
    shutil.rmtree(old, ignore_errors=True)


def _columns(spec: PhantomSpec) -> list[str]:
    drawn = (*spec.anatomy.images(), *spec.anatomy.masks())
    return [CASE_ID, PATIENT_ID, SPLIT, *drawn, *columns_of(spec)]


def _write_case(spec: PhantomSpec, plan: Plan, folder: Path) -> Row:
    """Write the images of a case and return its row."""
    pictures, site = draw(spec, plan), spec.sites[plan.site]
    cells = {CASE_ID: plan.case_id, PATIENT_ID: plan.patient_id, SPLIT: plan.split}
    for name, voxels in (*pictures.images.items(), *pictures.masks.items()):
        file = f"images/{plan.case_id}_{name.replace('@', '_')}.nii.gz"
        write_image(folder / file, _placed(voxels, site.scanner))
        cells[name] = file
    return cells | row(spec, plan)


def _placed(voxels: NDArray[Any], scanner: Scanner) -> Volume:
    """Return voxels where the scanner puts them: slices tilted about the x axis."""
    turn = np.deg2rad(scanner.oblique_deg)
    c, s = float(np.cos(turn)), float(np.sin(turn))
    axes = ((0.0, -s, c), (0.0, c, s), (1.0, 0.0, 0.0))
    nz, ny, nx = voxels.shape
    middle = np.multiply((nz - 1, ny - 1, nx - 1), scanner.spacing_mm) / 2.0
    x, y, z = (np.array(_MIDDLE_MM) - middle @ np.array(axes)).tolist()
    return Volume(voxels, Grid((nz, ny, nx), scanner.spacing_mm, (x, y, z), axes))
