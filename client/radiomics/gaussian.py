"""Laplacian of Gaussian as ITK's recursive filters compute it, on the region's box only.

Deriche's fourth-order recursive approximation: R. Deriche, INRIA Research Report 1893
(1993), with the coefficients, the edge extension and the order of operations of ITK's
`RecursiveGaussianImageFilter` and `LaplacianRecursiveGaussianImageFilter`: double
accumulators along a line, single precision between passes. Every pass runs only over
the lines that the next one reads.
"""

import functools
import math
from dataclasses import dataclass

import numpy as np

from client.radiomics.compiled import Array, Floats, inner, kernel

_LANES = 16
# The impulse response falls by exp(-1.37) a sigma: after 14 it is below 1e-8 of single
# precision's own rounding for contrasts of a hundred times the response.
_REACH_SIGMAS = 14.0

Box = tuple[tuple[int, int], tuple[int, int], tuple[int, int]]


@dataclass(frozen=True, slots=True)
class _Series:
    """Sums over the recursion's coefficients that normalise it."""

    s: float
    d: float
    e: float


def laplacian_of_gaussian(image: Array, spacing_mm: Array, sigma_mm: float, box: Box) -> Array:
    """Return the scale-normalised Laplacian of Gaussian inside a box.

    Args:
        image: (Z, Y, X), at least 4 voxels an axis.
        spacing_mm: voxel size along z, y, x.
        sigma_mm: width of the Gaussian.
        box: lower and upper index (exclusive) along each axis.

    Returns:
        Single precision, shape of the box.
    """
    outer, inner = crop_for(image.shape, spacing_mm, sigma_mm, box)
    crop = image[outer]
    exact = crop.dtype.itemsize <= 2 or crop.dtype == np.float32
    crop = np.ascontiguousarray(crop, np.float32 if exact else np.float64)
    total = np.zeros([high - low for low, high in inner], np.float32)
    # ITK counts axes x, y, z: the derivative runs first, then the other axes in that order.
    for axis in (2, 1, 0):
        second = second_derivative(sigma_mm / spacing_mm[axis], sigma_mm * sigma_mm)
        part = _along(crop, axis, second, inner[axis])
        for other in (2, 1, 0):
            if other != axis:
                smooth = smoothing(sigma_mm / spacing_mm[other])
                part = _along(part, other, smooth, inner[other])
        _accumulate(total.ravel(), part.ravel(), float(spacing_mm[axis]) ** 2)
    return total


def crop_for(
    shape: tuple[int, ...], spacing_mm: Array, sigma_mm: float, box: Box
) -> tuple[tuple[slice, ...], list[tuple[int, int]]]:
    """Return the part of the image that the filter feels, and where the box lies in it."""
    outer = [
        _reach(low, high, n, sigma_mm / s)
        for (low, high), n, s in zip(box, shape, spacing_mm, strict=True)
    ]
    inner = [(low - o[0], high - o[0]) for (low, high), o in zip(box, outer, strict=True)]
    return tuple(slice(low, high) for low, high in outer), inner


def _reach(low: int, high: int, n: int, sigma: float) -> tuple[int, int]:
    pad = math.ceil(_REACH_SIGMAS * sigma) + 4
    return max(0, low - pad), min(n, high + pad)


@kernel
def _accumulate(total: Array, part: Array, spacing2: float) -> None:
    for i in range(total.shape[0]):
        total[i] = np.float32(np.float64(total[i]) + np.float64(part[i]) / spacing2)


def _along(image: Array, axis: int, coefficients: Floats, span: tuple[int, int]) -> Array:
    """Filter every line along an axis and keep the part of it that is in the span."""
    shape = list(image.shape)
    shape[axis] = span[1] - span[0]
    out = np.empty(shape, np.float32)
    if axis == 2:
        rows = image.reshape(-1, image.shape[2])
        _filter_rows(rows, out.reshape(-1, shape[2]), coefficients, span[0])
    elif axis == 1:
        _filter_columns(image, out, coefficients, span[0])
    else:
        flat = image.reshape(1, image.shape[0], -1)
        _filter_columns(flat, out.reshape(1, shape[0], -1), coefficients, span[0])
    return out


