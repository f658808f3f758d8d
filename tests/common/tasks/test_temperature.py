import numpy as np
import pytest
from scipy.optimize import minimize_scalar

from common.analyses.analysis import Answer
from common.seeds import numpy_rng
from common.tasks.temperature import TEMPERATURES, best_temperature
from server.calibration import calibrated, calibration_of


def losses(logits: np.ndarray, labels: np.ndarray, temperatures: np.ndarray) -> np.ndarray:
    z = logits[None] / np.asarray(temperatures)[:, None, None]
    logs = z - np.log(np.exp(z).sum(-1, keepdims=True))
    return -logs[:, np.arange(len(labels)), labels].sum(1)


def overconfident(n: int, factor: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return logits that are too large by a factor, and classes drawn from the true ones."""
    rng = numpy_rng("logits", seed)
    true = rng.normal(0, 1.5, (n, 2))
    chance = np.exp(true[:, 1]) / np.exp(true).sum(1)
    return true * factor, (rng.random(n) < chance).astype(int)


def test_the_temperature_is_the_minimum_a_search_finds() -> None:
    logits, labels = overconfident(4000, 3.0, 1)
    found = best_temperature(losses(logits, labels, TEMPERATURES))
    search = minimize_scalar(
        lambda t: losses(logits, labels, [t])[0], bounds=(0.2, 20), method="bounded"
    )
    assert found == pytest.approx(search.x, rel=0.005)
    assert found == pytest.approx(3.0, rel=0.15)


def test_sums_of_sites_give_the_temperature_of_all_cases() -> None:
    logits, labels = overconfident(300, 2.0, 2)
    parts = [losses(logits[i::3], labels[i::3], TEMPERATURES) for i in range(3)]
    whole = best_temperature(losses(logits, labels, TEMPERATURES))
    assert best_temperature(np.sum(parts, axis=0)) == pytest.approx(whole, rel=1e-12)


def test_where_the_loss_falls_to_the_end_the_last_temperature_is_taken() -> None:
    assert best_temperature(np.arange(len(TEMPERATURES), 0, -1.0)) == TEMPERATURES[-1]
    assert best_temperature(np.arange(len(TEMPERATURES))) == TEMPERATURES[0]


def test_a_folds_temperature_comes_from_the_patients_the_others_left_out() -> None:
    parts = [overconfident(500, factor, 3) for factor in (1.0, 2.0, 4.0)]
    answers = {}
    for fold, (logits, labels) in enumerate(parts, start=1):
        total = {"n": np.array(500), "losses": losses(logits, labels, TEMPERATURES)}
        buffers = {"temperature": np.ones(1, np.float32), "head": np.zeros(2)}
        answers[fold] = Answer(calibration_of(total), buffers)
    found = calibrated(answers)
    for fold in answers:
        others = [losses(*parts[k - 1], TEMPERATURES) for k in answers if k != fold]
        wanted = best_temperature(np.sum(others, axis=0))
        assert found[fold]["temperature"][0] == pytest.approx(wanted, rel=1e-6)
        assert found[fold]["head"] is answers[fold].arrays["head"]
    alone = calibrated({0: answers[3]})[0]["temperature"][0]
    assert alone == pytest.approx(best_temperature(losses(*parts[2], TEMPERATURES)), rel=1e-6)


def test_without_a_case_to_calibrate_on_the_temperature_stays_one() -> None:
    found = calibration_of({"n": np.array(0), "losses": np.zeros(len(TEMPERATURES))})
    assert found == {}
    arrays = {"temperature": np.ones(1, np.float32)}
    assert calibrated({0: Answer(found, arrays)})[0] is arrays
