"""What noise costs: Renyi differential privacy, which adds up over everything let out.

Mironov, Renyi differential privacy, CSF 2017, and for the way back to (epsilon, delta)
Balle et al., Hypothesis testing interpretations and Renyi differential privacy, AISTATS
2020, theorem 21. Without torch, which a statistic must not need. The orders are those of
Opacus, with which trainings are accounted.
"""

import numpy as np

from common.table import Floats

ORDERS: Floats = np.array([1 + x / 10 for x in range(1, 100)] + list(range(12, 64)), np.float64)
_TOO_LITTLE, _PLENTY = 1e-3, 1e6


def gaussian(noise: float, times: int = 1) -> Floats:
    """Return the privacy loss, at each order, of sums that all patients were in.

    Args:
        noise: standard deviation, in units of what one patient can change.
        times: so often with fresh noise.
    """
    return times * ORDERS / (2 * noise**2)


def epsilon_of(loss: Floats, delta: float) -> float:
    """Return epsilon at `delta` of a loss at each order."""
    beyond = (np.log(delta) + np.log(ORDERS)) / (ORDERS - 1)
    return max(0.0, float(np.min(loss - beyond + np.log1p(-1 / ORDERS))))


def noise_for(epsilon: float, delta: float) -> float:
    """Return the least noise, in units of what a patient can change, that costs `epsilon`."""
    low, high = _TOO_LITTLE, _PLENTY
    while high > low * (1 + 1e-9):
        middle = (low * high) ** 0.5
        if epsilon_of(gaussian(middle), delta) > epsilon:
            low = middle
        else:
            high = middle
    return high