@kernel
def _filter_rows(image: Array, out: Array, coefficients: Floats, first: int) -> None:
    """Filter along the last axis, sixteen rows at a time."""
    n_rows, n = image.shape
    m = out.shape[1]
    data = np.zeros((n, _LANES))
    result = np.zeros((n, _LANES))
    for row in range(0, n_rows, _LANES):
        width = min(_LANES, n_rows - row)
        for lane in range(width):
            line = image[row + lane]
            for i in range(n):
                data[i, lane] = line[i]
        _filter_lanes(data, result, coefficients)
        for lane in range(width):
            target = out[row + lane]
            for i in range(m):
                target[i] = np.float32(result[first + i, lane])


@kernel
def filter_rows_double(image: Floats, out: Floats, coefficients: Floats) -> None:
    """Filter along the last axis without rounding the result to single precision."""
    n_rows, n = image.shape
    data = np.zeros((n, _LANES))
    result = np.zeros((n, _LANES))
    for row in range(0, n_rows, _LANES):
        width = min(_LANES, n_rows - row)
        for lane in range(width):
            for i in range(n):
                data[i, lane] = image[row + lane, i]
        _filter_lanes(data, result, coefficients)
        for lane in range(width):
            for i in range(n):
                out[row + lane, i] = result[i, lane]


@kernel
def _filter_columns(image: Array, out: Array, coefficients: Floats, first: int) -> None:
    """Filter along the middle axis, sixteen neighbouring columns at a time."""
    n_planes, n, n_columns = image.shape
    m = out.shape[1]
    data = np.zeros((n, _LANES))
    result = np.zeros((n, _LANES))
    for plane in range(n_planes):
        for column in range(0, n_columns, _LANES):
            width = min(_LANES, n_columns - column)
            for i in range(n):
                source = image[plane, i, column : column + width]
                for lane in range(width):
                    data[i, lane] = source[lane]
            _filter_lanes(data, result, coefficients)
            for i in range(m):
                target = out[plane, i, column : column + width]
                for lane in range(width):
                    target[lane] = np.float32(result[first + i, lane])


@inner
def _filter_lanes(data: Floats, out: Floats, c: Floats) -> None:
    """Run the recursion forwards and backwards over sixteen lines at once.

    Args:
        data: (n, 16), n at least 4.
        out: (n, 16), overwritten.
        c: N0-N3, D1-D4, M1-M4, then the edges' BN1-BN4 and BM1-BM4.
    """
    n = data.shape[0]
    n0, n1, n2, n3 = c[0], c[1], c[2], c[3]
    d1, d2, d3, d4 = c[4], c[5], c[6], c[7]
    m1, m2, m3, m4 = c[8], c[9], c[10], c[11]
    _start_forwards(data, out, c)
    for i in range(4, n):
        for lane in range(_LANES):
            out[i, lane] = (
                data[i, lane] * n0
                + data[i - 1, lane] * n1
                + data[i - 2, lane] * n2
                + data[i - 3, lane] * n3
            ) - (
                out[i - 1, lane] * d1
                + out[i - 2, lane] * d2
                + out[i - 3, lane] * d3
                + out[i - 4, lane] * d4
            )
    back = np.empty((n, _LANES))
    _start_backwards(data, back, c)
    for i in range(n - 5, -1, -1):
        for lane in range(_LANES):
            back[i, lane] = (
                data[i + 1, lane] * m1
                + data[i + 2, lane] * m2
                + data[i + 3, lane] * m3
                + data[i + 4, lane] * m4
            ) - (
                back[i + 1, lane] * d1
                + back[i + 2, lane] * d2
                + back[i + 3, lane] * d3
                + back[i + 4, lane] * d4
            )
    for i in range(n):
        for lane in range(_LANES):
            out[i, lane] += back[i, lane]


@inner
def _start_forwards(data: Floats, out: Floats, c: Floats) -> None:
    """Write the first four values: before the line, its first value goes on for ever."""
    for lane in range(_LANES):
        edge = data[0, lane]
        for i in range(4):
            new = data[i, lane] * c[0]
            for k in range(1, 4):
                new += (data[i - k, lane] if k <= i else edge) * c[k]
            old = 0.0
            for k in range(1, 5):
                old += out[i - k, lane] * c[3 + k] if k <= i else edge * c[11 + k]
            out[i, lane] = new - old


@inner
def _start_backwards(data: Floats, out: Floats, c: Floats) -> None:
    """Write the last four values: behind the line, its last value goes on for ever."""
    n = data.shape[0]
    for lane in range(_LANES):
        edge = data[n - 1, lane]
        for i in range(4):
            new = 0.0
            for k in range(1, 5):
                new += (data[n - 1 - i + k, lane] if k <= i else edge) * c[7 + k]
            old = 0.0
            for k in range(1, 5):
                old += out[n - 1 - i + k, lane] * c[3 + k] if k <= i else edge * c[15 + k]
            out[n - 1 - i, lane] = new - old


