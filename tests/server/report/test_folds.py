"""A training with folds and what came after its rounds, as the page tells them."""

from pathlib import Path
from typing import Any

import pytest

from server.report.kinds.train import _name
from tests.server.report.folders import STUDY, answers, journal, page_of, training, write_run

FOLDS = STUDY.replace(
    "    baselines: [local, pooled]\n",
    "    folds: 2\n    stay_local: [norm]\n    fine_tune: {epochs: 1}\n"
    "    baselines: [local, pooled]\n",
)


def found() -> dict[str, dict[str, Any]]:
    fitted = {"calibration": {"n": 31, "temperature": 1.234, "losses": []}}
    tuned = {"fine_tuned": {"n": 60, "loss": 0.3, "score": {"front": 0.912, "back": 0.9}}}
    parts = {f"fold.{k}": {**training(4), **fitted, **tuned} for k in (1, 2)}
    parts |= {f"pooled.fold.{k}": training(4) for k in (1, 2)}
    parts |= {f"local.east.fold.{k}": training(4, scored=False) for k in (1, 2)}
    return {**answers(), "segment": parts}


def test_the_page_says_what_folds_local_parts_and_tuning_do(tmp_path: Path) -> None:
    page = page_of(write_run(tmp_path, journal(found()), study=FOLDS))
    assert "2 such networks are trained side by side" in page
    assert "keeps its own normalisation layers: never sent" in page
    assert "every other case by all 2: their mean" in page
    for name in (
        "Federated, without fold 1",
        "Pooled, without fold 2",
        "east alone, without fold 1",
    ):
        assert name in page
    assert "After the rounds" in page
    assert "1.23" in page
    assert "front 0.912" in page


def test_a_training_without_folds_says_nothing_of_them(tmp_path: Path) -> None:
    page = page_of(write_run(tmp_path, journal(answers())))
    assert "side by side" not in page
    assert "After the rounds" not in page


@pytest.mark.parametrize(
    ("part", "name"),
    [
        ("development", "Federated"),
        ("fold.3", "Federated, without fold 3"),
        ("pooled", "Pooled"),
        ("pooled.fold.1", "Pooled, without fold 1"),
        ("local.east", "east alone"),
        ("local.east.fold.12", "east alone, without fold 12"),
    ],
)
def test_every_part_has_a_name_people_understand(part: str, name: str) -> None:
    assert _name(part) == name
