"""Segmentation in 2D, end to end: slices of 3D images, real 2D images, several channels."""

import json
from pathlib import Path

import numpy as np
import pytest
import SimpleITK
import yaml

from server.journal import read_events
from server.run import Run
from server.simulate import prepare, simulate

STUDY = """
name: flat
cohort:
  images: {t1: {modality: MR}, t2: {modality: MR}}
  masks: {disc: {on: t1, labels: {disc: 1}}}
steps:
  segment:
    kind: train
    rounds: 3
    validate_every: 3
    local: {steps: 25, batch: 4, learning_rate: 0.01}
    task:
      kind: segmentation
      dimensions: 2
      images: [t1, t2]
      mask: disc
      recipe: {spacing_mm: [1.0, 1.0], size: [16, 16]}
      network: {kind: residual_unet, channels: [4, 8]}
  scores: {kind: predict, network: segment, cases: {split: [validation]}}
  accuracy:
    kind: describe
    of: ["scores.dice_*"]
    cases: {split: [validation]}
"""

SHAPES = {"north": (16, 16), "east": (16, 20), "south": (18, 16)}
SLICES = {"slices": 3, "flat": 0}


def _case(rng: np.random.Generator, shape: tuple[int, int]) -> tuple[np.ndarray, ...]:
    """Return two channels and a mask: only the second tells the disc from its twin."""
    y, x = np.mgrid[: shape[0], : shape[1]]
    disc, other = ((y - c[0]) ** 2 + (x - c[1]) ** 2 < 12 for c in rng.uniform(4, 11, (2, 2)))
    first = 1.0 * (disc | other) + rng.normal(0, 0.05, shape)
    second = 1.0 * disc + rng.normal(0, 0.05, shape)
    return first, second, disc.astype(np.uint8)


def _write(path: Path, voxels: np.ndarray) -> None:
    kind = np.uint8 if voxels.dtype == np.uint8 else np.float32
    SimpleITK.WriteImage(SimpleITK.GetImageFromArray(voxels.astype(kind)), str(path))


def _write_site(folder: Path, shape: tuple[int, int], n_slices: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    folder.mkdir(parents=True)
    rows = ["case_id,patient_id,split,t1,t2,disc"]
    for i in range(10):
        drawn = [_case(rng, shape) for _ in range(max(n_slices, 1))]
        volumes = [np.stack(v) if n_slices else v[0] for v in zip(*drawn, strict=True)]
        names = [f"{i}_{name}.nii.gz" for name in ("t1", "t2", "disc")]
        for name, volume in zip(names, volumes, strict=True):
            _write(folder / name, volume)
        split = "validation" if i % 3 == 0 else "train"
        rows.append(",".join([f"c{i}", f"p{i}", split, *names]))
    (folder / "cohort.csv").write_text("\n".join(rows) + "\n")


def _run(folder: Path, n_slices: int) -> Run:
    sites = {}
    for seed, (name, shape) in enumerate(SHAPES.items()):
        _write_site(folder / name, shape, n_slices, seed)
        sites[name] = {"simulate": {"cohort": name, "device": "cpu"}}
    (folder / "study.yaml").write_text(STUDY)
    (folder / "sites.yaml").write_text(yaml.safe_dump({"sites": sites, "deadline_s": 240}))
    return prepare(folder / "study.yaml", folder / "sites.yaml", folder / "runs")


@pytest.mark.parametrize("kind", SLICES)
def test_2d_networks_learn_over_sites_and_write_masks_on_the_images_grid(
    tmp_path: Path, kind: str
) -> None:
    run = _run(tmp_path, SLICES[kind])
    simulate(run, engine="threads", workers=2)
    assert not run.losses(), read_events(run.folder / "journal.jsonl")[-5:]
    answers = json.loads((run.folder / "answers.json").read_text())["answers"]
    found = answers["accuracy"]["development"]["columns"]["scores.dice_disc"]
    assert found["n"] == 12
    assert found["mean"] > 0.7  # t1 alone cannot tell the disc from its twin
    masks = [p for p in (tmp_path / "runs" / ".sites").rglob("*.nii.gz") if "north" in str(p)]
    assert masks
    first = SimpleITK.ReadImage(str(tmp_path / "north" / "0_t1.nii.gz"))
    sizes = {SimpleITK.ReadImage(str(p)).GetSize()[:2] for p in masks}
    assert sizes == {first.GetSize()[:2]}
