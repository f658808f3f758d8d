"""What a clustering answers: sizes, centres, separation, sensitivity, comparison."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from common.analyses.analysis import Answer, Json
from common.analyses.classifier import Bools, Contract, Ints
from common.analyses.hidden_cells import has_small
from common.analyses.levels import levels_of
from common.analyses.lloyd import Clusters
from common.analyses.partition import adjusted_rand, ward
from common.analyses.plain import floats, plain, whole
from common.analyses.two_way import chi_square, fisher, printed, without_hidden
from common.sums import Array, Sums
from common.table import Floats

if TYPE_CHECKING:
    from common.analyses.cluster import Cluster


@dataclass(frozen=True)
class Found:
    """Clusters in the order of their numbers, those alive first.

    Attributes:
        centres: standardised, shape (problems, K, p).
        alive: shape (problems, K).
        n: cases, shape (problems, K).
        inertia: shape (problems,).
        still: whether no case changes cluster any more, shape (problems,).
        n_k: number of problems that are clusterings; one more may be Ward's.
        total: sum of squares of all cases, one a case and column that varies.
    """

    centres: Floats
    alive: Bools
    n: Ints
    inertia: Floats
    still: Bools
    n_k: int
    total: float

    def arrays(self) -> dict[str, Array]:
        """Return what tells the cluster of a case, as the arrays of an ask or answer."""
        alive, n_k = self.alive.astype(np.int64), np.array(self.n_k)
        return {"centres": self.centres, "alive": alive, "n_k": n_k}


def ordered(clusters: Clusters, n_k: int, direction: Floats, *, total: float) -> Found:
    """Number clusters by their place along a direction."""
    place = np.where(clusters.alive, clusters.centres @ direction, np.inf)
    order = np.argsort(place, axis=1, kind="stable")
    return Found(
        np.take_along_axis(clusters.centres, order[:, :, None], axis=1),
        np.take_along_axis(clusters.alive, order, axis=1),
        np.take_along_axis(clusters.n, order, axis=1),
        clusters.inertia,
        clusters.still,
        n_k,
        total,
    )


def _counts(first: Sums) -> dict[str, Json]:
    n = int(first["n"])
    about: dict[str, Json] = {"n": n, "n_excluded": int(first["n_cases"]) - n}
    return {**about, "n_patients": int(first["n_patients"])}


def without_clusters(first: Sums, note: str) -> Answer:
    """Return the answer where there is nothing to cluster."""
    return Answer({**_counts(first), "converged": False, "note": note, "mode": "exact"})


def answer_of(
    step: "Cluster",
    found: Found,
    first: Sums,
    compared: Sums,
    scale: Mapping[str, Floats],
    contract: Contract,
) -> Answer:
    """Return the answer for every k, and the arrays that make the columns."""
    still = bool(found.still[: found.n_k].all())
    clusterings: dict[str, Json] = {}
    for i, k in enumerate(step.k):
        alive = int(found.alive[i].sum())
        about: dict[str, Json] = {"clusters": alive, **_described(step, found, i, scale)}
        about |= _separation(found, i, compared)
        if "micro" in compared:
            about["ward"] = _ward(found, i, compared)
        if step.against:
            counts = whole(compared["table"])[i, :alive]
            about["against"] = _against(counts, levels_of(step.against, contract))
        clusterings[str(k)] = about
    values: dict[str, Json] = {
        **_counts(first),
        "converged": still,
        "note": None if still else "cases still changed cluster in the last round",
        "k": clusterings,
        "mode": "exact",
    }
    return Answer(values, {**scale, **found.arrays()})


def _described(
    step: "Cluster", found: Found, i: int, scale: Mapping[str, Floats]
) -> dict[str, Json]:
    alive = int(found.alive[i].sum())
    means = found.centres[i] * scale["unit"] + scale["centre"]
    names = [str(1 + c) for c in range(alive)]
    return {
        "sizes": {name: int(found.n[i, c]) for c, name in enumerate(names)},
        "z": {
            name: {column: plain(found.centres[i, c, j]) for j, column in enumerate(step.of)}
            for c, name in enumerate(names)
        },
        "means": {
            name: {column: plain(means[c, j]) for j, column in enumerate(step.of)}
            for c, name in enumerate(names)
        },
    }


def _separation(found: Found, i: int, compared: Sums) -> dict[str, Json]:
    """Return indices of separation."""
    alive, n, within = int(found.alive[i].sum()), int(found.n[i].sum()), float(found.inertia[i])
    between = found.total - within
    out: dict[str, Json] = {"inertia": within, "explained": between / found.total}
    if alive < 2 or within <= 0:
        return {**out, "calinski_harabasz": None, "davies_bouldin": None, "silhouette": None}
    spread = floats(compared["distance"])[i, :alive] / np.maximum(found.n[i, :alive], 1)
    centres = found.centres[i, :alive]
    apart = np.sqrt(((centres[:, None] - centres[None]) ** 2).sum(axis=2))
    np.fill_diagonal(apart, np.inf)
    worst = ((spread[:, None] + spread[None]) / apart).max(axis=1)
    return {
        **out,
        "calinski_harabasz": plain(between / (alive - 1) / (within / (n - alive))),
        "davies_bouldin": plain(worst.mean()),
        "silhouette": plain(compared["silhouette"][i] / n),
    }


def _ward(found: Found, i: int, compared: Sums) -> Json:
    """Return how far Ward's groups of the micro-clusters agree with the clusters."""
    counts = whole(compared["micro"])[i]
    there = counts.sum(axis=0) > 0
    clusters = int(found.alive[i].sum())
    group = ward(found.centres[-1][there], counts.sum(axis=0)[there], clusters)
    table = np.zeros((len(counts), clusters), np.int64)
    np.add.at(table.T, group, counts[:, there].T)
    return {"micro_clusters": int(there.sum()), "adjusted_rand": adjusted_rand(table)}


def _against(counts: Ints, levels: tuple[str, ...]) -> Json:
    rows = tuple(str(1 + c) for c in range(len(counts)))
    out: dict[str, Json] = {"n": int(counts.sum()), "counts": printed(counts, rows, levels)}
    out["adjusted_rand"] = None if has_small(counts) else adjusted_rand(counts)
    out["chi_square"] = without_hidden(partial(chi_square, yates=False), counts)
    if counts.shape == (2, 2) and not has_small(counts):
        out["fisher"] = fisher(counts)
    return out
