"""Memory for large arrays: lent again and again, or given back piece by piece.

A fresh array of 40 MB costs up to ten times as much as filling an old one: the operating
system has to find and clear its pages. A site's round makes several of them, all of the same
sizes as in the round before. What is lent goes back by itself when nothing looks at it any
more. The coordinator rather holds no more than it needs: its memory is `fresh` and, where one
array is made of another, `used_up` on the way.
"""

import mmap
import threading
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Any

import numpy as np
from numpy.typing import NDArray

_SMALL = 1 << 20  # bytes; below this it is not worth while
_MOST_KEPT = 4
_MOST_ROOM = 1.25  # times what is lent; a small array in a large one's place drives that out
_HUGE_PAGE, _PIECE = 1 << 21, 1 << 18  # bytes


def fresh(n_bytes: int) -> NDArray[np.uint8]:
    """Return zeros in memory that goes back when nothing looks at it any more.

    It has huge pages where there are any: they are found and cleared faster.
    """
    if n_bytes < _SMALL:
        return np.zeros(n_bytes, np.uint8)
    memory = mmap.mmap(-1, n_bytes, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    with suppress(OSError):  # a kernel without them
        memory.madvise(mmap.MADV_HUGEPAGE)
    return np.frombuffer(memory, np.uint8)


def blank(like: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    """Return zeros of the same names, types and shapes, side by side in fresh memory."""
    block, at = fresh(sum(array.nbytes for array in like.values())), 0
    made: dict[str, NDArray[Any]] = {}
    for name, array in like.items():
        made[name] = block[at : at + array.nbytes].view(array.dtype).reshape(array.shape)
        at += array.nbytes
    return made


def side_by_side(arrays: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    """Return a copy of arrays that a message can carry as it lies there."""
    made = blank(arrays)
    for name, array in arrays.items():
        made[name][...] = array
    return made


def used_up(arrays: Mapping[str, NDArray[Any]]) -> Iterator[tuple[str, slice]]:
    """Yield the places of flat arrays a piece at a time, each to be read for the last time.

    Arrays that lie side by side in `fresh` memory give it back as they are read; from then on
    they are zeros. Any other array stays as it is.
    """
    kept_from = end = 0
    for name, array in sorted(arrays.items(), key=lambda item: address(item[1])):
        begin, step = address(array), _PIECE // array.itemsize
        if begin != end:  # what lies between is not ours to give
            kept_from = begin
        for start in range(0, array.size, step):
            yield name, slice(start, start + step)
            end = begin + min(start + step, array.size) * array.itemsize
            kept_from = _give_back(array, kept_from, end)


def address(array: NDArray[Any]) -> int:
    """Return where in memory an array begins."""
    return int(array.__array_interface__["data"][0])


def _give_back(array: NDArray[Any], start: int, end: int) -> int:
    """Give back the huge pages between two addresses of an array's memory; return what is kept."""
    whole = array.base
    memory = getattr(whole.base, "obj", None) if isinstance(whole, np.ndarray) else None
    if whole is None or not isinstance(memory, mmap.mmap):
        return start
    start = max(start, address(whole))  # arrays side by side may lie in two memories
    first, last = -(-start // _HUGE_PAGE) * _HUGE_PAGE, end // _HUGE_PAGE * _HUGE_PAGE
    if last <= first:
        return start
    memory.madvise(mmap.MADV_DONTNEED, first - address(whole), last - first)
    return last


class Buffers:
    """Lends buffers; safe to use from several threads."""

    def __init__(self) -> None:
        self._kept: list[bytearray] = []
        self._lock = threading.Lock()

    def lend(self, n_bytes: int) -> NDArray[np.uint8]:
        """Return an array of so many bytes with any content, which is the caller's alone.

        It stays so for as long as the array, or a view of it, or of what was made from
        it without copying, exists.
        """
        if n_bytes < _SMALL:
            return np.empty(n_bytes, np.uint8)
        with self._lock:
            memory = self._free(n_bytes) or self._new(n_bytes)
            return np.frombuffer(memory, np.uint8, n_bytes)

    def words(self, n_words: int) -> NDArray[np.uint64]:
        """Return an array of 64-bit words, lent in the same way."""
        return self.lend(8 * n_words).view(np.uint64)

    def _free(self, n_bytes: int) -> bytearray | None:
        fitting = (m for m in self._kept if n_bytes <= len(m) <= _MOST_ROOM * n_bytes)
        return next((memory for memory in fitting if _is_free(memory)), None)

    def _new(self, n_bytes: int) -> bytearray:
        memory = bytearray(n_bytes + 1)
        memory.pop()  # leaves the room in which `_is_free` tries
        self._kept.append(memory)
        if len(self._kept) > _MOST_KEPT:
            del self._kept[0]
        return memory


def _is_free(memory: bytearray) -> bool:
    """Tell whether nothing looks at a buffer: only then does Python let it grow."""
    try:
        memory.append(0)
    except BufferError:
        return False
    memory.pop()
    return True


BUFFERS = Buffers()
"""Those of this process."""
