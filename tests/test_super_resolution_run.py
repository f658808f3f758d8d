"""A whole run of super-resolution over phantom sites, from study file to report."""

import json
from pathlib import Path

import numpy as np
import pytest
import yaml

from client.imageio import read_image
from client.ingest.phantoms import write
from common.phantoms.spec import load_spec
from server.report.write import write_report
from server.run import Run
from server.simulate import prepare, simulate

STUDY = """
name: sharper
cohort:
  images: {mr: {modality: MR}}
steps:
  finer:
    kind: train
    rounds: 2
    validate_every: 2
    local: {steps: 2, batch: 2}
    task:
      kind: super_resolution
      image: mr
      patch: [8, 8, 8]
      network: {channels: 2, blocks: 1}
      discriminator: {channels: [2], kept: site}
      also: [bspline]
  sr: {kind: predict, network: finer, cases: {split: [test]}}
  quality: {kind: describe, of: ["sr.*"], over: [development, external, each]}
"""
SITES = {"north": 12, "east": 11, "south": 10, "abroad": 10}


def prepared(folder: Path) -> Run:
    phantoms = {
        "seed": 5,
        "anatomy": {"kind": "liver_lesion", "size_mm": [10, 14, 14]},
        "sites": {name: {"n_patients": n, "bilateral": 0} for name, n in SITES.items()},
    }
    phantoms["sites"]["abroad"]["role"] = "external"
    write(load_spec(yaml.safe_dump(phantoms), "phantoms.yaml"), folder / "cohorts")
    sites = {
        name: {"simulate": {"cohort": f"cohorts/{name}", "policy": {"per_site": True}}}
        for name in SITES
    }
    sites["abroad"]["role"] = "external"
    (folder / "study.yaml").write_text(STUDY)
    (folder / "sites.yaml").write_text(yaml.safe_dump({"sites": sites, "deadline_s": 300}))
    return prepare(folder / "study.yaml", folder / "sites.yaml", folder / "runs")


@pytest.fixture(scope="module")
def runs(tmp_path_factory) -> list[Run]:
    """Return two runs of the same study, by one worker and by three."""
    found = []
    for workers in (1, 3):
        run = prepared(tmp_path_factory.mktemp(f"workers_{workers}"))
        simulate(run, engine="threads", workers=workers)
        found.append(run)
    return found


def answers(run: Run) -> dict:
    return json.loads((run.folder / "answers.json").read_text())["answers"]


def test_the_number_of_workers_changes_no_bit(runs) -> None:
    one, three = map(answers, runs)
    assert one == three
    networks = [(run.folder / "checkpoints/finer@development.safetensors") for run in runs]
    assert networks[0].read_bytes() == networks[1].read_bytes()


def test_both_interpolations_stand_beside_the_network_where_numbers_may_be_shown(runs) -> None:
    quality = answers(runs[0])["quality"]
    shown = {name for name, part in quality.items() if part["columns"]["sr.psnr_db"]["n"]}
    # Two or three test patients a site are too few to be shown alone.
    assert shown == {"development", "external", "site.abroad"}
    for part in map(quality.__getitem__, shown):
        columns = part["columns"]
        linear, spline = (columns[f"sr.psnr_db_{w}"]["mean"] for w in ("linear", "bspline"))
        assert 10 < linear < spline
        gain = columns["sr.psnr_db"]["mean"] - spline
        assert columns["sr.gain_db"]["mean"] == pytest.approx(gain, abs=1e-9)


def test_images_pictures_and_discriminators_stay_in_the_sites_workspace(runs) -> None:
    root = runs[0].folder.parent
    kept = {path.name for path in root.rglob("finer.development-*.safetensors")}
    assert kept == {"finer.development-00000.safetensors", "finer.development-00001.safetensors"}
    fine = sorted(root.rglob("products/sr/fine/*.nii.gz"))
    assert len(fine) == len(list(root.rglob("products/sr/bspline/*.nii.gz"))) > 10
    assert len(fine) == len(list(root.rglob("pictures/sr/panel/*.png")))
    assert np.isfinite(read_image(fine[0]).voxels).all()
    for path in runs[0].folder.glob("checkpoints/*.safetensors"):
        assert b"discriminator" not in path.read_bytes()


def test_the_report_shows_the_network_beside_interpolation_by_site(runs) -> None:
    write_report(runs[0])
    page = (runs[0].folder / "report.html").read_text(encoding="utf-8")
    for text in ("Likeness to the original", "over B-spline", "SSIM", "Development", "abroad"):
        assert text in page
    assert "Dice" not in page
    assert (runs[0].folder / "figures/quality-sr-likeness.svg").exists()