_W1, _L1, _W2, _L2 = 0.6681, -1.3932, 2.0787, -1.3732
_A1, _B1 = (1.3530, -0.6724, -1.3563), (1.8151, -3.4327, 5.2318)
_A2, _B2 = (-0.3531, 0.6724, 0.3446), (0.0902, 0.6100, -2.2355)


@functools.lru_cache(maxsize=128)
def smoothing(sigma: float) -> Floats:
    """Return the recursion's twenty coefficients for a Gaussian of a sigma in voxels."""
    d, bottom = _denominator(sigma)
    n, top = _numerator(sigma, 0)
    return _with_edges(n * (1.0 / (2 * top.s / bottom.s - n[0])), d)


@functools.lru_cache(maxsize=128)
def second_derivative(sigma: float, scale: float) -> Floats:
    """Return the coefficients for its second derivative, times a scale."""
    d, bottom = _denominator(sigma)
    zeroth, top = _numerator(sigma, 0)
    second, top2 = _numerator(sigma, 2)
    beta = -(2 * top2.s - bottom.s * second[0]) / (2 * top.s - bottom.s * zeroth[0])
    n = second + beta * zeroth
    sn, dn, en = top2.s + beta * top.s, top2.d + beta * top.d, top2.e + beta * top.e
    sd, dd, ed = bottom.s, bottom.d, bottom.e
    alpha = en * sd * sd - ed * sn * sd - 2 * dn * dd * sd + 2 * dd * dd * sn
    return _with_edges(n * (scale / (alpha / (sd * sd * sd))), d)


def _with_edges(n: Floats, d: Floats) -> Floats:
    m = np.array([n[1] - d[0] * n[0], n[2] - d[1] * n[0], n[3] - d[2] * n[0], -d[3] * n[0]])
    total = 1.0 + d[0] + d[1] + d[2] + d[3]
    before = d * (n[0] + n[1] + n[2] + n[3]) / total
    behind = d * (m[0] + m[1] + m[2] + m[3]) / total
    return np.concatenate([n, d, m, before, behind])


def _denominator(sigma: float) -> tuple[Floats, _Series]:
    cos1, cos2 = math.cos(_W1 / sigma), math.cos(_W2 / sigma)
    exp1, exp2 = math.exp(_L1 / sigma), math.exp(_L2 / sigma)
    d4 = exp1 * exp1 * exp2 * exp2
    d3 = -2 * cos1 * exp1 * exp2 * exp2 + -2 * cos2 * exp2 * exp1 * exp1
    d2 = 4 * cos2 * cos1 * exp1 * exp2 + (exp1 * exp1 + exp2 * exp2)
    d1 = -2 * (exp2 * cos2 + exp1 * cos1)
    s = 1.0 + d1 + d2 + d3 + d4
    first, second = d1 + 2 * d2 + 3 * d3 + 4 * d4, d1 + 4 * d2 + 9 * d3 + 16 * d4
    return np.array([d1, d2, d3, d4]), _Series(s, first, second)


def _numerator(sigma: float, order: int) -> tuple[Floats, _Series]:
    a1, b1, a2, b2 = _A1[order], _B1[order], _A2[order], _B2[order]
    sin1, sin2 = math.sin(_W1 / sigma), math.sin(_W2 / sigma)
    cos1, cos2 = math.cos(_W1 / sigma), math.cos(_W2 / sigma)
    exp1, exp2 = math.exp(_L1 / sigma), math.exp(_L2 / sigma)
    n0 = a1 + a2
    n1 = exp2 * (b2 * sin2 - (a2 + 2 * a1) * cos2)
    n1 += exp1 * (b1 * sin1 - (a1 + 2 * a2) * cos1)
    n2 = (a1 + a2) * cos2 * cos1
    n2 -= b1 * cos2 * sin1 + b2 * cos1 * sin2
    n2 *= 2 * exp1 * exp2
    n2 += a2 * exp1 * exp1 + a1 * exp2 * exp2
    n3 = exp2 * exp1 * exp1 * (b2 * sin2 - a2 * cos2)
    n3 += exp1 * exp2 * exp2 * (b1 * sin1 - a1 * cos1)
    n = np.array([n0, n1, n2, n3])
    return n, _Series(n0 + n1 + n2 + n3, n1 + 2 * n2 + 3 * n3, n1 + 4 * n2 + 9 * n3)
