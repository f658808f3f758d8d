"""Temperatures from the sites' sums: of one network, and across the folds of several."""

from collections.abc import Mapping

import numpy as np

from common.analyses.analysis import Answer, Json
from common.sums import Array, Sums
from common.tasks.temperature import best_temperature

Weights = Mapping[str, Array]

BUFFER = "temperature"


def calibration_of(total: Sums) -> dict[str, Json]:
    """Return what an answer says of a calibration; nothing without a case."""
    n, losses = int(total["n"]), np.asarray(total["losses"], np.float64)
    if not n:
        return {}
    fitted = {"n": n, "losses": losses.tolist(), BUFFER: best_temperature(losses)}
    return {"calibration": fitted}


def calibrated(answers: Mapping[int, Answer]) -> dict[int, Weights]:
    """Return the weights of each fold's network (0: the only one) with its temperature.

    With folds a network's temperature comes from the patients that the *other* networks
    left out, so that none of its own left-out patients has a part in what it says of them.
    """
    losses = {fold: _losses(answer) for fold, answer in answers.items()}
    found: dict[int, Weights] = {}
    for fold, answer in answers.items():
        others = [x for k, x in losses.items() if k != fold or len(answers) == 1]
        known = [x for x in others if x is not None]
        found[fold] = answer.arrays
        if known and BUFFER in answer.arrays:
            value = np.array([best_temperature(np.sum(known, axis=0))], np.float32)
            found[fold] = {**answer.arrays, BUFFER: value}
    return found


def _losses(answer: Answer) -> list[float] | None:
    fitted = answer.values.get("calibration")
    if not isinstance(fitted, dict) or not isinstance(fitted["losses"], list):
        return None
    return [float(str(x)) for x in fitted["losses"]]
