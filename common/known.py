"""What a process has worked out of tables, so that no round of an analysis does it again.

Kept by the content of the table, never by its name: what is found was made of these very
rows. A process that answers one message and ends gains nothing by it and loses nothing.
"""

import hashlib
import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import fields, is_dataclass
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from common.table import Table

Made = TypeVar("Made")

_MOST_BYTES = 256 << 20


class Known:
    """Keeps what was used last; safe to use from several threads.

    Args:
        most_bytes: of arrays that are kept; what is larger by itself is not.
    """

    def __init__(self, most_bytes: int = _MOST_BYTES) -> None:
        self.most_bytes = most_bytes
        self._kept: OrderedDict[Hashable, tuple[int, Any]] = OrderedDict()
        self._bytes = 0
        self._lock = threading.Lock()

    def of(self, table: Table, what: Hashable, make: Callable[[], Made]) -> Made:
        """Return what `make` returns, which is not to be changed; made if it is not known.

        Args:
            table: the rows it is made of.
            what: everything else it depends on, beginning with a word for what it is.
            make: makes it.
        """
        found: Made | None = self.find(table, what)
        if found is None:
            found = make()
            self._keep((table.digest, what), found)
        return found

    def find(self, table: Table, what: Hashable) -> Any:
        """Return what is known, or None."""
        key = table.digest, what
        with self._lock:
            if key not in self._kept:
                return None
            self._kept.move_to_end(key)
            return self._kept[key][1]

    def forget(self) -> None:
        """Keep nothing any more."""
        with self._lock:
            self._kept.clear()
            self._bytes = 0

    def _keep(self, key: Hashable, made: Any) -> None:
        size = size_of(made)
        with self._lock:
            if size > self.most_bytes or key in self._kept:
                return
            self._kept[key] = size, made
            self._bytes += size
            while self._bytes > self.most_bytes:
                self._bytes -= self._kept.popitem(last=False)[1][0]


def size_of(made: Any) -> int:
    """Return the bytes of the arrays in a value, and of what holds them, roughly."""
    if isinstance(made, np.ndarray):
        return 128 + made.nbytes
    if is_dataclass(made):
        return 128 + sum(size_of(getattr(made, field.name)) for field in fields(made))
    if isinstance(made, Mapping):
        return 128 + sum(128 + getattr(value, "nbytes", 0) for value in made.values())
    if isinstance(made, Sequence) and not isinstance(made, str):
        return 128 + sum(size_of(value) for value in made)
    return 128


def digest(*arrays: NDArray[Any]) -> bytes:
    """Return the sha256 of arrays, to tell apart what was made of them."""
    sha = hashlib.sha256()
    for array in arrays:
        sha.update(f"{array.dtype.str} {array.shape}".encode())
        sha.update(np.ascontiguousarray(array).data)
    return sha.digest()


KNOWN = Known()
"""That of this process."""
