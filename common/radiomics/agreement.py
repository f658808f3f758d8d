"""Do all sites hold the same mark? Told from sums, which show no site's own one.

A mark is a sha256. Each site sends pieces of it, whole numbers d, and their squares. By
Cauchy and Schwarz S sum d^2 >= (sum d)^2, with equality just where all S are the same.
"""

import hashlib
from collections.abc import Iterable

import numpy as np

from common.sums import Schema, Sums, count

_PIECES, _BITS = 4, 20


def agree_schema() -> Schema:
    """Return what one site sends."""
    return {"n_sites": count(), "mark": count(_PIECES), "squares": count(_PIECES)}


def marks_of(texts: Iterable[str]) -> Sums:
    """Return one site's sums for the texts that must be the same everywhere."""
    digest = hashlib.sha256("\n".join(texts).encode()).digest()
    whole = int.from_bytes(digest, "big")
    pieces = np.array([(whole >> (_BITS * i)) % (1 << _BITS) for i in range(_PIECES)], np.int64)
    return {"n_sites": np.array(1), "mark": pieces, "squares": pieces**2}


def disagreement(total: Sums) -> str:
    """Return, in words, that sites differ, or ""."""
    n = int(total["n_sites"])
    mark, squares = (np.asarray(total[key], np.int64) for key in ("mark", "squares"))
    if (n * squares == mark**2).all():
        return ""
    return (
        f"the self-test gives different features at some of the {n} sites: nothing was added "
        "up. Each site's log has its mark; compare them and bring the software to one version"
    )
