"""Numbers as an answer prints them: plain Python, None where there is none."""

import math
from collections.abc import Iterable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from common.analyses.analysis import Json
from common.table import Floats


def plain(value: ArrayLike) -> float | None:
    """Return a number as a float; None for NaN and the infinities."""
    number = float(np.asarray(value, np.float64))
    return number if math.isfinite(number) else None


def floats(values: ArrayLike) -> Floats:
    """Return numbers of a total as float64."""
    return np.asarray(values, np.float64)


def whole(values: ArrayLike) -> NDArray[np.int64]:
    """Return counts of a total as int64."""
    return np.asarray(values, np.int64)


def plain_list(values: Iterable[float]) -> list[Json]:
    """Return numbers as a list for an answer."""
    return [plain(value) for value in values]
