"""Means and spreads of columns by group, of groups of five and more.

The first ask counts, by group, and sums over all groups; only then are groups told of by
themselves, those that a report may show. The sums of one patient who is a group alone
would be that patient's row, and those of the others, less the sums of all, as much.
Deviations are from the mean of all: where a group lies so far from it that its spread is lost
in their squares, they are asked for again, from the group's own mean.
"""

from collections.abc import Generator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from common.analyses.analysis import Ask
from common.analyses.medians import Windows, search_medians
from common.analyses.plain import floats
from common.analyses.publish import SMALLEST_CELL, shown_counts
from common.analyses.rank_cells import Counts, Line
from common.analyses.spread import Spread, deviations, spread_of, unit_of
from common.analyses.wide import read_wide, wide_schema, wide_sums
from common.sums import Array, Schema, Sums, count
from common.table import Floats

TOTALS, DEVIATIONS, DISTANCES = "totals", "deviations", "distances"
CENTRE = ("centre", "scale")
_WINDOWS = "windows."


@dataclass(frozen=True)
class Wanted:
    """What a test needs of the groups.

    Attributes:
        n_groups: how many.
        lines: of the columns whose medians are searched; none: no median is, and a site
            alone takes its own.
        distances: from each group's centre too.
        from_means: the centre is the mean, not the median.
    """

    n_groups: int
    lines: Sequence[Line] = ()
    distances: bool = False
    from_means: bool = False


def overall_schema(n_groups: int, n_columns: int) -> Schema:
    """Declare what `overall` sends."""
    valid = count(n_groups, n_columns, behind="valid")
    return {"valid": valid, **wide_schema("sum", (1, n_columns), (1, n_columns))}


def overall(values: Floats, codes: Counts, n_groups: int) -> Sums:
    """Return counts by group, sums and magnitudes over all groups.

    Args:
        values: shape (n, n_columns), NaN where missing.
        codes: group of each row; rows below 0 belong to none.
        n_groups: how many.
    """
    there = ~np.isnan(values) & (codes >= 0)[:, None]
    filled = np.where(there, values, 0.0)
    valid = np.stack([there[codes == g].sum(axis=0) for g in range(n_groups)])
    sums, size = (of.sum(axis=0, keepdims=True) for of in (filled, np.abs(filled)))
    return {"valid": valid.astype(np.int64), **wide_sums("sum", sums, size)}


def told_of(values: Floats, codes: Counts, ask: Ask) -> Floats:
    """Return the values of the groups that an ask is about; the others are missing."""
    told = np.asarray(ask.arrays["told"], np.bool_)
    rows = np.where(codes >= 0, codes, 0)
    return np.where(told[rows] & (codes >= 0)[:, None], values, np.nan)


def distances_here(values: Floats, codes: Counts, ask: Ask) -> dict[str, Array]:
    """Return sums of distances from the group's centre, and of their squares.

    The centre is in the ask, as `around`, or the median of the site alone.
    """
    scale, n_groups = floats(ask.arrays["scale"]), len(ask.arrays["told"])
    centre = floats(ask.arrays.get("around", _medians_here(values, codes, n_groups)))
    rows = np.where(codes >= 0, codes, 0)
    sums = deviations(np.abs(values - centre[rows]), codes, np.zeros_like(centre), scale)
    return {"m": sums["d"], "m2": sums["d2"]}


def windows_of(ask: Ask) -> Windows:
    """Return the edges of an ask for counts below them, by column."""
    return {
        int(name.removeprefix(_WINDOWS)): np.asarray(edges, np.float64)
        for name, edges in ask.arrays.items()
        if name.startswith(_WINDOWS)
    }


def find_spreads(wanted: Wanted) -> Generator[Ask, Sums, tuple[int, Counts, Spread, Spread]]:
    """Return n, values by group and column, their spread, and that of what is tested.

    Of the groups that are not told of the spread is of no value.
    """
    first = yield Ask(TOTALS)
    valid = np.asarray(first["valid"], np.int64)
    told = {"told": _told(valid)}
    around = (yield from _medians(wanted, told)) if wanted.lines else {}
    sums, size = (of[0] for of in read_wide("sum", first))
    middle = sums / np.maximum(valid.sum(axis=0), 1)
    centre = np.tile(middle, (wanted.n_groups, 1))
    arrays = {"centre": centre, "scale": unit_of(size), **told}
    now = wanted.distances and not wanted.from_means
    total = yield Ask(DISTANCES if now else DEVIATIONS, {}, arrays | around)
    spread = spread_of(centre, arrays["scale"], total)
    distances = total
    if wanted.from_means or spread.is_lost:
        arrays["centre"] = np.where(spread.n > 0, spread.mean, centre)
        around = {"around": arrays["centre"]} if wanted.from_means else {}
        total = yield Ask(DISTANCES if wanted.from_means else DEVIATIONS, {}, arrays | around)
        spread = spread_of(arrays["centre"], arrays["scale"], total)
        distances = total if wanted.from_means else distances
    tested = _of_distances(spread, distances) if wanted.distances else spread
    return int(first["n"]), valid, spread, tested


def _told(valid: Counts) -> Counts:
    """Return 1 for each group and column of which a report shows the size, 0 for others."""
    shown = [shown_counts([int(n) for n in of]) for of in valid.T]
    hidden = np.array([[n is None for n in of] for of in shown], np.bool_).T
    return (~hidden & (valid >= SMALLEST_CELL)).astype(np.int64)


def _of_distances(spread: Spread, total: Sums) -> Spread:
    distances = {"valid": total["valid"], "d": total["m"], "d2": total["m2"]}
    tested = spread_of(np.zeros_like(spread.n), spread.scale, distances)
    return replace(tested, squares=np.where(spread.squares > 0, tested.squares, 0.0))


def _medians(wanted: Wanted, told: dict[str, Counts]) -> Generator[Ask, Sums, dict[str, Floats]]:
    searching = search_medians(wanted.lines, wanted.n_groups)
    edges: Windows = next(searching)
    while True:
        named: dict[str, Array] = {f"{_WINDOWS}{i}": e for i, e in edges.items()}
        total = yield Ask("below", {}, named | told)
        try:
            below = {i: np.asarray(total[f"below.{i}"], np.int64) for i in edges}
            edges = searching.send(below)
        except StopIteration as stop:
            return {"around": np.nan_to_num(stop.value)}


def _medians_here(values: Floats, codes: Counts, n_groups: int) -> Floats:
    medians = np.zeros((n_groups, values.shape[1]))
    for g in range(n_groups):
        for i, column in enumerate(values[codes == g].T):
            there = column[~np.isnan(column)]
            medians[g, i] = np.median(there) if there.size else 0.0
    return medians
