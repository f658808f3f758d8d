"""Memory for large arrays, lent again and again.

A fresh array of 40 MB costs ten times as much as filling an old one: the operating system
has to find and clear its pages. A round makes several of them, all of the same sizes as
in the round before. What is lent goes back by itself when nothing looks at it any more.
"""

import threading

import numpy as np
from numpy.typing import NDArray

_SMALL = 1 << 20  # bytes; below this it is not worth while
_MOST_KEPT = 4


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
        fitting = (m for m in self._kept if n_bytes <= len(m) <= 2 * n_bytes)
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
