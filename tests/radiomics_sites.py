"""Sites with small images and a tumour, for tests of the steps that read regions."""

import csv
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK
import yaml

from server.run import Run
from server.simulate import prepare

SHAPE = (10, 14, 14)
PROFILE = """
imageType: {Original: {}}
featureClass: {shape: [MeshVolume], firstorder: [Mean, Energy], glcm: [Contrast]}
setting: {binWidth: 10}
"""
COHORT = """
name: regions
cohort:
  images: {t2: {modality: MR}}
  masks:
    tumour: {on: t2, labels: {tumour: 1}, required: false}
    "tumour@b": {on: t2, labels: {tumour: 1}, required: false}
steps:
"""


def write_image(path: Path, voxels: np.ndarray, origin: tuple[float, float, float] = (0, 0, 0)):
    image = SimpleITK.GetImageFromArray(voxels)
    image.SetSpacing((1.0, 1.0, 2.0))
    image.SetOrigin(origin)
    SimpleITK.WriteImage(image, str(path))


def scan(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(500, 80, SHAPE).astype(np.float32)


def tumour(grow: int = 0) -> np.ndarray:
    mask = np.zeros(SHAPE, np.uint8)
    mask[3:7, 4 - grow : 9, 4:9] = 1
    return mask


def write_site(folder: Path, n: int, first: int = 0) -> None:
    """Write n patients, each with a tumour; the second reader drew every other one."""
    folder.mkdir(parents=True)
    rows = []
    for i in range(n):
        write_image(folder / f"{i}_t2.nii.gz", scan(first + i))
        write_image(folder / f"{i}_tumour.nii.gz", tumour())
        second = ""
        if i % 2 == 0:
            second = f"{i}_tumour_b.nii.gz"
            write_image(folder / second, tumour(grow=1))
        rows.append([f"c{i:02d}", f"p{i:02d}", f"{i}_t2.nii.gz", f"{i}_tumour.nii.gz", second])
    with (folder / "cohort.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["case_id", "patient_id", "t2", "tumour", "tumour@b"])
        writer.writerows(rows)


def run_of(folder: Path, steps: str, *, sites: int = 3, about: dict[str, Any] | None = None) -> Run:
    """Return a prepared run of these steps over the sites already written below `folder`."""
    named = {
        f"s{i}": {
            "simulate": {
                "cohort": f"s{i}",
                "processes": 1,
                "policy": {"per_site": True},
                **(about or {}),
            }
        }
        for i in range(sites)
    }
    quorum = min(3, sites)
    (folder / "study.yaml").write_text(COHORT + steps)
    (folder / "sites.yaml").write_text(yaml.safe_dump({"sites": named, "quorum": quorum}))
    return prepare(folder / "study.yaml", folder / "sites.yaml", folder / "runs")
