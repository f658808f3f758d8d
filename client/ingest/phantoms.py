"""Write a phantom cohort to disk, one folder a site, as a hospital would keep it.

A folder appears whole or not at all: it is filled under another name and then renamed,
with a stamp of what it was made from and of every file in it. A second call finds the
stamp and does nothing. What somebody changed or added there is never overwritten.
"""

import hashlib
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

_SHOWN = 3  # names of files in a message

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
        ConfigError: a folder of that name holds something else, or files in it were
            changed or added since it was written.
    """
    folders = {name: out_dir / name for name in spec.sites}
    foreign = [
        Finding(str(folder), None, "", text)
        for folder in folders.values()
        if (text := _not_ours(folder))
    ]
    if foreign:
        raise ConfigError(foreign)
    for name, folder in folders.items():
        if not _complete(folder, spec.stamp(name)):
            _write_site(spec, name, folder)
    return folders


def _not_ours(folder: Path) -> str:
    """Return in words what in a folder is not as it was written here; "" for nothing."""
    if not folder.exists() or not any(folder.iterdir()):
        return ""
    if not (folder / STAMP).exists():
        return "expected a folder of phantoms or none, found other files; move it away"
    made, found = _stamped(folder).get("files"), _files(folder)
    if not isinstance(made, dict):  # of an earlier version, which noted no names
        return ""
    strange = [name for name in found if name not in made]
    changed = [name for name in found if name in made and not _same(folder, name, made[name])]
    parts = [
        f"{_few(names)} {what}"
        for names, what in ((changed, "changed"), (strange, "added"))
        if names
    ]
    if not parts:
        return ""
    return (
        f"{' and '.join(parts)} since these phantoms were written; to keep that, move the "
        "folder away and name it in a roster without `phantoms`; else delete it, and it is "
        "made anew"
    )


def _few(names: list[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more


def _stamped(folder: Path) -> dict[str, Any]:
    try:
        made = json.loads((folder / STAMP).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return made if isinstance(made, dict) else {}


def _complete(folder: Path, stamp: str) -> bool:
    made, found = _stamped(folder), _files(folder)
    if made.get("stamp") != stamp:
        return False
    if "files" in made:
        return set(made["files"]) == set(found)
    return bool(made.get("n_files") == len(found))


def _files(folder: Path) -> list[str]:
    """Return the files below a folder by their names in it; hidden ones do not count."""
    paths = (path.relative_to(folder) for path in folder.rglob("*") if not path.is_dir())
    return sorted(
        path.as_posix() for path in paths if not any(part.startswith(".") for part in path.parts)
    )


def _mark(path: Path) -> list[Any]:
    """Return size, time in ns and sha256 of a file."""
    stat = path.stat()
    return [stat.st_size, stat.st_mtime_ns, hashlib.sha256(path.read_bytes()).hexdigest()]


def _same(folder: Path, name: str, mark: list[Any]) -> bool:
    """Tell whether a file is as it was written; it is read only where its time differs."""
    path = folder / name
    stat = path.stat()
    if [stat.st_size, stat.st_mtime_ns] == mark[:2]:
        return True
    return bool(stat.st_size == mark[0] and _mark(path)[2] == mark[2])


def _write_site(spec: PhantomSpec, name: str, folder: Path) -> None:
    growing = folder.with_name(f".{name}.{os.getpid()}.tmp")
    shutil.rmtree(growing, ignore_errors=True)
    (growing / "images").mkdir(parents=True)
    try:
        rows = [_write_case(spec, plan, growing) for plan in plan_site(spec, name)]
        write_sheet(growing, _columns(spec), rows)
        text = json.dumps(truth(spec, name), indent=1)
        (growing / "truth.json").write_text(text + "\n", encoding="utf-8")
        files = {file: _mark(growing / file) for file in _files(growing)}
        stamp = {"stamp": spec.stamp(name), "files": files}
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
