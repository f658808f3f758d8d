"""Undecimated wavelet bands at the region's voxels, as PyWavelets' `swtn` gives them.

One level of the stationary transform (Nason and Silverman, 1995), computed only on the
region's box and the filter's support, with PyWavelets' order of additions, precision
and wrap-around at the image's border.
"""

import functools
from collections.abc import Iterator, Sequence

import numpy as np
import pywt

from client.radiomics.compiled import Array, Place, kernel
from client.radiomics.gaussian import Box

_LETTERS = ("L", "H")


def wavelet_bands(
    image: Array, box: Box, where: Array, name: str, axes: Sequence[int]
) -> Iterator[tuple[str, Array]]:
    """Give name and values of every band at the region's voxels.

    Args:
        image: (Z, Y, X), along each transformed axis at least as long as the filter.
        box: lower and upper index (exclusive) of the region along each axis.
        where: (3, N), the voxels' indices inside the box.
        name: the wavelet, as PyWavelets calls it.
        axes: the axes to transform, in the order of the letters of a band's name.

    Yields:
        For instance "LLH" and N values in single precision if the image is, else double.
    """
    kind = np.float32 if image.dtype == np.float32 else np.float64
    filters = dict(zip(_LETTERS, _taps(name, kind), strict=True))
    support = _with_support(image, box, len(filters["L"]), axes)
    parts = [("", np.ascontiguousarray(support, kind))]
    for axis in axes[:-1]:
        before = _places(box, image.shape, axis, len(filters["L"]))
        parts = [
            (letters + letter, _convolve(part, axis, taps, before))
            for letters, part in parts
            for letter, taps in filters.items()
        ]
    last = axes[-1]
    places = _places(box, image.shape, last, len(filters["L"]), at=where[last])
    for letters, part in parts:
        for letter, taps in filters.items():
            yield letters + letter, _convolve_where(part, last, taps, (where, places))


def filter_length(name: str) -> int:
    """Return how many voxels a wavelet's filter spans."""
    return int(pywt.Wavelet(name).dec_len)


@functools.cache
def _taps(name: str, kind: type) -> tuple[Array, Array]:
    # PyWavelets rounds its single-precision filters in a way of its own: ask it for them.
    n = 2 * filter_length(name)
    pulse: Array = np.zeros(n, kind)
    pulse[n // 2] = 1
    low, high = pywt.swt(pulse, name, level=1)[0]
    first = n // 2 - n // 4
    return tuple(np.ascontiguousarray(b[first : first + n // 2]) for b in (low, high))  # type: ignore[return-value]


def _places(
    box: Box, shape: Sequence[int], axis: int, n_taps: int, at: Array | None = None
) -> Array:
    """Return, for outputs along an axis, how far the window reaches over the image's end.

    0 where it does not; the image counts as one voxel longer where its length is odd.
    """
    low, high = box[axis]
    n = shape[axis] + shape[axis] % 2
    outputs = np.arange(low, high) if at is None else low + at
    return np.maximum(outputs + n_taps // 2 - n + 1, 0)


def _with_support(image: Array, box: Box, n_taps: int, axes: Sequence[int]) -> Array:
    """Return the box with what the filter reads around it; odd axes are one voxel longer."""
    before, behind = n_taps - 1 - n_taps // 2, n_taps // 2
    indices = []
    for axis, (low, high) in enumerate(box):
        n = image.shape[axis]
        index = np.arange(low, high)
        if axis in axes:
            index = np.arange(low - before, high + behind) % (n + n % 2)
        indices.append(np.where(index == n, 0, index))
    if all(np.all(np.diff(i) == 1) for i in indices):
        return image[tuple(slice(i[0], i[-1] + 1) for i in indices)]
    return image[np.ix_(*indices)]


def _tap_order(n_taps: int, over: int) -> list[int]:
    # Where the window reaches over the end, PyWavelets adds those terms first, backwards.
    return [*range(over - 1, -1, -1), *range(over, n_taps)]


def _convolve(part: Array, axis: int, taps: Array, over: Array) -> Array:
    """Filter along an axis; the result is shorter there by the filter's length less one."""
    shape = list(part.shape)
    n_taps = len(taps)
    shape[axis] -= n_taps - 1
    out = np.empty(shape, part.dtype)
    inner = int(np.prod(shape[axis + 1 :]))
    lines = part.reshape(-1, part.shape[axis] * inner)
    _convolve_lines(lines, out.reshape(-1, shape[axis] * inner), taps, inner)
    for k in np.flatnonzero(over):
        total = np.zeros_like(np.take(out, k, axis))
        for tap in _tap_order(n_taps, int(over[k])):
            total += taps[tap] * np.take(part, k + n_taps - 1 - tap, axis)
        out[(slice(None),) * axis + (k,)] = total
    return out


def _convolve_where(part: Array, axis: int, taps: Array, voxels: tuple[Array, Array]) -> Array:
    """Filter along an axis at the region's voxels only."""
    where, over = voxels
    n_taps = len(taps)
    strides = [s // part.itemsize for s in part.strides]
    start = sum(w * s for w, s in zip(where, strides, strict=True)) + (n_taps - 1) * strides[axis]
    out = np.empty(where.shape[1], part.dtype)
    _convolve_at(part.ravel(), start.astype(np.uintp), np.uintp(strides[axis]), taps, out)
    for n_over in np.unique(over[over > 0]):
        here = np.flatnonzero(over == n_over)
        total = np.zeros(len(here), part.dtype)
        for tap in _tap_order(n_taps, int(n_over)):
            total += taps[tap] * part.ravel()[start[here] - tap * strides[axis]]
        out[here] = total
    return out


@kernel
def _convolve_lines(part: Array, out: Array, taps: Array, inner: int) -> None:
    n_taps = taps.shape[0]
    n = out.shape[1]
    for line in range(part.shape[0]):
        target = out[line]
        for i in range(n):
            target[i] = 0
        for tap in range(n_taps):
            factor = taps[tap]
            source = part[line, (n_taps - 1 - tap) * inner :]
            for i in range(n):
                target[i] += factor * source[i]


@kernel
def _convolve_at(part: Array, start: Array, stride: Place, taps: Array, out: Array) -> None:
    n_taps = taps.shape[0]
    for i in range(out.shape[0]):
        at = start[i]
        total = taps[0] * part[at]
        for tap in range(1, n_taps):
            at -= stride
            total += taps[tap] * part[at]
        out[i] = total
