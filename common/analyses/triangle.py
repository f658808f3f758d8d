"""Symmetric matrices on the wire: the upper triangle, row by row."""

import numpy as np

from common.sums import Array
from common.table import Floats


def triangle_size(p: int) -> int:
    """Return the number of elements of a p x p matrix on and above its diagonal."""
    return p * (p + 1) // 2


def fold(matrix: Floats) -> Floats:
    """Return the upper triangle of a symmetric matrix, shape (p (p + 1) / 2,)."""
    return np.concatenate([row[i:] for i, row in enumerate(matrix)] or [np.zeros(0)])


def unfold(triangle: Array, p: int) -> Floats:
    """Return the symmetric matrix of an upper triangle, shape (p, p)."""
    matrix, upper = np.empty((p, p)), ~np.tri(p, k=-1, dtype=np.bool_)
    matrix[upper] = triangle
    matrix.T[upper] = triangle
    return matrix
