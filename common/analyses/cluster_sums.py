"""What a site sends about clusters that stand: distances, and tables with other groups."""

import numpy as np

from common.analyses.analysis import Ask
from common.analyses.classifier import Ints
from common.analyses.lasso_sums import masked
from common.analyses.lloyd import nearest, squares_to
from common.analyses.plain import floats
from common.sums import Array, Schema, Sums, cells, fine_grid
from common.table import Floats

_BEHIND = "n_patients"


def compare_schema(ask: Ask, n_levels: int) -> Schema:
    """Declare sizes, distances and tables of each k; the last problem may be Ward's."""
    n_k, width = int(ask.arrays["n_k"]), ask.arrays["alive"].shape[1]
    schema = {
        "size": cells(n_k, width),
        "distance": masked(n_k, width),
        "silhouette": masked(n_k),
    }
    if len(ask.arrays["alive"]) > n_k:
        schema["micro"] = fine_grid(n_k, width, width, behind=_BEHIND)
    if n_levels:
        schema["table"] = cells(n_k, width, n_levels)
    return schema


def compare_here(ask: Ask, z: Floats, codes: Ints, n_levels: int) -> Sums:
    """Return a site's sums about the clusters of an ask.

    Args:
        ask: with `centres` and `alive`, the first `n_k` problems the clusters.
        z: standardised rows, shape (n, p).
        codes: group of each row in a column to compare with, -1 where none.
        n_levels: groups of that column; 0 without one.
    """
    centres, alive = floats(ask.arrays["centres"]), ask.arrays["alive"] > 0
    n_k, width = int(ask.arrays["n_k"]), alive.shape[1]
    labels = [nearest(z, c, a)[0] for c, a in zip(centres, alive, strict=True)]
    sums: dict[str, Array] = {
        "size": np.zeros((n_k, width), np.int64),
        "distance": np.zeros((n_k, width)),
        "silhouette": np.zeros(n_k),
    }
    for i in range(n_k):
        ordered = np.sort(np.sqrt(squares_to(z, centres[i], alive[i])), axis=1)
        own, other = ordered[:, 0], ordered[:, 1]
        sums["size"][i] = np.bincount(labels[i], minlength=width)
        sums["distance"][i] = np.bincount(labels[i], own, width)
        # Of a single cluster there is no other.
        apart = np.isfinite(other) & (other > 0)
        sums["silhouette"][i] = (1.0 - own[apart] / other[apart]).sum()
    if len(alive) > n_k:
        sums["micro"] = np.stack([_table(labels[i], labels[-1], width, width) for i in range(n_k)])
    if n_levels:
        sums["table"] = np.stack([_table(labels[i], codes, width, n_levels) for i in range(n_k)])
    return sums


def _table(rows: Ints, columns: Ints, n_rows: int, n_columns: int) -> Ints:
    both = columns >= 0
    flat = np.bincount(rows[both] * n_columns + columns[both], minlength=n_rows * n_columns)
    return flat.reshape(n_rows, n_columns).astype(np.int64)
