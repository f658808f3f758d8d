"""Which of correlated features to keep, and which go together."""

from collections.abc import Callable, Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from common.table import Floats

Keep = Literal["first", "least_correlated"]


def keep_one_of_each(
    r: Floats, names: Sequence[str], at_most: float, keep: Keep
) -> tuple[list[str], dict[str, str]]:
    """Keep features so that no two of them correlate above a limit.

    Args:
        r: correlations, shape (p, p); NaN for a constant feature, which is not kept.
        names: of the features.
        at_most: largest |r| of two features that are kept.
        keep: of two, the one named first, or the one that correlates less with the
            others on average (as findCorrelation of R's caret does).

    Returns:
        The kept ones in the order of `names`, and why each other one was dropped: for
        which kept feature.
    """
    size = np.abs(r)
    usable = np.flatnonzero(~np.isnan(np.diag(r)))
    order = usable
    if keep == "least_correlated" and usable.size:
        mean = size[np.ix_(usable, usable)].mean(axis=1)
        order = usable[np.argsort(mean, kind="stable")]
    kept: list[int] = []
    dropped: dict[str, str] = {}
    for i in order.tolist():
        if kept and size[i, kept].max() > at_most:
            dropped[names[i]] = names[kept[int(size[i, kept].argmax())]]
        else:
            kept.append(i)
    return [names[i] for i in sorted(kept)], dropped


def clusters(r: Floats, names: Sequence[str], at_least: float) -> list[list[str]]:
    """Group features by average linkage on 1 - |r| (Sokal and Michener, 1958).

    Args:
        r: correlations, shape (p, p); constant features are left out.
        names: of the features.
        at_least: |r| on average between two clusters that are joined.
    """
    from scipy.cluster.hierarchy import fcluster, linkage

    return _grouped(
        r,
        names,
        lambda found: fcluster(
            linkage(_condensed(1 - np.abs(found)), method="average"),
            1 - at_least,
            criterion="distance",
        ),
    )


def ward_groups(r: Floats, names: Sequence[str], n_groups: int) -> list[list[str]]:
    """Group features by Ward's linkage (Ward, JASA 58:236, 1963).

    Standardised features of n cases lie sqrt(2 n (1 - r)) apart, so that the tree from
    correlations is the tree from the cases.

    Args:
        r: correlations, shape (p, p); constant features are left out.
        names: of the features.
        n_groups: how many groups.
    """
    from scipy.cluster.hierarchy import fcluster, linkage

    return _grouped(
        r,
        names,
        lambda found: fcluster(
            linkage(np.sqrt(_condensed(2 * (1 - found))), method="ward"),
            n_groups,
            criterion="maxclust",
        ),
    )


def _condensed(distance: Floats) -> Floats:
    """Return what is above the diagonal, row by row; rounding below 0 counts as 0."""
    return np.asarray(np.maximum(distance, 0.0)[np.triu_indices(len(distance), 1)])


def _grouped(
    r: Floats, names: Sequence[str], group: Callable[[Floats], NDArray[np.integer[Any]]]
) -> list[list[str]]:
    usable = np.flatnonzero(~np.isnan(np.diag(r)))
    if usable.size < 2:
        return [[names[i]] for i in usable.tolist()]
    found: dict[int, list[str]] = {}
    of = group(r[np.ix_(usable, usable)])
    for i, cluster in zip(usable.tolist(), of, strict=True):
        found.setdefault(int(cluster), []).append(names[i])
    return list(found.values())
