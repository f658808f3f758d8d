"""Fixed point: sums as integers, so that adding is exact and masks are possible.

A real x becomes round(x * 2**F), two's complement, modulo 2**128 (F = 64) or, for
counts (F = 0) and a network's updates (F = 32), modulo 2**64. Integers add without
rounding: the decoded total has the same bits whatever the order of the sites. Two short
counts share a word: none is negative and no total reaches 2**32, so none runs over.

One problem's sums travel as one vector of 64-bit words:

    [ counts and weights | low words of the reals | high words of the reals ]

Fields lie in the order of their names, whatever order the schema was put together in.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from common.buffers import BUFFERS
from common.errors import Reason, Refused
from common.sums import Array, Field, Schema, Sums, magnitude

Words = NDArray[np.uint64]

_FRACTION_BITS = {"count": 0, "weight": 32, "real": 64}
_PIECE = 1 << 16
_MAX_SITES = 1024  # a total of this many bounded values still fits


@dataclass(frozen=True, slots=True)
class Layout:
    """Where each field of a schema lies in the vector of words.

    Attributes:
        narrow: number of words of counts and weights.
        wide: number of 128-bit values.
    """

    narrow: int
    wide: int

    @property
    def n_words(self) -> int:
        """Length of the vector."""
        return self.narrow + 2 * self.wide


def layout(schema: Schema) -> Layout:
    """Return the layout of a schema's vector.

    Raises:
        ValueError: a bound is too large for its encoding.
    """
    for name, field in schema.items():
        limit = largest_bound(field)
        if not 0 < field.bound <= limit:
            raise ValueError(f"{name}: expected a bound in (0, {limit:g}], got {field.bound:g}")
    narrow = sum(_n_narrow(f) for f in schema.values() if f.kind != "real")
    return Layout(narrow, sum(f.size for f in schema.values() if f.kind == "real"))


def _n_narrow(field: Field) -> int:
    return (field.size + 1) // 2 if field.short else field.size


def largest_bound(field: Field) -> float:
    """Return the largest magnitude of one site that leaves room for 1024 sites."""
    bits = 127 if field.kind == "real" else 63
    return float(2.0 ** (bits - _FRACTION_BITS[field.kind])) / _MAX_SITES


def encode(sums: Sums, schema: Schema) -> Words:
    """Return conforming sums as one vector of words.

    Raises:
        Refused: OUT_OF_BOUND where a value does not fit (never wraps in silence).
    """
    shape = layout(schema)
    words = BUFFERS.words(shape.n_words)
    for name, field, narrow, low, high in _places(schema, shape):
        value = np.asarray(sums[name]).reshape(-1)
        if not magnitude(value) <= field.bound:
            raise Refused(Reason.OUT_OF_BOUND, f"{name}: outside +-{field.bound:g}")
        if field.kind == "real":
            words[low], words[high] = _split(value.astype(np.float64))
        elif field.short:
            _pair(value, words[narrow])
        elif field.kind == "count":
            words[narrow] = value.astype(np.int64).view(np.uint64)
        else:
            _scale(value, words[narrow], _FRACTION_BITS["weight"])
    return words


def decode(words: Words, schema: Schema) -> dict[str, Array]:
    """Return a total's vector as arrays: int64 for counts, float64 for the rest.

    The vector is used up: arrays of updates are views into it, as a network may be large.
    """
    shape = layout(schema)
    if words.shape != (shape.n_words,) or words.dtype != np.uint64:
        raise ValueError(f"expected {shape.n_words} words, got {words.dtype} {words.shape}")
    total: dict[str, Array] = {}
    for name, field, narrow, low, high in _places(schema, shape):
        if field.kind == "real":
            value: Array = _join(words[low], words[high])
        elif field.short:
            value = words[narrow].view(np.uint32)[: field.size].astype(np.int64)
        elif field.kind == "count":
            value = words[narrow].view(np.int64)
        else:
            value = _as_floats(words[narrow], _FRACTION_BITS["weight"])
        total[name] = value.reshape(field.shape)
    return total


def beyond(total: Sums, schema: Schema, n_sites: int) -> str:
    """Return a field that is larger than so many sites can make it, or "".

    Masks that do not cancel leave numbers of all sizes behind.
    """
    for name, field in schema.items():
        most = field.bound * n_sites * (1 + 1e-9) + 1e-6  # values were rounded
        if not magnitude(total[name]) <= most:
            return name
    return ""


def add_into(total: Words, words: Words, schema: Schema) -> None:
    """Add `words` to `total` in place, with carries between low and high words."""
    add_piece(total, 0, words, layout(schema))


def add_piece(total: Words, start: int, piece: Words, shape: Layout) -> None:
    """Add the words of a vector from `start` on to `total` in place, with their carries."""
    end = start + piece.size
    total[start:end] += piece
    first, last = max(start, shape.narrow), min(end, shape.narrow + shape.wide)
    if first < last:  # low words: what runs over goes to the high ones
        carry = total[first:last] < piece[first - start : last - start]
        total[first + shape.wide : last + shape.wide] += carry


def subtract_into(total: Words, words: Words, schema: Schema) -> None:
    """Subtract `words` from `total` in place, with borrows."""
    narrow = layout(schema).narrow
    total[:narrow] -= words[:narrow]
    subtract_wide(total[narrow:], words[narrow:])


def add_wide(total: Words, words: Words) -> None:
    """Add 128-bit numbers in place: all low words, then all high words."""
    middle = total.size // 2
    low = total[:middle]
    low += words[:middle]
    total[middle:] += words[middle:]
    total[middle:] += low < words[:middle]


def subtract_wide(total: Words, words: Words) -> None:
    """Subtract 128-bit numbers in place."""
    middle = total.size // 2
    low = total[:middle]
    borrow = low < words[:middle]
    low -= words[:middle]
    total[middle:] -= words[middle:]
    total[middle:] -= borrow


def _places(schema: Schema, shape: Layout) -> Iterator[tuple[str, Field, slice, slice, slice]]:
    narrow, wide = 0, shape.narrow
    for name, field in sorted(schema.items()):
        size, n_narrow = field.size, _n_narrow(field)
        low = slice(wide, wide + size)
        high = slice(wide + shape.wide, wide + shape.wide + size)
        yield name, field, slice(narrow, narrow + n_narrow), low, high
        if field.kind == "real":
            wide += size
        else:
            narrow += n_narrow


def _pair(value: Array, words: Words) -> None:
    """Write two counts a word; one that is negative would run over into its neighbour."""
    if value.size and value.min() < 0:
        raise Refused(Reason.OUT_OF_BOUND, "a short count below 0")
    halves = words.view(np.uint32)
    np.copyto(halves[: value.size], value, casting="unsafe")
    halves[value.size :] = 0


def _as_floats(words: Words, bits: int) -> NDArray[np.float64]:
    """Turn fixed-point words into doubles where they lie, a piece at a time."""
    for i in range(0, words.size, _PIECE):
        piece = words[i : i + _PIECE]
        piece.view(np.float64)[:] = piece.view(np.int64) * 2.0**-bits
    return words.view(np.float64)


def _scale(value: Array, words: Words, bits: int) -> None:
    """Write round(value * 2**bits) into `words`, a piece at a time."""
    scaled = np.empty(min(_PIECE, value.size))
    for i in range(0, value.size, _PIECE):
        piece = scaled[: min(_PIECE, value.size - i)]
        np.multiply(value[i : i + _PIECE], 2.0**bits, out=piece)
        np.rint(piece, out=piece)
        np.copyto(words[i : i + _PIECE].view(np.int64), piece, casting="unsafe")


def _split(x: NDArray[np.float64]) -> tuple[Words, Words]:
    """Return low and high words of round(x * 2**64), exactly.

    Of the magnitude, the whole part, the fraction and its product with 2**64 are exact in
    binary floating point; only what lies below 2**-64 is rounded (half to even).
    """
    size = np.abs(x)
    whole = np.floor(size)
    fraction = np.rint((size - whole) * 2.0**64)
    carry = fraction >= 2.0**64
    low = np.where(carry, 0.0, fraction).astype(np.uint64)
    high = (whole + carry).astype(np.uint64)
    negative = x < 0
    high = np.where(negative, ~high + (low == 0).astype(np.uint64), high)
    return np.where(negative, ~low + np.uint64(1), low), high


def _join(low: Words, high: Words) -> NDArray[np.float64]:
    """Return the nearest double of a two's complement 128-bit number times 2**-64.

    The leading 64 bits of the magnitude become a double, what is below them a sticky
    last bit: so there is one rounding, and it is the right one.
    """
    negative = high.view(np.int64) < 0
    lo = np.where(negative, ~low + np.uint64(1), low)
    hi = np.where(negative, ~high + (lo == 0).astype(np.uint64), high)
    bits = _bit_length(hi)
    up = ((64 - bits) % 64).astype(np.uint64)  # a shift by 64 is undefined: see `where`
    down = np.minimum(bits, 63).astype(np.uint64)
    top = np.where(bits > 0, (hi << up) | (lo >> down), lo)
    sticky = (bits > 0) & ((lo << up) != 0)
    value = np.ldexp((top | sticky).astype(np.float64), bits - 64)
    signed: NDArray[np.float64] = np.where(negative, -value, value)
    return signed


def _bit_length(words: Words) -> NDArray[np.int64]:
    _, exponent = np.frexp(words.astype(np.float64))
    bits = np.maximum(exponent.astype(np.int64), 0)
    rounded_up = (bits > 0) & ((words >> np.maximum(bits - 1, 0).astype(np.uint64)) == 0)
    lengths: NDArray[np.int64] = bits - rounded_up
    return lengths
