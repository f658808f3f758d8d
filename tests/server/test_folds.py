"""Folds of a training: K networks in one set of rounds, and who is predicted by which."""

import json
from typing import Any

import numpy as np
import pytest

from client.bench import Bench
from client.cohorts import load_cohort
from client.learners.learner import learner_of
from client.products import with_products
from client.site import load_site
from client.tables import read_kept
from common.drawing import fold_of
from common.table import Table
from server.journal import Journal, read_events
from server.run import Run
from server.simulate import simulate
from tests.training import training_run

STUDY = """
name: folds
cohort:
  images: {t1: {modality: MR}}
  masks: {organ: {on: t1, labels: {front: 1, back: 2}, required: false}}
steps:
  segment:
    kind: train
    rounds: 1
    folds: 2
    local: {steps: 1, batch: 4, learning_rate: 0.004}
    baselines: [local, pooled]
    task:
      kind: segmentation
      images: [t1]
      mask: organ
      recipe: {spacing_mm: [4.0, 4.0, 4.0], size: [6, 8, 6]}
      network: {kind: residual_unet, channels: [2, 4]}
  scores: {kind: predict, network: segment, cases: {split: [train, test]}}
  votes: {kind: predict, network: segment, combine: vote, cases: {split: [train, test]}}
"""


PHANTOMS = """
seed: 7
split: {train: 6, validation: 1, test: 1}
anatomy: {kind: organ_lesion, sequences: [t1], size_mm: [24, 32, 24]}
sites:
  north: {n_patients: 16, scanner: {spacing_mm: [2, 2, 2]}}
  east: {n_patients: 16, scanner: {spacing_mm: [2, 2, 2]}}
  south: {n_patients: 16, scanner: {spacing_mm: [2, 2, 2]}}
  abroad: {n_patients: 10, scanner: {spacing_mm: [2, 2, 2]}, role: external}
"""
SITES = ("east", "north", "south")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    shared = tmp_path_factory.getbasetemp() / "small_cohorts"
    made = training_run(tmp_path_factory.mktemp("folds"), STUDY, PHANTOMS, shared)
    simulate(made, engine="threads")
    return made


def columns(run: Run, site: str, step: str) -> dict[str, Any]:
    folder = load_site(run.folder / "sites" / site / "site.yaml").workspace
    (path,) = folder.glob(f"runs/{run.id}/columns/{step}.npz")
    cases, kept = read_kept(path)
    return {"case_id": np.array(cases), **kept}


def weights(run: Run, part: str) -> dict[str, Any]:
    answer = Journal(run.folder).answer(f"segment/{part}")
    assert answer is not None
    return dict(answer.arrays)


def test_a_patient_has_one_fold_for_tables_and_networks() -> None:
    patients = np.array([f"p{i}" for i in range(40)])
    table = Table({}, {}, patients, fold_key="study")
    assert table.folds(5).tolist() == [fold_of("study", p, 5) for p in patients]


def test_folds_are_parts_and_share_their_rounds(run: Run) -> None:
    answers = json.loads((run.folder / "answers.json").read_text())["answers"]
    bases = ["", *(f"local.{s}." for s in SITES), "pooled."]
    assert set(answers["segment"]) == {f"{base}fold.{k}" for base in bases for k in (1, 2)}
    rounds = [e for e in read_events(run.folder / "journal.jsonl") if e["event"] == "round"]
    # The round, the validation of the common networks, and one for both predict steps.
    assert [len(e["problems"]) for e in rounds] == [10, 4, 2]


def test_every_fold_learns_from_all_but_its_own_patients(run: Run) -> None:
    answers = json.loads((run.folder / "answers.json").read_text())["answers"]["segment"]
    n = {part: values["history"][0]["n"] for part, values in answers.items()}
    whole = 0
    for site in SITES:
        home = load_site(run.folder / "sites" / site / "site.yaml")
        cases = [c for c in load_cohort(home, run.study).cases if c.split == "train"]
        whole += len(cases)
        for k in (1, 2):
            left = [c for c in cases if fold_of("folds", c.patient_id, 2) == k - 1]
            assert n[f"local.{site}.fold.{k}"] == len(cases) - len(left)
    # The pooled site draws the same folds, though it has to tell patients of two sites apart.
    assert n["fold.1"] == n["pooled.fold.1"]
    assert n["fold.1"] + n["fold.2"] == whole


def test_training_cases_are_predicted_out_of_fold_and_others_by_all(run: Run) -> None:
    for name in ("north", "abroad"):
        site = load_site(run.folder / "sites" / name / "site.yaml")
        found = columns(run, name, "scores")
        bench = Bench(
            run.study.bound["segment"].task, run.study.holdings, site.room("cache", "arrays"), "cpu"
        )
        learner, both = learner_of(bench), [weights(run, f"fold.{k}") for k in (1, 2)]
        cases = {c.case_id: c for c in load_cohort(site, run.study).cases}
        for case_id, dice in zip(found["case_id"], found["dice_front"], strict=True):
            (case,) = with_products(site, run.study, run.id, [cases[str(case_id)]])
            fold = fold_of("folds", case.patient_id, 2)
            unseen = name == "north" and case.split == "train"
            networks = both[fold : fold + 1] if unseen else both
            assert learner.predict(networks, case).scores["dice_front"] == pytest.approx(dice)


def test_a_majority_is_not_the_mean_and_is_only_asked_of_several(run: Run) -> None:
    mean, vote = (columns(run, "north", step) for step in ("scores", "votes"))
    site = load_site(run.folder / "sites" / "north" / "site.yaml")
    split = {c.case_id: c.split for c in load_cohort(site, run.study).cases}
    tested = np.array([split[str(c)] == "test" for c in mean["case_id"]])
    assert (mean["dice_front"][~tested] == vote["dice_front"][~tested]).all()
    assert (mean["dice_front"][tested] != vote["dice_front"][tested]).any()


def test_a_training_with_folds_goes_on_with_the_same_bits(run: Run) -> None:
    journal, expected = run.folder / "journal.jsonl", (run.folder / "answers.json").read_text()
    arrays = {part: weights(run, part) for part in ("fold.1", "fold.2")}
    lines = journal.read_bytes().splitlines(keepends=True)
    (second,) = [i for i, x in enumerate(lines) if b'"round": 2, "problems"' in x]
    journal.write_bytes(b"".join(lines[: second + 1]))
    simulate(run, engine="threads")
    assert (run.folder / "answers.json").read_text() == expected
    for part, before in arrays.items():
        assert all((weights(run, part)[k] == v).all() for k, v in before.items())


def test_one_fold_is_refused_in_words() -> None:
    from common.tasks.train import Train

    with pytest.raises(ValueError, match="expected 0, or 2 and more, got 1"):
        Train.model_validate({"task": {}, "rounds": 1, "folds": 1})
