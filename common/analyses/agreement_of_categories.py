"""Agreement of two readers' categories: kappa, McNemar, Bowker."""

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import Field

from common.analyses.analysis import Answer, Ask, Json, Solve
from common.analyses.category_agreement import compared
from common.analyses.levels import levels_of
from common.analyses.plain import whole
from common.analyses.publish import FEW_CASES, few
from common.analyses.two_way import printed, tables_here, tables_schema
from common.cohort import Column
from common.step import Step
from common.sums import Schema, Sums
from common.table import Table

Contract = Mapping[str, Column]


class AgreementOfCategories(Step):
    """Compare the categories that two readers, or a reader and a model, give a case.

    Cohen's kappa, weighted for ordered levels, and whether one of the two leans to
    higher levels (McNemar for two, Bowker for more). Cells of one to four patients are
    not printed, and what is told beside them has two digits or fewer, so that another table
    of the same margins would read the same. A site alone shows no table with such a cell.

    Rounds: 1, for any number of pairs.
    """

    kind: Literal["agreement_of_categories"] = "agreement_of_categories"
    pairs: tuple[tuple[str, str], ...] = Field(
        min_length=1, description="two columns each, with the same levels"
    )
    weights: Literal["none", "linear", "quadratic"] = Field(
        default="none", description="credit for levels that lie close"
    )
    level: Annotated[float, Field(gt=0.5, lt=1)] = 0.95

    def columns(self) -> tuple[str, ...]:
        """Return the columns it reads."""
        return tuple(dict.fromkeys(name for pair in self.pairs for name in pair))

    def schema(self, ask: Ask, contract: Contract) -> Schema:
        """Return what one site sends: a table for each pair."""
        return tables_schema(self.pairs, contract)

    def summarise(self, table: Table, ask: Ask) -> Sums:
        """Return one site's tables."""
        return tables_here(self.pairs, table)

    def solve(self, contract: Contract, *, alone: bool = False) -> Solve:
        """Ask for the tables and compare the readers in each."""
        for a, b in self.pairs:
            if levels_of(a, contract) != levels_of(b, contract):
                raise ValueError(f'"{a}" and "{b}": expected the same levels')
        total = yield Ask("tables")
        found: list[Json] = []
        for i, (a, b) in enumerate(self.pairs):
            about: dict[str, Json] = {"a": a, "b": b}
            if int(total[f"hidden.{i}"]):
                found.append({**about, "kappa": None, "note": "a cell below five"})
                continue
            counts, levels = whole(total[f"table.{i}"]), levels_of(a, contract)
            if few(int(counts.sum())):
                found.append({**about, "kappa": None, "note": FEW_CASES})
                continue
            about["missing"] = int(total["n"]) - int(counts.sum())
            about["counts"] = printed(counts, levels, levels)
            found.append({**about, **compared(counts, self.weights, self.level)})
        values: dict[str, Json] = {"n": int(total["n"]), "weights": self.weights}
        return Answer({**values, "mode": "exact", "pairs": found})
