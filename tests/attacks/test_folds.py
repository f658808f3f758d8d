"""Sums over all less those without a fold must not show a patient."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from client import gate
from common.drawing import Drawing, fold_of
from common.errors import Refused
from tests.attacks.coordinator import Coordinator, Rows, coordinator, rows_of

SIZES = {"north": 20, "east": 14, "south": 18, "west": 16}  # dealt to 20: the last is of north
NESTED = """
  scaled: {kind: standardise, of: [age, marker]}
nested: {folds: FOLDS, steps: [scaled]}
"""
OWN = """
  scaled: {kind: standardise, of: [age, marker], folds: FOLDS}
"""
BOTH = """
  scaled: {kind: standardise, of: [age, marker], folds: FOLDS}
nested: {folds: FOLDS, steps: [scaled]}
"""
Attack = Callable[[Coordinator, int], list[float]]


def _patients() -> dict[str, Rows]:
    return {name: rows_of(n, seed) for seed, (name, n) in enumerate(SIZES.items())}


def _nested(attacker: Coordinator, fold: int) -> list[float]:
    """Return the sums of age and marker over the patients of a fold."""
    whole, without = attacker.total("scaled"), attacker.total(f"scaled@{fold}")
    apart = [whole[name] - without[name] for name in ("sum", "sum_high")]
    return [float(value) for value in np.sum(apart, axis=0).ravel()]


def _own(attacker: Coordinator, fold: int) -> list[float]:
    total = attacker.total("scaled")
    return [float(value) for value in (total["sum"] + total["sum_high"])[fold]]


@pytest.mark.parametrize(("steps", "attack"), [(NESTED, _nested), (OWN, _own)])
def test_a_fold_of_one_patient_would_be_its_row(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, steps: str, attack: Attack
) -> None:
    attacker = coordinator(tmp_path, steps.replace("FOLDS", "20"), _patients())
    with pytest.raises(Refused, match="selection_too_small: east"):
        attack(attacker, 19)
    monkeypatch.setattr(gate, "check_folds", lambda *_, **__: None)
    found = attack(coordinator(tmp_path / "open", steps.replace("FOLDS", "20"), _patients()), 19)
    rows = [[row["age"], row["marker"]] for row in _patients()["north"]]
    assert any(row == pytest.approx(found, abs=1e-9) for row in rows)


def test_five_folds_go_on_at_sites_of_ten(tmp_path: Path) -> None:
    patients = {name: rows_of(10, seed) for seed, name in enumerate(SIZES)}
    attacker = coordinator(tmp_path, BOTH.replace("FOLDS", "5"), patients, smallest_cohort=10)
    for group in (tuple(sorted(SIZES)), ("east", "north", "south")):
        attacker = coordinator(tmp_path / str(len(group)), BOTH.replace("FOLDS", "5"), patients)
        assert attacker.total("scaled", group=group)["valid"].min() >= 2 * len(group)
        assert attacker.total("scaled@0", group=group)["n"] == 8 * len(group)


def test_missing_values_make_folds_smaller(tmp_path: Path) -> None:
    patients = {name: rows_of(10, seed) for seed, name in enumerate(SIZES)}
    patients["east"][3] |= {"marker": ""}
    attacker = coordinator(tmp_path, OWN.replace("FOLDS", "5"), patients)
    with pytest.raises(Refused, match="selection_too_small: east"):
        attacker.total("scaled")


def test_in_clear_every_fold_holds_a_whole_cell(tmp_path: Path) -> None:
    attacker = coordinator(tmp_path, OWN.replace("FOLDS", "5"), _patients(), per_site=True)
    with pytest.raises(Refused, match="selection_too_small: north"):
        attacker.total("scaled", group=("north",), part="north")


def _drawing(n: int, n_training: int = 0) -> Drawing:
    return Drawing(
        "key", {f"p{i}": (0, "train" if i < n_training else "", f"p{i}") for i in range(n)}
    )


@pytest.mark.parametrize("outer", [False, True])
@pytest.mark.parametrize(("n", "n_training", "k"), [(10, 0, 5), (23, 11, 5), (40, 20, 10)])
def test_small_sites_deal_their_folds(n: int, n_training: int, k: int, *, outer: bool) -> None:
    drawing = _drawing(n, n_training)
    folds = [drawing.fold(f"p{i}", k, outer=outer) for i in range(n)]
    for some in (folds, folds[:n_training] if n_training else folds):
        assert min(np.bincount(some, minlength=k)) >= 2


def test_large_sites_draw_as_the_hash_says() -> None:
    drawing = _drawing(200)
    assert all(drawing.fold(f"p{i}", 5) == fold_of("key", f"p{i}", 5) for i in range(200))


def test_pooled_sites_have_the_folds_that_they_have_apart() -> None:
    apart = [_drawing(12), _drawing(90)]
    both = {
        f"{part}-{name}": (part, split, name)
        for part, one in enumerate(apart)
        for name, (_, split, _) in one.patients.items()
    }
    for patient, (part, _, name) in both.items():
        assert Drawing("key", both).fold(patient, 5) == apart[part].fold(name, 5)
