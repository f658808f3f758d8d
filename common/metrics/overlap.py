"""How much two masks have in common, and how their sizes differ."""

from math import prod

import numpy as np
from numpy.typing import NDArray

Mask = NDArray[np.bool_]
Spacing = tuple[float, float, float]


def dice(prediction: Mask, truth: Mask) -> float:
    """Return 2 |A and B| / (|A| + |B|); 1.0 if both masks are empty.

    Raises:
        ValueError: the shapes differ.
    """
    check_shapes(prediction, truth)
    size = int(np.count_nonzero(prediction)) + int(np.count_nonzero(truth))
    return 2 * int(np.count_nonzero(prediction & truth)) / size if size else 1.0


def volume_error_ml(prediction: Mask, truth: Mask, spacing_mm: Spacing) -> float:
    """Return how much larger the predicted volume is, in ml; negative if smaller.

    Raises:
        ValueError: the shapes differ.
    """
    check_shapes(prediction, truth)
    more = int(np.count_nonzero(prediction)) - int(np.count_nonzero(truth))
    return more * prod(spacing_mm) / 1000


def check_shapes(prediction: Mask, truth: Mask) -> None:
    """Raise ValueError if two masks cannot lie on one grid."""
    if prediction.shape != truth.shape:
        raise ValueError(f"expected masks of one shape, got {prediction.shape} and {truth.shape}")
