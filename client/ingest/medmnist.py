"""Write sites' folders from a three-dimensional MedMNIST file and lists of its indices.

The file (`NAMEmnist3d.npz`) holds volumes and labels of an official train, val and test
part; the splits say which index of which part goes to which site:

    {"sites": {"site_1": {"train": [3, 5], "val": [1], "test": [4]}}}

`val` becomes `validation`. MedMNIST names no patients: each volume is one, and its official
parts share none. Voxels have no size there and get 1 mm.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, Field

from client.imageio import Grid, Volume, write_image
from client.ingest.cohort_csv import write_sheet
from common.cohort import CASE_ID, PATIENT_ID, SPLIT, Name
from common.errors import ConfigError, Finding
from common.settings import parse

Part = Literal["train", "val", "test"]
Index = Annotated[int, Field(ge=0)]

SPLIT_OF = {"train": "train", "val": "validation", "test": "test"}
_AXES = ((0.0, 0.0, 1.0), (0.0, 1.0, 0.0), (1.0, 0.0, 0.0))


class IndexSplits(BaseModel):
    """The splits' file; what else stands there is for readers."""

    sites: dict[Name, dict[Part, tuple[Index, ...]]]


@dataclass(frozen=True, slots=True)
class Labels:
    """How the columns are to be called.

    Attributes:
        image: column of the volume.
        outcome: column of the label.
        levels: names of the labels 0, 1, ...
    """

    image: str
    outcome: str
    levels: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Report:
    """What an import wrote: cases by site and split."""

    folders: Mapping[str, Path]
    counts: Mapping[str, Mapping[str, int]]

    def __str__(self) -> str:
        return "\n".join(
            f"{site}: " + ", ".join(f"{n} {split}" for split, n in splits.items())
            for site, splits in self.counts.items()
        )


def import_medmnist(npz: Path, splits_json: Path, out_dir: Path, labels: Labels) -> Report:
    """Write one folder a site with cohort.csv and NIfTI files.

    Args:
        npz: the MedMNIST file.
        splits_json: indices by site and part.
        out_dir: where the sites' folders go.
        labels: names for cohort.csv.

    Raises:
        ConfigError: with every mistake found; nothing has been written.
    """
    splits = parse(IndexSplits, _text(splits_json), str(splits_json))
    arrays = _arrays(npz)
    findings = [*_wrong_arrays(arrays, npz, labels), *_wrong_places(splits, arrays, splits_json)]
    if findings:
        raise ConfigError(findings)
    counts = {
        site: _write(site, parts, arrays, out_dir, labels) for site, parts in splits.sites.items()
    }
    return Report({site: out_dir / site for site in counts}, counts)


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        text = getattr(error, "strerror", None) or "not UTF-8"
        raise ConfigError([Finding(str(path), None, "", text)]) from None


def _arrays(npz: Path) -> dict[str, NDArray[Any]]:
    try:
        with np.load(npz, allow_pickle=False) as file:
            return {name: file[name] for name in file.files}
    except (OSError, ValueError) as error:
        raise ConfigError([Finding(str(npz), None, "", f"no .npz file: {error}")]) from None


def _wrong_arrays(
    arrays: Mapping[str, NDArray[Any]], npz: Path, labels: Labels
) -> Iterator[Finding]:
    for part in SPLIT_OF:
        images, values = arrays.get(f"{part}_images"), arrays.get(f"{part}_labels")
        if images is None or values is None:
            yield Finding(str(npz), None, part, f"expected {part}_images and {part}_labels")
        elif images.ndim != 4 or values.size != len(images):
            got = f"{images.shape} and {values.shape}"
            yield Finding(str(npz), None, part, f"expected volumes and one label each, got {got}")
        elif int(values.max()) >= len(labels.levels):
            text = f"expected labels 0 to {len(labels.levels) - 1}, got {int(values.max())}"
            yield Finding(str(npz), None, part, text)


def _wrong_places(
    splits: IndexSplits, arrays: Mapping[str, NDArray[Any]], file: Path
) -> Iterator[Finding]:
    first: dict[tuple[str, int], str] = {}
    for site, parts in splits.sites.items():
        for part, indices in parts.items():
            n = len(arrays.get(f"{part}_images", ()))
            for i in indices:
                before = first.setdefault((part, i), site)
                if i >= n:
                    text = f"there is no {i}, only 0 to {n - 1}"
                    yield Finding(str(file), None, f"sites.{site}.{part}", text)
                elif before != site or indices.count(i) > 1:
                    text = f'{i} stands twice, also at "{before}"'
                    yield Finding(str(file), None, f"sites.{site}.{part}", text)


def _write(
    site: str,
    parts: Mapping[Part, tuple[int, ...]],
    arrays: Mapping[str, NDArray[Any]],
    out_dir: Path,
    labels: Labels,
) -> Mapping[str, int]:
    folder = out_dir / site
    (folder / "images").mkdir(parents=True, exist_ok=True)
    rows = []
    for part, indices in parts.items():
        for i in indices:
            case = f"{part}_{i:04d}"
            file = f"images/{case}.nii.gz"
            write_image(folder / file, _volume(arrays[f"{part}_images"][i]))
            level = labels.levels[int(arrays[f"{part}_labels"].ravel()[i])]
            known = {CASE_ID: case, PATIENT_ID: case, SPLIT: SPLIT_OF[part]}
            rows.append(known | {labels.image: file, labels.outcome: level})
    write_sheet(folder, (CASE_ID, PATIENT_ID, SPLIT, labels.image, labels.outcome), rows)
    return Counter(row[SPLIT] for row in rows)


def _volume(voxels: NDArray[Any]) -> Volume:
    z, y, x = voxels.shape
    return Volume(voxels, Grid((z, y, x), (1.0, 1.0, 1.0), (0.0, 0.0, 0.0), _AXES))
