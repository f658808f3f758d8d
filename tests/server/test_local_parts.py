"""What stays at a site: normalisation layers, a fine-tuned network; and telling classes."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from client.site import load_site
from client.tables import read_kept
from common.networks.parts import names_of
from server.journal import Journal, read_events
from server.run import Run
from server.simulate import simulate
from tests.server.test_folds import PHANTOMS
from tests.training import training_run

STUDY = """
name: local
cohort:
  images: {t1: {modality: MR}}
  masks: {lesion: {on: t1, labels: {lesion: 1}, required: false}}
  columns:
    age: {type: integer, range: [18, 100]}
    marker: {type: number, range: [0, 1000]}
    malignant: {type: category, levels: ["no", "yes"]}
steps:
  network:
    kind: train
    rounds: 2
    validate_every: 1
    averaging: 0.5
    stay_local: [norm]
    fine_tune: {steps: 1, learning_rate: 0.01, only: [head]}
    local: {steps: 1, batch: 4, learning_rate: 0.01}
    baselines: [local, pooled]
    task:
      kind: classification
      outcome: malignant
      images: [t1]
      mask: {name: lesion}
      clinical: [age, marker]
      recipe: {spacing_mm: [4.0, 4.0, 4.0], size: [4, 4, 4]}
      network: {channels: [2, 4]}
      loss: {weights: balanced}
  told: {kind: predict, network: network, cases: {split: [test]}}
"""


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    shared = tmp_path_factory.getbasetemp() / "small_cohorts"
    made = training_run(tmp_path_factory.mktemp("local"), STUDY, PHANTOMS, shared)
    simulate(made, engine="threads")
    return made


def answer(run: Run, part: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((run.folder / "answers.json").read_text())
    return dict(found["answers"]["network"][part])


def weights(run: Run) -> dict[str, Any]:
    found = Journal(run.folder).answer("network/development")
    assert found is not None
    return dict(found.arrays)


def workspace(run: Run, site: str) -> Path:
    return load_site(run.folder / "sites" / site / "site.yaml").workspace / "runs" / run.id


def columns(run: Run, site: str) -> dict[str, Any]:
    cases, kept = read_kept(workspace(run, site) / "columns" / "told.npz")
    return {"case_id": np.array(cases), **kept}


def test_what_stays_local_is_in_no_total_and_no_answer(run: Run) -> None:
    task = run.study.bound["network"].task
    network = task.network_for(run.study.holdings)
    norms = names_of(network, ("norm",))
    assert norms
    assert not norms & set(weights(run))
    asked = [e for e in read_events(run.folder / "journal.jsonl") if e["event"] == "round"]
    fields = {f for e in asked for f in e["fields"].get("network/development", ())}
    assert "update.head.weight" in fields
    assert not {f"update.{name}" for name in norms} & fields


def test_every_site_has_its_own_part_and_its_own_tuned_network(run: Run) -> None:
    parts = []
    for site in ("north", "east", "south"):
        folder = workspace(run, site) / "networks"
        (last,) = folder.glob("network.local-00001.safetensors")
        parts.append(last.read_bytes())
        assert (folder / "network.tuned.safetensors").exists()
        found = columns(run, site)
        assert not np.isnan(found["probability_yes"]).any()
        assert (found["probability_yes"] != found["tuned.probability_yes"]).all()
        total = found["tuned.probability_yes"] + found["tuned.probability_no"]
        np.testing.assert_allclose(total, 1)
    assert len(set(parts)) == 3


def test_a_site_that_never_trained_has_no_whole_network(run: Run) -> None:
    found = columns(run, "abroad")
    assert np.isnan(found["probability_yes"]).all()
    assert np.isnan(found["tuned.probability_yes"]).all()
    assert not np.isnan(found["pooled.probability_yes"]).any()


def test_the_answer_tells_validation_before_and_after_tuning(run: Run) -> None:
    found = answer(run, "development")
    assert found["fine_tuned"]["n"] == found["history"][0]["n"]
    assert found["fine_tuned"]["score"]["log_likelihood"] < 0
    assert found["score"] != found["fine_tuned"]["score"]
    assert found["calibration"]["n"] == found["history"][0]["n_validated"]


def test_columns_are_scaled_by_all_sites_together_and_alone_by_each(run: Run) -> None:
    common, pooled = weights(run), Journal(run.folder).answer("network/pooled")
    assert pooled is not None
    for name in ("clinical.centre", "clinical.scale", "class_weights"):
        np.testing.assert_array_equal(common[name], pooled.arrays[name])
    assert 40 < common["clinical.centre"][0] < 80
    assert answer(run, "local.north")["history"][-1]["loss"] > 0


def test_a_run_cut_before_tuning_goes_on_with_the_same_bits(run: Run) -> None:
    journal, expected = run.folder / "journal.jsonl", (run.folder / "answers.json").read_text()
    before = weights(run)
    lines = journal.read_bytes().splitlines(keepends=True)
    last = [i for i, x in enumerate(lines) if b'"event": "round"' in x and b"network/dev" in x][-1]
    journal.write_bytes(b"".join(lines[: last + 1]))
    simulate(run, engine="threads")
    assert (run.folder / "answers.json").read_text() == expected
    assert all((weights(run)[name] == value).all() for name, value in before.items())
