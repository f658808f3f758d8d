"""Table 1 by groups: the sums of each level of another column, and what of them is told.

Groups are described in the rounds of the whole: each column of each group is one more column
to the search for quantiles. In clear a column is told of all groups or of none, as the sums of
all cases less those of the groups shown would be the hidden one's.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from common.analyses.analysis import Ask, Json
from common.analyses.describe_answer import (
    Moments,
    Shown,
    as_counts,
    category,
    hidden_category,
    hidden_number,
    is_yes_or_no,
    number,
    told_quantiles,
)
from common.analyses.few import without_few
from common.analyses.group_cells import closed_groups, closed_values, hidden_in_groups
from common.analyses.levels import level_codes, levels_of
from common.analyses.plain import floats, whole
from common.analyses.publish import few
from common.analyses.quantiles import Window
from common.analyses.spread import (
    Spread,
    centre_of,
    deviations,
    deviations_schema,
    spread_of,
    totals,
    totals_schema,
)
from common.cohort import Column
from common.sums import Array, Field, Sums, cells, count
from common.table import Floats, Table

Contract = Mapping[str, Column]
Counts = NDArray[np.int64]
Bools = NDArray[np.bool_]

MOST_GROUPS = 12
_OWN = "by."


@dataclass(frozen=True)
class Groups:
    """The groups of a table of characteristics.

    Attributes:
        by: the column whose levels they are.
        levels: their names.
        numbers: columns that have a mean, in the order of the table.
        categories: the others.
    """

    by: str
    levels: tuple[str, ...]
    numbers: tuple[str, ...]
    categories: tuple[str, ...]

    def contract(self, contract: Contract) -> dict[str, Column]:
        """Return every column of numbers of each group as a column of its own."""
        return {_of(c, g): contract[c] for c in self.numbers for g in range(len(self.levels))}

    def schema(self, ask: Ask, contract: Contract) -> dict[str, Field]:
        """Return what one site sends of its groups."""
        shape = len(self.levels), len(self.numbers)
        found: dict[str, Field] = {}
        if ask.phase == "counts":
            found |= totals_schema(*shape)
        if "centre" in ask.arrays:
            found |= deviations_schema(*shape)
        schema = {_OWN + k: replace(f, behind=_OWN + f.behind) for k, f in found.items()}
        if ask.phase == "counts":
            schema |= {"by.lacking": count(), "by.sizes": cells(shape[0]), "by.hidden": count()}
            schema |= {"by.few": count(len(self.numbers))}
            for c in self.categories:
                n_levels = len(contract[c].levels)
                schema |= {f"by.levels.{c}": cells(shape[0], n_levels), f"by.few.{c}": count()}
        return schema

    def rows(self, table: Table) -> Table:
        """Return the cases that are in a group."""
        return table.rows(level_codes(table, self.by) >= 0)

    def sums(self, rows: Table, ask: Ask, n_lacking: int) -> dict[str, Array]:
        """Return one site's sums of its groups.

        Args:
            rows: its cases that are in one, see `rows`.
            ask: of the coordinator.
            n_lacking: how many cases are in none.
        """
        codes, values = self._told(rows)
        n_groups, found = len(self.levels), dict[str, Array]()
        if ask.phase == "counts":
            found |= totals(values, codes, n_groups)
        if "centre" in ask.arrays:
            centre, scale = floats(ask.arrays["centre"]), floats(ask.arrays["scale"])
            found |= deviations(values, codes, centre, scale)
        sums = {_OWN + name: array for name, array in found.items()}
        if ask.phase == "counts":
            hidden = bool((codes < 0).any())
            there = ~np.isnan(rows.matrix(self.numbers))
            gone = np.asarray((there & np.isnan(values)).any(axis=0) | hidden, np.int64)
            sums["by.sizes"] = np.bincount(codes[codes >= 0], minlength=n_groups)
            sums |= {"by.hidden": np.array(int(hidden)), "by.few": gone}
            sums["by.lacking"] = np.array(n_lacking)
            for c in self.categories:
                sums |= self._levels(rows, c, codes)
        return sums

    def values(self, rows: Table) -> dict[str, Floats]:
        """Return the values of every column of numbers in each group, where they may be told."""
        codes, values = self._told(rows)
        there = ~np.isnan(values)
        return {
            _of(c, g): values[there[:, i] & (codes == g), i]
            for i, c in enumerate(self.numbers)
            for g in range(len(self.levels))
        }

    def centre(self, total: Sums) -> dict[str, Floats]:
        """Return the arrays of the second ask, from the first total."""
        return centre_of(_mine(total))

    def answer(
        self,
        contract: Contract,
        sums: tuple[Sums, Sums],
        over_all: Mapping[str, Json],
        windows: Mapping[str, list[Window]],
        at: Sequence[float],
    ) -> dict[str, Json]:
        """Return what is told of each group.

        Args:
            contract: of the columns.
            sums: the totals of the first ask and of the second.
            over_all: what is told of the columns over all groups.
            windows: of quantiles, by column and group.
            at: which quantiles.
        """
        first, last = sums
        sizes, n_groups = whole(first["by.sizes"]), len(self.levels)
        closed = closed_groups(sizes) | bool(first["by.hidden"])
        spread = spread_of(**self.centre(first), total=_mine(last))
        columns: dict[str, list[dict[str, Json]]] = {}
        for i, c in enumerate(self.numbers):
            told = [told_quantiles(at, windows.get(_of(c, g), [])) for g in range(n_groups)]
            table = _cells(sizes, closed, over_all[c], untold=int(first["by.few"][i]))
            columns[c] = [*_numbers(contract[c], _moments(spread, i), table, told)]
        for c in self.categories:
            table = _cells(sizes, closed, over_all[c], untold=int(first[f"by.few.{c}"]))
            counts = whole(first[f"by.levels.{c}"]).T
            columns[c] = [*_categories(contract[c].levels, counts, table)]
        groups: dict[str, Json] = {
            level: {
                "n": None if closed[g] else int(sizes[g]),
                "columns": {c: columns[c][g] for c in over_all},
            }
            for g, level in enumerate(self.levels)
        }
        lacking = int(first["by.lacking"])
        return {"by": self.by, "lacking": None if few(lacking) else lacking, "groups": groups}

    def _told(self, rows: Table) -> tuple[Counts, Floats]:
        """Return the group of each row and the columns of numbers, without what is not told."""
        codes = level_codes(rows, self.by)
        n_patients = [len(np.unique(rows.patients[codes == g])) for g in range(len(self.levels))]
        if any(0 < n < rows.smallest_cell for n in n_patients):
            codes = np.full_like(codes, -1)
        return codes, without_few(rows, rows.matrix(self.numbers), codes)

    def _levels(self, rows: Table, column: str, codes: Counts) -> dict[str, Array]:
        n_groups, n_levels = len(self.levels), len(rows.contract[column].levels)
        level = level_codes(rows, column)
        both = (codes >= 0) & (level >= 0)
        flat = codes[both] * n_levels + level[both]
        counts = np.bincount(flat, minlength=n_groups * n_levels).reshape(n_groups, n_levels)
        hidden = bool(((counts > 0) & (counts < rows.smallest_cell)).any() or (codes < 0).any())
        shown = np.zeros_like(counts) if hidden else counts
        return {f"by.levels.{column}": shown, f"by.few.{column}": np.array(int(hidden))}


def groups_by(by: str, of: Sequence[str], contract: Contract) -> Groups:
    """Return the groups of a column.

    Raises:
        ValueError: it is no category, nor of whole numbers 0 and 1, or has many levels.
    """
    column = contract[by]
    if column.type != "category" and not is_yes_or_no(column):
        raise ValueError(
            f'by "{by}": expected a category, or an integer of range 0 to 1, got {column.type}'
        )
    levels = levels_of(by, contract)
    if len(levels) > MOST_GROUPS:
        raise ValueError(f'by "{by}": expected at most {MOST_GROUPS} levels, got {len(levels)}')
    numbers = tuple(c for c in of if contract[c].type != "category")
    return Groups(by, levels, numbers, tuple(c for c in of if c not in numbers))


@dataclass(frozen=True)
class _Cells:
    """What stands beside a column's counts by group, see `group_cells`.

    Attributes:
        sizes: cases of each group.
        closed: groups of whom nothing is told.
        gone: counts that are hidden over all.
        hide: nothing is told of the column.
    """

    sizes: Counts
    closed: Bools
    gone: Bools
    hide: bool

    def shown(self, counts: Counts) -> list[Shown]:
        """Return, for each group, the counts of levels and of those without a value."""
        table = np.vstack([counts, self.sizes - counts.sum(axis=0)])
        hidden = hidden_in_groups(table, self.closed, self.gone)
        return [
            [None if h else int(n) for n, h in zip(of, gone, strict=True)]
            for of, gone in zip(table.T, hidden.T, strict=True)
        ]


def _numbers(
    column: Column,
    moments: Sequence[Moments],
    table: _Cells,
    quantiles: Sequence[Sequence[Json]],
) -> Iterator[dict[str, Json]]:
    if table.hide:
        yield from (hidden_number(column) for _ in moments)
        return
    present = np.array([m.n for m in moments], np.int64)
    by_level = [m.counts for m in moments] if is_yes_or_no(column) else present[:, None]
    shown = table.shown(np.array(by_level, np.int64).T)
    closed = closed_values(present, table.closed)
    for g, of in enumerate(moments):
        if closed[g]:
            yield hidden_number(column)
        else:
            yield number(column, of, shown[g], quantiles[g])


def _categories(levels: Sequence[str], counts: Counts, table: _Cells) -> Iterator[dict[str, Json]]:
    n = as_counts(counts.sum(axis=0))
    if table.hide:
        yield from (hidden_category(levels) for _ in n)
        return
    for shown, valid in zip(table.shown(counts), n, strict=True):
        yield category(levels, shown, valid)


def _moments(spread: Spread, i: int) -> list[Moments]:
    """Return the moments of a column in every group."""
    found = zip(spread.n[:, i], spread.mean[:, i], spread.sd[:, i], strict=True)
    return [Moments(int(n), float(mean), float(sd)) for n, mean, sd in found]


def _cells(sizes: Counts, closed: Bools, over_all: Json, *, untold: int) -> _Cells:
    """Return what stands beside a column's counts by group.

    Args:
        sizes: cases of each group.
        closed: groups of whom nothing is told.
        over_all: what is told of the column over all groups.
        untold: a site alone has told of no group.
    """
    entry = over_all if isinstance(over_all, dict) else {}
    levels = entry.get("levels")
    counts = [*levels.values()] if isinstance(levels, dict) else [entry["n"]]
    gone = np.array([n is None for n in (*counts, entry["missing"])], np.bool_)
    told = "levels" not in entry and entry["mean"] is not None
    return _Cells(sizes, closed, gone, hide=bool(untold) or bool(gone.all() and not told))


def _mine(total: Sums) -> dict[str, Array]:
    return {k.removeprefix(_OWN): a for k, a in total.items() if k.startswith(_OWN)}


def _of(column: str, group: int) -> str:
    return f"{column}|{group}"
