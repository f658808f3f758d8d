"""Words that are read once, as they come: a large reply is added without being held."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from common.privacy.encoding import Words

_PIECE = 1 << 15  # words: still in the cache when they have been hashed and are added


@dataclass
class Stream:
    """A vector of words that is still on its way.

    Attributes:
        nbytes: how many bytes it has.
        fill: given how many have been read, fills a buffer with the next; raises EOFError
            where no more come.
        close: lets go of what has not been read.
    """

    nbytes: int
    fill: Callable[[int, memoryview], None]
    close: Callable[[], None]

    def __len__(self) -> int:
        return self.nbytes

    def pieces(self) -> Iterator[Words]:
        """Yield the words a piece at a time; the next overwrites the last.

        Raises:
            EOFError: no more come.
        """
        room = np.empty(8 * _PIECE, np.uint8)
        for start in range(0, self.nbytes, room.size):
            piece = room[: self.nbytes - start]
            self.fill(start, piece.data)
            yield piece.view("<u8")


def pieces(words: Words | Stream) -> Iterator[Words]:
    """Yield a vector a piece at a time, wherever it is: see `Stream.pieces`."""
    if isinstance(words, Stream):
        yield from words.pieces()
        return
    for start in range(0, words.size, _PIECE):
        yield words[start : start + _PIECE]
