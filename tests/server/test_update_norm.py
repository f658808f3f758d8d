"""A training with a norm bound: every round stays within it, and a site beyond it ends it."""

import json
from pathlib import Path

import pytest

import client.training as at_site
from common.tasks.update_norm import norm_of
from server import training
from server.run import Run
from server.simulate import simulate
from tests.training import STUDY, training_run

BOUND = 0.05
PHANTOMS = """
seed: 7
anatomy: {kind: organ_lesion, sequences: [t1], size_mm: [32, 40, 32]}
sites: {north: {n_patients: 10}, east: {n_patients: 10}, south: {n_patients: 10}}
"""


def _run(folder: Path) -> Run:
    text = STUDY.partition("  scores:")[0].replace("    baselines: [local, ensemble, pooled]\n", "")
    text = text.replace("rounds: 4", f"rounds: 2\n    largest_update_norm: {BOUND}")
    return training_run(folder, text, PHANTOMS)


def _moves(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Note how far each round moves the weights."""
    moved: list[float] = []
    real = training.aggregate

    def noted(how, weights, change, moments):
        moved.append(norm_of(change))
        return real(how, weights, change, moments)

    monkeypatch.setattr(training, "aggregate", noted)
    return moved


def test_no_round_moves_the_weights_farther(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    moved = _moves(monkeypatch)
    run = _run(tmp_path)
    simulate(run, engine="threads")
    assert not run.losses()
    assert len(moved) == 2
    assert all(0.2 * BOUND < norm <= BOUND * (1 + 1e-6) for norm in moved)


def test_sites_that_do_not_clip_end_the_training(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(at_site, "share_within", lambda *_: 1.0)
    run = _run(tmp_path)
    simulate(run, engine="threads")
    failed = json.loads((run.folder / "answers.json").read_text())["failed"]["segment"]
    assert "a site sent more than the study allows" in failed["development"]
