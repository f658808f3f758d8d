"""Which values are missing, in which groups, and which go missing together."""

from collections.abc import Mapping
from typing import Literal

import numpy as np
from pydantic import Field

from common.analyses.analysis import Answer, Ask, Json, Solve
from common.analyses.levels import level_codes, levels_of
from common.analyses.plain import whole
from common.analyses.publish import SMALLEST_CELL, shown_counts, with_another
from common.cohort import Column
from common.step import Step, expand_patterns
from common.sums import Array, Schema, Sums, cells, count, fine_grid
from common.table import Table

Contract = Mapping[str, Column]

_MOST_TOGETHER = 10


class Missingness(Step):
    """Count missing values of each column, by group, and their patterns.

    A pattern is a set of columns that a case lacks; patterns of ten columns at most.
    A count is hidden where it or its complement is one to four; such patterns are
    counted together as `other`.

    Rounds: 1.
    """

    kind: Literal["missingness"] = "missingness"
    of: tuple[str, ...] = Field(min_length=1, description="columns to look at")
    by: str | None = Field(default=None, description="a category: counts for each group")

    def columns(self) -> tuple[str, ...]:
        """Return the columns it reads."""
        return self.of if self.by is None else (self.by, *self.of)

    def expand(self, known: tuple[str, ...]) -> "Missingness":
        """Return the step with patterns such as "radiomics.*" spelled out."""
        return self.model_copy(update={"of": expand_patterns(self.of, known)})

    def schema(self, ask: Ask, contract: Contract) -> Schema:
        """Return what one site sends: counts of missing and present, and patterns."""
        shape = 2, len(self._levels(contract)), len(self.of)
        schema = {"n": count(), "counts": cells(*shape), "hidden": count(*shape[1:])}
        if self._together:
            n_patterns = 2 ** len(self.of)
            alone = ask.values.get("alone")
            counts = cells(n_patterns) if alone else fine_grid(n_patterns, behind="n")
            schema |= {"patterns": counts}
            if alone:
                schema |= {"other": cells()}
        return schema

    def summarise(self, table: Table, ask: Ask) -> Sums:
        """Return one site's counts; alone, with small ones hidden."""
        codes = np.zeros(table.n, np.int64)
        if self.by is not None:
            codes = level_codes(table, self.by)
        missing = np.isnan(table.matrix(self.of))
        groups = [missing[codes == g] for g in range(len(self._levels(table.contract)))]
        counts = np.array([[m.sum(axis=0), (~m).sum(axis=0)] for m in groups])
        counts = counts.transpose(1, 0, 2)
        small = _of_few(counts, table.smallest_cell)
        sums: dict[str, Array] = {
            "n": np.array(int((codes >= 0).sum())),
            "counts": np.where(small, 0, counts),
            "hidden": np.asarray(small, np.int64),
        }
        if self._together:
            pattern = missing[codes >= 0] @ (2 ** np.arange(len(self.of)))
            patterns = np.bincount(pattern, minlength=2 ** len(self.of))
            if ask.values.get("alone"):
                shown, other = _shown(patterns, table.smallest_cell)
                sums |= {"patterns": shown, "other": np.array(other)}
            else:
                sums |= {"patterns": patterns}
        return sums

    def solve(self, contract: Contract, *, alone: bool = False) -> Solve:
        """Ask for the counts and hide the small ones."""
        levels = self._levels(contract)
        total = yield Ask("counts", {"alone": alone})
        counts, hidden = whole(total["counts"]), whole(total["hidden"])
        columns: dict[str, Json] = {}
        hidden |= _of_few(counts, SMALLEST_CELL)
        for i, name in enumerate(self.of):
            columns[name] = {
                level: _one(counts[:, g, i], int(hidden[g, i])) for g, level in enumerate(levels)
            }
        values: dict[str, Json] = {"n": int(total["n"]), "by": self.by, "mode": "exact"}
        values["columns"] = columns
        if self._together:
            shown, other = _shown(whole(total["patterns"]), SMALLEST_CELL)
            other = int(total["other"]) if alone else other
            values["patterns"] = [
                {"missing": self._columns_of(k), "n": int(shown[k])}
                for k in np.flatnonzero(shown).tolist()
            ]
            values["other"] = other
        return Answer(values)

    @property
    def _together(self) -> bool:
        return len(self.of) <= _MOST_TOGETHER

    def _columns_of(self, pattern: int) -> list[Json]:
        return [name for i, name in enumerate(self.of) if pattern >> i & 1]

    def _levels(self, contract: Contract) -> tuple[str, ...]:
        return ("all",) if self.by is None else levels_of(self.by, contract)


def _shown(patterns: Array, smallest: int) -> tuple[Array, int]:
    """Return the counts that may be shown, 0 elsewhere, and the sum of the others."""
    n = [int(x) for x in patterns]
    shown = np.array([0 if x is None else x for x in shown_counts(n, smallest)])
    other = sum(n) - int(shown.sum())
    # So few in all that no pattern may be told.
    return shown, other if other >= smallest else 0


def _of_few(counts: Array, smallest: int) -> Array:
    """Return the groups of few, with what they would follow from, shape (groups, columns).

    Few cases, or few that have or lack a value: how many do in all, the patterns tell.

    Args:
        counts: missing and present, shape (2, groups, columns).
        smallest: the smallest count above zero that may be shown.
    """
    missing, present = np.asarray(counts, np.int64)
    kinds = (missing + present, missing, present)
    hidden = np.zeros(missing.shape, np.bool_)
    for of in kinds:
        hidden |= (of > 0) & (of < smallest)
    for i in range(hidden.shape[1]):
        for of in kinds:
            hidden[:, i] = with_another(hidden[:, i], of[:, i], smallest)
    # Of few in all it is not told in which group nobody is.
    everywhere = np.stack([missing, present]).sum(axis=1)
    few_in_all: Array = ((everywhere > 0) & (everywhere < smallest)).any(axis=0)
    return np.logical_or(hidden, few_in_all)


def _one(counts: Array, hidden: int) -> Json:
    missing, present = (int(x) for x in counts)
    if hidden or 0 < missing < SMALLEST_CELL or 0 < present < SMALLEST_CELL:
        return {"n": None, "missing": None, "share": None}
    n = missing + present
    return {"n": n, "missing": missing, "share": missing / n if n else None}
