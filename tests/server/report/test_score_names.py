"""What figures call scores that steps made."""

from pathlib import Path

from server.report.headings import heading_of
from server.report.record import read_record
from server.report.score_names import score_names
from server.report.view import view_of
from tests.server.report.folders import SITES, write_run

STUDY = """
name: organs
cohort:
  images:
    t1: {modality: MR}
  columns:
    age: {type: integer, range: [18, 100], title: Age}
    days: {type: integer, range: [0, 999]}
    risk: {type: number, range: [0, 1], title: Risk score}
    spread: {type: category, levels: ["no", "yes"], title: Spread, required: true}
by_site: {sites: [north, south], left_out: [clinical], apart: [clinical]}
steps:
  clinical: {kind: logistic, outcome: spread, models: {clinical: [age]}, folds: 5}
  models: {kind: logistic, outcome: spread, models: {small: [age], large: [age, risk]}, folds: 5}
  network:
    kind: train
    rounds: 2
    folds: 5
    select: last
    task: {kind: classification, outcome: spread, images: [t1], recipe: {size: [8, 8, 8]}}
  image: {kind: predict, network: network, over: [all]}
  within:
    kind: roc
    outcome: spread
    scores: [risk, clinical.probability_oof, image.probability_yes, models.small_probability]
  hazard: {kind: cox, time: days, event: spread, models: {m: [age]}}
  survival: {kind: concordance, time: days, event: spread, scores: [hazard.linear_predictor, risk]}
  abroad:
    kind: roc
    outcome: spread
    scores: [clinical.probability, image.probability_yes, image.probability_no]
    over: [external]
  matrix: {kind: roc, outcome: spread, scores: ["clinical@at_*.probability"], over: [each]}
  apart: {kind: roc, outcome: spread, scores: [clinical.left_out.probability]}
  twice: {kind: roc, outcome: spread, scores: [clinical.probability, clinical.probability_oof]}
  alike:
    kind: roc
    outcome: spread
    scores: [image.probability_yes, image.probability_no, image.logit]
"""


def names_of(folder: Path, step: str) -> list[str]:
    view = view_of(read_record(write_run(folder, [], study=STUDY, sites=SITES)), step)
    return list(score_names(view, view.step.scores).values())


def test_scores_are_called_by_their_model(tmp_path: Path) -> None:
    assert names_of(tmp_path, "within") == [
        "Risk score",
        "clinical (cross-validated)",
        "image (cross-validated)",
        "small",
    ]


def test_scores_that_are_judged_by_survival_have_names_too(tmp_path: Path) -> None:
    assert names_of(tmp_path, "survival") == ["hazard, linear predictor", "Risk score"]


def test_abroad_nobody_was_in_training(tmp_path: Path) -> None:
    names = ["clinical", "image", "image, probability no"]
    assert names_of(tmp_path, "abroad") == names


def test_a_fit_of_one_site_and_one_without_it_say_so(tmp_path: Path) -> None:
    fits = names_of(tmp_path, "matrix")
    assert fits == [f"clinical, fitted at {site}" for site in ("north", "south")]
    assert names_of(tmp_path, "apart") == ["clinical (own site left out)"]


def test_no_two_scores_share_a_name(tmp_path: Path) -> None:
    for step in ("twice", "alike"):
        found = names_of(tmp_path, step)
        assert len(set(found)) == len(found)
    assert names_of(tmp_path, "twice") == ["clinical", "clinical (cross-validated)"]


def test_a_network_that_tells_classes_is_not_said_to_predict_masks(tmp_path: Path) -> None:
    record = read_record(write_run(tmp_path, [], study=STUDY, sites=SITES))
    assert heading_of(view_of(record, "image")).text == "Classes told at the sites: image"
