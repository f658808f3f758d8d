"""Cross tables of categories with the groups of another: chi-square, Fisher, odds."""

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import Field

from common.analyses.analysis import Answer, Ask, Json, Solve
from common.analyses.correction import Correction, adjusted
from common.analyses.levels import levels_of
from common.analyses.plain import whole
from common.analyses.publish import FEW_CASES, few
from common.analyses.two_way import (
    Counts,
    Outcome,
    Pairs,
    chi_square,
    fisher,
    odds_ratio,
    printed,
    tables_here,
    tables_schema,
    without_hidden,
)
from common.cohort import Column
from common.step import Step, expand_patterns
from common.sums import Schema, Sums
from common.table import Table

Contract = Mapping[str, Column]


class CrossTabulate(Step):
    """Cross categories with groups, each over the cases that have both.

    Pearson's chi-square, Fisher's exact test for two by two, Cramer's V, odds ratio.
    Cells of one to four patients are not printed, nor those that would give them away;
    neither are statistics and odds then, from which the cells could be had by trying, and
    of p is told only below which of 0.001 and 0.05 it lies, where another table of the same
    margins would have been told alike. A site alone shows no table with such a cell.

    Rounds: 1.
    """

    kind: Literal["cross_tabulate"] = "cross_tabulate"
    of: tuple[str, ...] = Field(min_length=1, description="categories, the rows")
    by: str = Field(description="groups, the columns")
    test: Literal["chi_square", "fisher"] = "chi_square"
    yates: bool = Field(
        default=False, description="continuity correction of chi-square, two by two"
    )
    correction: Correction = "none"
    level: Annotated[float, Field(gt=0.5, lt=1)] = 0.95

    def columns(self) -> tuple[str, ...]:
        """Return the columns it reads."""
        return (self.by, *self.of)

    def expand(self, known: tuple[str, ...]) -> "CrossTabulate":
        """Return the step with patterns spelled out."""
        return self.model_copy(update={"of": expand_patterns(self.of, known)})

    def schema(self, ask: Ask, contract: Contract) -> Schema:
        """Return what one site sends: a table for each column."""
        return tables_schema(self._pairs, contract)

    def summarise(self, table: Table, ask: Ask) -> Sums:
        """Return one site's tables."""
        return tables_here(self._pairs, table)

    def solve(self, contract: Contract, *, alone: bool = False) -> Solve:
        """Ask for the tables and test each."""
        shapes = [tuple(len(levels_of(c, contract)) for c in p) for p in self._pairs]
        if self.test == "fisher" and set(shapes) != {(2, 2)}:
            raise ValueError("fisher is for tables of two by two: take chi_square")
        total = yield Ask("tables")
        n = int(total["n"])
        found: list[Outcome] = []
        for i, pair in enumerate(self._pairs):
            if int(total[f"hidden.{i}"]):
                hidden: Outcome = {"n": None, "p": None, "note": "a cell below five"}
                found.append(hidden)
                continue
            counts = whole(total[f"table.{i}"])
            rows, columns = (levels_of(name, contract) for name in pair)
            valid = int(counts.sum())
            if few(valid):
                found.append({"n": None, "p": None, "note": FEW_CASES})
                continue
            about: Outcome = {"n": valid, "missing": n - valid}
            about["counts"] = printed(counts, rows, columns)
            found.append({**about, **without_hidden(self._test, counts)})
        # A hidden p counts as its upper end: that of another, corrected, could be it.
        p = [_most(one) for one in found]
        columns_out: dict[str, Json] = {
            name: {**one, "p_adjusted": None if one["p"] is None else value}
            for name, one, value in zip(self.of, found, adjusted(p, self.correction), strict=True)
        }
        values: dict[str, Json] = {"n": n, "by": self.by, "test": self.test}
        values["correction"] = self.correction
        return Answer({**values, "mode": "exact", "columns": columns_out})

    @property
    def _pairs(self) -> Pairs:
        return tuple((name, self.by) for name in self.of)

    def _test(self, counts: Counts) -> Outcome:
        chi = chi_square(counts, yates=self.yates)
        out = {**chi, **fisher(counts)} if self.test == "fisher" else chi
        if counts.shape == (2, 2):
            out["odds_ratio"] = odds_ratio(counts, self.level)
        return out


def _most(found: Outcome) -> float | None:
    """Return p, or how large it may be at most where it is hidden; None where there is none."""
    p = found["p"]
    if isinstance(p, float) or "p_below" not in found:
        return p if isinstance(p, float) else None
    under = found["p_below"]
    return under if isinstance(under, float) else 1.0
