"""How like the original an image is: PSNR and SSIM, of two or three dimensions."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.floating[Any] | np.integer[Any]]

MOST_DB = 120.0  # shown for images that are the same

_SIGMA, _RADIUS = 1.5, 5  # of the Gaussian window: 11 voxels wide
_K1, _K2 = 0.01, 0.03


def psnr_db(image: Image, original: Image, data_range: float) -> float:
    """Return 10 log10(data_range**2 / mean squared difference), at most `MOST_DB`.

    Args:
        image: of any shape.
        original: of the same shape.
        data_range: between the lowest and the highest value that can be.

    Raises:
        ValueError: the shapes differ, or the range is not above 0.
    """
    a, b = _checked(image, original, data_range)
    error = float(np.mean((a - b) ** 2))
    least = data_range**2 / 10 ** (MOST_DB / 10)
    return float(10 * np.log10(data_range**2 / max(error, least)))


def ssim(image: Image, original: Image, data_range: float) -> float:
    """Return the structural similarity, mean over the image without its rim of 5 voxels.

    Wang et al., IEEE Trans Image Process 13:600 (2004): a Gaussian window of standard
    deviation 1.5 and 11 voxels, K1 = 0.01, K2 = 0.03. An axis that is too short for a rim
    keeps all its voxels.

    Args:
        image: in two or three dimensions.
        original: of the same shape.
        data_range: between the lowest and the highest value that can be.

    Raises:
        ValueError: the shapes differ, or the range is not above 0.
    """
    x, y = _checked(image, original, data_range)
    mean_x, mean_y = _smooth(x), _smooth(y)
    var_x = _smooth(x * x) - mean_x**2
    var_y = _smooth(y * y) - mean_y**2
    both = _smooth(x * y) - mean_x * mean_y
    c1, c2 = (_K1 * data_range) ** 2, (_K2 * data_range) ** 2
    likeness = (2 * mean_x * mean_y + c1) * (2 * both + c2)
    likeness /= (mean_x**2 + mean_y**2 + c1) * (var_x + var_y + c2)
    inner = tuple(slice(_RADIUS, n - _RADIUS) if n > 2 * _RADIUS else slice(n) for n in x.shape)
    return float(likeness[inner].mean())


def _smooth(values: NDArray[np.float64]) -> NDArray[np.float64]:
    from scipy import ndimage

    smooth: NDArray[np.float64] = ndimage.gaussian_filter(
        values, _SIGMA, mode="reflect", radius=_RADIUS
    )
    return smooth


def _checked(
    image: Image, original: Image, data_range: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    if image.shape != original.shape:
        raise ValueError(f"expected images of one shape, got {image.shape} and {original.shape}")
    if not data_range > 0:
        raise ValueError(f"data_range: expected a value above 0, got {data_range:g}")
    return image.astype(np.float64), original.astype(np.float64)
