"""Table 1 by groups: the sums of each level of another column, and what of them is told.

Counts come first: no sum and no quantile is asked for of a group of which few have a column, nor
of the one that is hidden with it. What is asked for travels with the asks of all cases: each
column of each group is one more column to the search for quantiles. In clear a column is told
of all groups or of none, as the sums of all cases less those of the groups shown would be the
hidden one's.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from common.analyses.analysis import Ask
from common.analyses.describe_answer import Moments, is_counted, is_yes_or_no
from common.analyses.few import without_few
from common.analyses.group_cells import closed_groups, closed_values
from common.analyses.group_spreads import CENTRE, told_of
from common.analyses.levels import level_codes, levels_of
from common.analyses.plain import floats, whole
from common.analyses.publish import SMALLEST_CELL
from common.analyses.spread import Spread, deviations, deviations_schema, spread_of
from common.cohort import Column
from common.sums import Array, Field, Sums, cells, count
from common.table import Floats, Table

Contract = Mapping[str, Column]
Counts = NDArray[np.int64]
Bools = NDArray[np.bool_]

MOST_GROUPS = 12
_OWN = "by."


@dataclass(frozen=True)
class Found:
    """What the sums of the groups say, before anything is hidden.

    Attributes:
        sizes: cases of each group.
        closed: groups of whom nothing is told.
        told: which group is told of in which column of numbers, shape (groups, columns).
        moments: of the columns of numbers, in each group.
        counts: of the others, shape (levels, groups).
        hidden: columns of which a site alone has told in no group.
    """

    sizes: Counts
    closed: Bools
    told: Bools
    moments: Mapping[str, Sequence[Moments]]
    counts: Mapping[str, Counts]
    hidden: frozenset[str]


@dataclass(frozen=True)
class Groups:
    """The groups of a table of characteristics.

    Attributes:
        by: the column whose levels they are.
        levels: their names.
        numbers: columns that have a mean, in the order of the table.
        counted: the others, categories and whole numbers 0 and 1, each with its levels.
    """

    by: str
    levels: tuple[str, ...]
    numbers: tuple[str, ...]
    counted: Mapping[str, tuple[str, ...]]

    def contract(self, contract: Contract) -> dict[str, Column]:
        """Return every column of numbers of each group as a column of its own."""
        return {name: contract[c] for c in self.numbers for name in self.of(c)}

    def schema(self, ask: Ask) -> dict[str, Field]:
        """Return what one site sends of its groups."""
        shape = len(self.levels), len(self.numbers)
        schema: dict[str, Field] = {}
        if ask.phase == "counts":
            schema |= {"by.valid": count(*shape, behind="by.valid"), "by.few": count(shape[1])}
            schema |= {"by.lacking": count(), "by.sizes": cells(shape[0]), "by.hidden": count()}
            for c, levels in self.counted.items():
                schema |= {f"by.levels.{c}": cells(shape[0], len(levels)), f"by.few.{c}": count()}
        found = deviations_schema(*shape) if "centre" in ask.arrays else {}
        return schema | {_OWN + k: replace(f, behind=_OWN + f.behind) for k, f in found.items()}

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
        sums: dict[str, Array] = {}
        if ask.phase == "counts":
            hidden, n_groups = bool((codes < 0).any()), len(self.levels)
            there = ~np.isnan(values)
            had = ~np.isnan(rows.matrix(self.numbers))
            gone: Array = np.asarray((had & ~there).any(axis=0) | hidden, np.int64)
            sums["by.valid"] = np.stack([there[codes == g].sum(axis=0) for g in range(n_groups)])
            sums |= {"by.few": gone, "by.lacking": np.array(n_lacking)}
            sums["by.sizes"] = np.bincount(codes[codes >= 0], minlength=n_groups)
            sums["by.hidden"] = np.array(int(hidden))
            for c in self.counted:
                sums |= self._levels(rows, c, codes)
        if "centre" in ask.arrays:
            about = (floats(ask.arrays[name]) for name in CENTRE)
            found = deviations(told_of(values, codes, ask), codes, *about)
            sums |= {_OWN + name: array for name, array in found.items()}
        return sums

    def values(self, rows: Table) -> dict[str, Floats]:
        """Return the values of every column of numbers in each group, where they may be told."""
        codes, values = self._told(rows)
        there = ~np.isnan(values)
        return {
            name: values[there[:, i] & (codes == g), i]
            for i, c in enumerate(self.numbers)
            for g, name in enumerate(self.of(c))
        }

    def told(self, first: Sums) -> Bools:
        """Return which group is told of in which column of numbers, shape (groups, columns).

        Args:
            first: the total of the first ask.
        """
        valid, closed = whole(first["by.valid"]), self._closed(first)
        closed_too = np.array([closed_values(of, closed) for of in valid.T], np.bool_)
        told = ~closed_too.reshape(valid.T.shape).T & (valid >= SMALLEST_CELL)
        return np.asarray(told & ~np.asarray(first["by.few"], np.bool_), np.bool_)

    def of(self, column: str) -> list[str]:
        """Return the names that a column has in each group in a search for quantiles."""
        return [f"{column}|{g}" for g in range(len(self.levels))]

    def names(self, told: Array) -> list[str]:
        """Return the names of the columns of those groups that are told of."""
        return [
            name
            for i, c in enumerate(self.numbers)
            for name, wanted in zip(self.of(c), told[:, i], strict=True)
            if wanted
        ]

    def centre(
        self, first: Sums, at: Mapping[str, int], over_all: Mapping[str, Array]
    ) -> dict[str, Array]:
        """Return the arrays of the second ask: deviations are from the mean of all.

        Args:
            first: the total of the first one.
            at: where a column of numbers stands in `over_all`.
            over_all: `means` of all cases, and the `unit` in which to send their deviations.
        """
        where = [at[c] for c in self.numbers]
        centre = np.tile(over_all["means"][where], (len(self.levels), 1))
        told = self.told(first).astype(np.int64)
        return {"centre": centre, "scale": over_all["unit"][where], "told": told}

    def spread(self, arrays: Mapping[str, Array], total: Sums) -> Spread:
        """Return the spread of the groups, from the total of an ask with these arrays."""
        return spread_of(floats(arrays["centre"]), floats(arrays["scale"]), _mine(total))

    def again(self, arrays: Mapping[str, Array], total: Sums) -> dict[str, Array]:
        """Return the arrays to ask with once more where a group lies far off; none: no need."""
        spread = self.spread(arrays, total)
        centre = np.where(spread.n > 0, spread.mean, arrays["centre"])
        return {**arrays, "centre": centre} if spread.is_lost else {}

    def found(self, first: Sums, spread: Spread) -> "Found":
        """Return what the sums of the groups say, before anything is hidden."""
        valid = whole(first["by.valid"])
        moments = {c: _moments(valid[:, i], spread, i) for i, c in enumerate(self.numbers)}
        counts = {c: whole(first[f"by.levels.{c}"]).T for c in self.counted}
        few = dict(zip(self.numbers, whole(first["by.few"]).tolist(), strict=True))
        few |= {c: int(first[f"by.few.{c}"]) for c in self.counted}
        hidden = frozenset(c for c, n in few.items() if n)
        return Found(
            whole(first["by.sizes"]), self._closed(first), self.told(first), moments, counts, hidden
        )

    def _closed(self, first: Sums) -> Bools:
        """Return the groups of whom nothing is told."""
        return closed_groups(whole(first["by.sizes"])) | bool(first["by.hidden"])

    def _told(self, rows: Table) -> tuple[Counts, Floats]:
        """Return the group of each row and the columns of numbers, without what is not told."""
        codes = level_codes(rows, self.by)
        n_patients = [len(np.unique(rows.patients[codes == g])) for g in range(len(self.levels))]
        if any(0 < n < rows.smallest_cell for n in n_patients):
            codes = np.full_like(codes, -1)
        return codes, without_few(rows, rows.matrix(self.numbers), codes)

    def _levels(self, rows: Table, column: str, codes: Counts) -> dict[str, Array]:
        n_groups, n_levels = len(self.levels), len(self.counted[column])
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
    counted = {c: levels_of(c, contract) for c in of if is_counted(contract[c])}
    return Groups(by, levels, tuple(c for c in of if c not in counted), counted)


def _moments(valid: Counts, spread: Spread, i: int) -> list[Moments]:
    """Return the moments of a column in every group."""
    found = zip(valid, spread.mean[:, i], spread.sd[:, i], strict=True)
    return [Moments(int(n), float(mean), float(sd)) for n, mean, sd in found]


def _mine(total: Sums) -> dict[str, Array]:
    return {k.removeprefix(_OWN): a for k, a in total.items() if k.startswith(_OWN)}
