"""k-means by sums: many problems side by side, a Lloyd step of all of them a round.

Lloyd, IEEE Trans Inf Theory 28:129 (1982). The sums of two rounds differ by the cases
that changed cluster, so they may only leave in masked sums of several sites.
"""

from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from common.analyses.analysis import Ask
from common.analyses.classifier import Bools, Ints
from common.analyses.lasso_sums import masked
from common.analyses.plain import floats, whole
from common.sums import Array, Schema, Sums, fine_grid
from common.table import Floats

MOST_ROUNDS = 50
# Standard deviations: below it only rounding moves a centre.
_STILL = 1e-10


@dataclass
class Clusters:
    """Where the problems ended.

    Attributes:
        centres: shape (M, K, p).
        alive: those not merged into others, shape (M, K).
        n: cases, shape (M, K).
        inertia: sum of squared distances to the nearest centre, shape (M,).
        still: no case changes its cluster any more, shape (M,).
    """

    centres: Floats
    alive: Bools
    n: Ints
    inertia: Floats
    still: Bools


def lloyd_schema(ask: Ask) -> Schema:
    """Declare counts, moves of the centres and squared distances."""
    m, k, p = ask.arrays["centres"].shape
    counts = fine_grid(m, k, behind="n_patients")
    return {"cluster": counts, "off": masked(m, k, p), "inertia": masked(m)}


def lloyd_here(ask: Ask, points: Sequence[Floats]) -> Sums:
    """Return a site's sums around the centres of an ask.

    Args:
        ask: with `centres` and `alive` of the problems that run.
        points: their standardised rows, each of shape (n, p).
    """
    centres, alive = floats(ask.arrays["centres"]), ask.arrays["alive"] > 0
    m, k, p = centres.shape
    counts, off, inertia = np.zeros((m, k), np.int64), np.zeros((m, k, p)), np.zeros(m)
    for i, z in enumerate(points):
        label, square = nearest(z, centres[i], alive[i])
        counts[i] = np.bincount(label, minlength=k)
        np.add.at(off[i], label, z - centres[i][label])
        inertia[i] = square.sum()
    return {"cluster": counts, "off": off, "inertia": inertia}


def squares_to(z: Floats, centres: Floats, alive: Bools) -> Floats:
    """Return squared distances to each centre, infinite to merged ones, shape (n, K)."""
    out = np.full((len(z), len(centres)), np.inf)
    for j in np.flatnonzero(alive):
        out[:, j] = ((z - centres[j]) ** 2).sum(axis=1)
    return out


def nearest(z: Floats, centres: Floats, alive: Bools) -> tuple[Ints, Floats]:
    """Return the nearest centre of each row and the squared distance to it."""
    squares = squares_to(z, centres, alive)
    label = squares.argmin(axis=1)
    return label, squares[np.arange(len(z)), label]


def climb_down(
    start: Floats, alive: Bools, smallest: int, most: Ints, sent: Mapping[str, Array]
) -> Generator[Ask, Sums, Clusters]:
    """Move centres until no case changes cluster; merge clusters that are too small.

    Args:
        start: centres, shape (M, K, p).
        alive: which of them there are, shape (M, K).
        smallest: fewest cases; the smallest cluster below it is dissolved, its cases go
            to the nearest others.
        most: rounds each problem may take, shape (M,).
        sent: further arrays of every ask.
    """
    n_problems = len(start)
    found = Clusters(
        start.copy(),
        alive.copy(),
        np.zeros(alive.shape, np.int64),
        np.zeros(n_problems),
        np.zeros(n_problems, bool),
    )
    for round_ in range(int(most.max())):
        running = np.flatnonzero(~found.still & (most > round_))
        if not running.size:
            break
        here = {"centres": found.centres[running], "alive": found.alive[running].astype(np.int64)}
        total = yield Ask("lloyd", {}, {**sent, "problems": running, **here})
        n, off = whole(total["cluster"]), floats(total["off"])
        move = off / np.maximum(n, 1)[:, :, None]
        found.n[running] = n
        # About the means themselves, not about the centres that were asked.
        found.inertia[running] = floats(total["inertia"]) - (move * off).sum(axis=(1, 2))
        found.centres[running] += move
        small = found.alive[running] & (n < smallest)
        found.still[running] = (np.abs(move).max(axis=(1, 2)) <= _STILL) & ~small.any(axis=1)
        for i in running[small.any(axis=1)].tolist():
            _dissolve(found, i, smallest, last=round_ + 1 == most[i])
    return found


def _dissolve(found: Clusters, i: int, smallest: int, *, last: bool) -> None:
    """Take away the smallest cluster of a problem; after its last round, all too small."""
    sizes = np.where(found.alive[i], found.n[i], np.iinfo(np.int64).max)
    gone = sizes < smallest if last else np.arange(sizes.size) == sizes.argmin()
    if (found.alive[i] & ~gone).any():
        found.alive[i] &= ~gone
    else:
        found.still[i] = True
