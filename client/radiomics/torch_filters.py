"""Laplacian of Gaussian in plain PyTorch, for a graphics processor.

A recursive filter is linear along its line, so each pass is a product with a matrix that
holds the recursion's answer to a single voxel, edges included: double precision inside a
pass and single between passes, as in ITK.
"""

import numpy as np
import torch

from client.radiomics import gaussian
from client.radiomics.compiled import Array, Floats
from client.radiomics.gaussian import Box


def laplacian_of_gaussian(
    image: Array, spacing_mm: Array, sigma_mm: float, box: Box, device: str
) -> Array:
    """Return what `gaussian.laplacian_of_gaussian` returns, to a rounding of single precision."""
    outer, inner = gaussian.crop_for(image.shape, spacing_mm, sigma_mm, box)
    crop = torch.from_numpy(np.ascontiguousarray(image[outer], np.float64)).to(device)
    total = torch.zeros([high - low for low, high in inner], dtype=torch.float32, device=device)
    for axis in (2, 1, 0):
        second = gaussian.second_derivative(sigma_mm / spacing_mm[axis], sigma_mm * sigma_mm)
        part = _along(crop, axis, second, inner[axis])
        for other in (2, 1, 0):
            if other != axis:
                smooth = gaussian.smoothing(sigma_mm / spacing_mm[other])
                part = _along(part.double(), other, smooth, inner[other])
        total = (total.double() + part.double() / float(spacing_mm[axis]) ** 2).float()
    return np.asarray(total.cpu().numpy())


def _along(
    image: torch.Tensor, axis: int, coefficients: Floats, span: tuple[int, int]
) -> torch.Tensor:
    n = image.shape[axis]
    # Row i of the identity is a line with a single voxel; filtering it gives column i.
    columns = np.empty((n, n), np.float64)
    gaussian.filter_rows_double(np.eye(n), columns, coefficients)
    matrix = torch.from_numpy(np.ascontiguousarray(columns.T[span[0] : span[1]])).to(image.device)
    moved = image.movedim(axis, -1)
    return (moved @ matrix.T).float().movedim(-1, axis).contiguous()
