"""A small training over phantom sites, for tests."""

from pathlib import Path

import yaml

from client.ingest.phantoms import write
from common.phantoms.spec import load_spec
from server.run import Run
from server.simulate import prepare

STUDY = """
name: tiny
cohort:
  images: {t1: {modality: MR}}
  masks: {organ: {on: t1, labels: {front: 1, back: 2}, required: false}}
steps:
  segment:
    kind: train
    rounds: 4
    validate_every: 2
    averaging: 0.5
    local: {epochs: 1, batch: 4, learning_rate: 0.004}
    baselines: [local, ensemble, pooled]
    task:
      kind: segmentation
      images: [t1]
      mask: organ
      recipe: {spacing_mm: [2.0, 2.0, 2.0], size: [16, 24, 16]}
      network: {kind: residual_unet, channels: [4, 8]}
  scores: {kind: predict, network: segment}
  accuracy:
    kind: describe
    of: ["scores.dice_*"]
    over: [development, external]
"""

PHANTOMS = """
seed: 7
anatomy: {kind: organ_lesion, sequences: [t1], size_mm: [32, 40, 32]}
sites:
  north: {n_patients: 12}
  east: {n_patients: 11, scanner: {scale: 200, stored_as: uint8}}
  south: {n_patients: 10, scanner: {scale: 300}}
  west: {n_patients: 10}
  abroad: {n_patients: 10, role: external}
"""


def training_run(
    folder: Path, study: str = STUDY, phantoms: str = PHANTOMS, cohorts: Path | None = None
) -> Run:
    """Return a prepared run of a small training over phantom sites.

    Several runs may share their cohorts: they are written once.
    """
    folder.mkdir(parents=True, exist_ok=True)
    spec = load_spec(phantoms, "phantoms.yaml")
    cohorts = cohorts or folder / "cohorts"
    write(spec, cohorts)
    policy = {"per_site": True, "share_network": True}
    sites: dict[str, dict[str, object]] = {}
    for name, site in spec.sites.items():
        where = {"cohort": str(cohorts / name), "policy": policy, "device": "cpu"}
        role = {"role": "external"} if site.role == "external" else {}
        sites[name] = {"simulate": where, **role}
    (folder / "study.yaml").write_text(study)
    (folder / "sites.yaml").write_text(yaml.safe_dump({"sites": sites, "deadline_s": 900}))
    return prepare(folder / "study.yaml", folder / "sites.yaml", folder / "runs")
