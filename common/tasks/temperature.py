"""The temperature that makes a classifier's probabilities fit what came true.

Guo et al., On calibration of modern neural networks, ICML 2017. Sites send the sum of
-log p(true class) at fixed temperatures; one round, and the sum over sites is what all
cases together would have given.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

TEMPERATURES: Floats = 2.0 ** np.linspace(-3.0, 5.0, 65)


def best_temperature(losses: Sequence[float] | Floats) -> float:
    """Return the temperature with the smallest sum, between the grid by a parabola.

    Args:
        losses: summed over all cases, at each of `TEMPERATURES`.
    """
    y = np.asarray(losses, np.float64)
    i = int(y.argmin())
    x = np.log2(TEMPERATURES)
    if not 0 < i < len(y) - 1:
        return float(TEMPERATURES[i])
    bend = y[i - 1] - 2 * y[i] + y[i + 1]
    shift = 0.5 * (y[i - 1] - y[i + 1]) / bend if bend > 0 else 0.0
    return float(2.0 ** (x[i] + shift * (x[1] - x[0])))
