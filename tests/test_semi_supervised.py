"""Networks that learn from networks' masks, and from slices of them, over phantom sites."""

import csv
import json

import pytest

from common.errors import ConfigError
from common.study import read_study
from server.simulate import simulate
from tests.training import training_run

PHANTOMS = """
seed: 7
anatomy: {kind: organ_lesion, sequences: [t1], size_mm: [32, 40, 32]}
sites:
  north: {n_patients: 10, unlabelled: 0.4}
  east: {n_patients: 10, unlabelled: 0.4}
  south: {n_patients: 10, unlabelled: 1.0}
  abroad: {n_patients: 10, role: external, reader2: 1.0}
"""
TASK = """
      kind: segmentation
      images: [IMAGE]
      mask: MASK
      recipe: {spacing_mm: [2.0, 2.0, 2.0], size: [16, 24, 16]}
      network: {kind: residual_unet, channels: [4, 8]}
"""
SLICES = """      dimensions: 2
      recipe: {orientation: as_stored, size: [32, 32]}
"""
SOLID = SLICES.replace("dimensions: 2", "dimensions: 3").replace("[32, 32]", "[32, 32, 32]")
STUDY = f"""
name: few_labels
cohort:
  images: {{t1: {{modality: MR}}}}
  masks:
    organ: {{on: t1, labels: {{front: 1, back: 2}}, required: false}}
    organ@reader2: {{on: t1, labels: {{front: 1, back: 2}}, required: false}}
steps:
  model1:
    kind: train
    rounds: 2
    local: {{steps: 4, batch: 4, learning_rate: 0.01}}
    task:{TASK.replace("IMAGE", "t1").replace("MASK", "organ")}
  pseudo: {{kind: pseudo_label, network: model1, voxel_confidence: 0.34, case_confidence: 0}}
  model2:
    kind: train
    rounds: 1
    local: {{steps: 2, batch: 4, learning_rate: 0.01}}
    task:{TASK.replace("IMAGE", "t1").replace("MASK", "pseudo.organ")}      consistency: {{}}
  found: {{kind: predict, network: model2}}
  agreement:
    kind: compare_masks
    pairs: {{model2: [found.organ, organ], reader: [organ@reader2, organ]}}
    scores: [dice, hd95_mm]
  middle:
    kind: measure
    mask: organ
    slice: {{label: front, plane: coronal, slices: 3, images: [t1], masks: [organ]}}
  slices:
    kind: train
    rounds: 1
    local: {{steps: 2, batch: 4}}
    task:
      kind: segmentation
      images: [middle.t1]
      mask: middle.organ
{SLICES}      network: {{kind: residual_unet, channels: [4, 8]}}
  outlined: {{kind: predict, network: slices}}
  area: {{kind: measure, mask: outlined.organ, sizes: [area_cm2]}}
  index:
    kind: derive
    make: {{mm2: {{op: product, of: {{area.area_cm2: 1}}, factor: 100, range: [0, 100000]}}}}
  dice: {{kind: describe, of: ["agreement.*", area.area_cm2, index.mm2], over: [all]}}
"""


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("few_labels")
    made = training_run(folder, STUDY, PHANTOMS)
    simulate(made, engine="threads", workers=2)
    return made


@pytest.fixture(scope="module")
def answers(run):
    return json.loads((run.folder / "answers.json").read_text())["answers"]


def homes(run):
    return run.folder.parent / ".sites"


def test_every_step_answers(run, answers) -> None:
    found = json.loads((run.folder / "answers.json").read_text())
    assert not found.get("failed")
    assert {*answers} == {*read_study(STUDY, "study.yaml").bound}


def test_a_site_without_masks_is_no_loss_and_gets_pseudo_labels(run, answers) -> None:
    pseudo = answers["pseudo"]["development"]
    assert pseudo["true"] > 0
    assert pseudo["accepted"] > 0
    assert sum(pseudo["confidence"]) == pseudo["accepted"] + pseudo["rejected"]
    history = {name: answers[name]["development"]["history"] for name in ("model1", "model2")}
    assert history["model1"][0]["n"] == pseudo["true"]
    # With a mean teacher rejected cases take part too: here there is none.
    assert history["model2"][0]["n"] == pseudo["true"] + pseudo["accepted"] + pseudo["rejected"]
    made = list(homes(run).glob("south-*/runs/*/products/pseudo/organ/*.nii.gz"))
    assert len(made) > 0


def test_validation_is_on_readers_masks(answers) -> None:
    validated = [
        line["n_validated"]
        for name in ("model1", "model2")
        for line in answers[name]["development"]["history"]
        if "score" in line
    ]
    assert len({*validated}) == 1


def test_scores_of_every_case_lie_at_its_site(run) -> None:
    (file,) = homes(run).glob("abroad-*/runs/*/columns/agreement.csv")
    rows = list(csv.DictReader(file.read_text().splitlines()))
    assert len(rows) >= 10
    assert all(0 <= float(row["reader.dice_front"]) <= 1 for row in rows)
    assert {"model2.hd95_mm_back", "case_id"} <= rows[0].keys()


def test_slices_are_learnt_from_and_measured(answers) -> None:
    assert answers["middle"]["all"]["failed"] == 0
    assert answers["outlined"]["all"]["failed"] == 0
    area = answers["area"]["all"]
    assert area["done"] + area["empty"] == answers["outlined"]["all"]["done"]
    columns = answers["dice"]["all"]["columns"]
    assert columns["index.mm2"]["mean"] == pytest.approx(100 * columns["area.area_cm2"]["mean"])


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("images: [middle.t1]", "images: [middle.t2]", 'unknown image "middle.t2"'),
        (
            "mask: pseudo.organ",
            "mask: found.organ",
            'by step "found", which comes later',
        ),
        (
            "pseudo_label, network: model1",
            "pseudo_label, network: model2",
            '"model2", which comes later',
        ),
        (
            SLICES,
            SLICES.replace("dimensions: 2", "dimensions: 3").replace("[32, 32]", "[32, 32, 32]"),
            "a single slice",
        ),
        ("orientation: as_stored, ", "", "as_stored"),
        ("mask: middle.organ", "mask: organ", "expected both of the same slices"),
        ("label: front", "label: top", 'no "top"'),
        ("[found.organ, organ]", "[t1, organ]", '"t1" is an image, expected a mask'),
        ("mask: outlined.organ, sizes", "mask: organ, sizes", "no mask of one slice"),
        ("factor: 100, range", "power: 100, range", "power"),
    ],
)
def test_what_is_wrongly_put_together_is_said_before_anything_runs(old, new, words) -> None:
    text = STUDY.replace(old, new)
    assert text != STUDY
    with pytest.raises(ConfigError, match=words):
        read_study(text, "study.yaml")
