"""Regressions and products: too many numbers, or one site's in clear."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from client import disclosure, gate
from common.analyses import logistic, nested
from common.analyses.analysis import Ask
from common.analyses.cox import Cox
from common.analyses.design import terms_of
from common.analyses.logistic import Logistic
from common.analyses.newton import unpack
from common.analyses.runner import run
from common.analyses.triangle import unfold
from common.cohort import Column
from common.errors import Refused
from common.table import Table
from tests.attacks.coordinator import COLUMNS, VICTIM, Coordinator, cohorts, coordinator

N_ROOMS = 88
_LEVELS = ", ".join(f"r{i}" for i in range(N_ROOMS))
ROOMS = COLUMNS.replace("steps:", f"    room: {{type: category, levels: [{_LEVELS}]}}\nsteps:")
SATURATED = """
  model: {kind: logistic, outcome: sex, models: {one: [marker, room]}}
"""
CORRELATED = "  pairs: {kind: correlate, of: [marker, flag], method: pearson, over: [each]}\n"
SURVIVAL = "  curve: {kind: kaplan_meier, time: days, event: flag, over: [each]}\n"
COX = "  hazard: {kind: cox, time: days, event: sex, models: {one: [marker]}}\n"


def _rooms() -> dict[str, list[dict[str, object]]]:
    """Give every patient of all sites a room of its own; the victim has the last one."""
    patients = cohorts()
    everyone = [row for site in ("north", "south", "west", "east") for row in patients[site]]
    for i, row in enumerate(everyone):
        row["room"] = f"r{i}"
    return patients


def _saturated(attacker: Coordinator) -> float:
    """Ask for X'WX where W = 1/4: a dummy of one patient times the marker."""
    terms = terms_of(("marker", "room"), attacker.run.study.contract())
    q = 1 + len(terms)
    point = {"problems": np.zeros(1, np.int64), "beta": np.zeros((1, q)), "step": np.zeros((1, q))}
    scale = {"centre": np.zeros(q - 1), "spread": np.ones(q - 1)}
    total = attacker.total("model", Ask("climb", {}, {**point, **scale}))
    curvature = unpack(np.asarray(total["curvature"]), q)[0]
    return float(curvature[1, -1] / curvature[-1, -1])


def test_without_the_rule_a_saturated_model_shows_the_patient(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gate, "check_saturation", lambda *_, **__: None)
    attacker = coordinator(tmp_path, SATURATED, _rooms(), columns=ROOMS)
    assert _saturated(attacker) == pytest.approx(VICTIM, abs=1e-9)


def test_a_saturated_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="model_saturated: east"):
        _saturated(coordinator(tmp_path, SATURATED, _rooms(), columns=ROOMS))


def test_a_model_of_few_coefficients_is_answered_unless_the_policy_is_stricter(
    tmp_path: Path,
) -> None:
    steps = "  model: {kind: logistic, outcome: sex, models: {one: [marker, age, code]}}\n"
    assert coordinator(tmp_path, steps).total("model")["n"] == 88
    strict = coordinator(tmp_path / "strict", steps, most_coefficients_per_patient=0.05)
    with pytest.raises(Refused, match="model_saturated: east"):
        strict.total("model")


def _gram_in_clear(attacker: Coordinator) -> float:
    """Of a column that one patient has, the product with another is that patient's value."""
    arrays = {"centre": np.zeros((1, 2)), "scale": np.ones(2)}
    total = attacker.total("pairs", Ask("products", {}, arrays), group=("east",))
    return float(unfold(total["products"], 2)[0, 1])


def _day_in_clear(attacker: Coordinator) -> float:
    total = attacker.total("curve", Ask("days", {"alone": False}), group=("east",))
    return float(np.flatnonzero(total["leaving"][0, 0, 0])[0])


Attack = Callable[[Coordinator], float]
CLEAR = [(CORRELATED, _gram_in_clear, VICTIM), (SURVIVAL, _day_in_clear, 211.0)]


@pytest.mark.parametrize(("steps", "attack", "value"), CLEAR)
def test_without_the_rule_products_and_days_in_clear_show_the_patient(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, steps: str, attack: Attack, value: float
) -> None:
    monkeypatch.setattr(disclosure, "_check_alone", lambda *_: None)
    attacker = coordinator(tmp_path, steps, per_site=True)
    assert attack(attacker) == pytest.approx(value, abs=1e-9)


@pytest.mark.parametrize(("steps", "attack"), [case[:2] for case in CLEAR])
def test_products_and_days_never_leave_in_clear(tmp_path: Path, steps: str, attack: Attack) -> None:
    with pytest.raises(Refused, match="only_together: east"):
        attack(coordinator(tmp_path, steps, per_site=True))


def test_a_cox_model_sends_no_risk_sets_but_as_many_numbers_for_any_cohort(tmp_path: Path) -> None:
    attacker = coordinator(tmp_path, COX)
    point = {"problems": np.zeros(1, np.int64), "beta": np.zeros((1, 1)), "step": np.zeros((1, 1))}
    scale = {"centre": np.zeros(1), "spread": np.ones(1)}
    total = attacker.total("hazard", Ask("climb", {}, {**point, **scale}))
    assert sum(np.size(a) for a in total.values()) == 7  # n twice, and five derivatives


# Of 30 patients, all at one of four sites, which takes itself for one of four alike.
SEVERAL = tuple(f"x{i}" for i in range(12))
FITS = [
    Logistic(outcome="event", models={"m": SEVERAL}),
    Cox(time="days", event="event", models={"m": SEVERAL}),
]


def _at_one_of_four() -> list[Table]:
    rng = np.random.default_rng(5)
    columns = {x: rng.normal(size=30) for x in SEVERAL}
    columns |= {"event": np.arange(30.0) % 2, "days": rng.permutation(30) + 1.0}
    contract = {x: Column(type="number", range=(-9, 9)) for x in SEVERAL}
    contract["event"] = Column(type="integer", range=(0, 1))
    contract["days"] = Column(type="integer", range=(0, 99))
    here = Table(columns, contract, np.array([f"p{i}" for i in range(30)]))
    return [here, *([here.rows(np.zeros(30, np.bool_))] * 3)]


@pytest.mark.parametrize("step", FITS, ids=lambda step: step.kind)
def test_a_model_too_large_for_all_patients_ends_at_the_first_total(
    monkeypatch: pytest.MonkeyPatch, step: Logistic | Cox
) -> None:
    """Without the rule 13 or 12 coefficients of 30 patients are fitted."""
    said = run(step, _at_one_of_four()).values["models"]["m"]["note"]  # type: ignore[index,call-overload]
    assert "more than a third of 30 patients" in said
    monkeypatch.setattr(logistic, "saturated", lambda *_: None)
    monkeypatch.setattr(nested, "saturated", lambda *_: None)
    assert "coefficients" in run(step, _at_one_of_four()).arrays
