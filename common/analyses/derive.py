"""New columns by simple arithmetic on columns: an index, a change, a side of a cut-off."""

from collections.abc import Iterator, Mapping
from typing import Annotated, Literal, Self

import numpy as np
from pydantic import Field, model_validator

from common.analyses.analysis import Answer, Ask, Solve
from common.analyses.newton import Bools
from common.analyses.site_effects import shown_by
from common.cohort import Column, Name
from common.holdings import Holdings
from common.settings import Frozen
from common.step import Step
from common.sums import Schema, Sums
from common.table import Floats, Table

Contract = Mapping[str, Column]


class Made(Frozen):
    """What every new column says of itself."""

    unit: str = ""
    title: str = Field("", description="how tables and figures name it")
    range: tuple[float, float] | None = Field(
        None, description="lowest and highest possible value; what lies beyond is missing"
    )

    def column(self) -> Column:
        """Return what the new column is."""
        return Column(type="number", unit=self.unit, title=self.title, range=self.range)


# The sum of a high power is the largest value's, and what is multiplied with it that patient's.
Power = Annotated[float, Field(ge=-4, le=4)]


class Product(Made):
    """A product of powers, factor * a**p * b**q ...: ratios, squares, an index."""

    op: Literal["product"] = "product"
    of: dict[str, Power] = Field(min_length=1, description="the power of each column, -4 to 4")
    factor: float = 1.0

    def reads(self) -> tuple[str, ...]:
        """Return the columns it multiplies."""
        return tuple(self.of)

    def of_table(self, columns: Mapping[str, Floats], contract: Contract) -> Floats:
        """Return the product; missing where a power is no finite number."""
        del contract
        powers = [columns[name] ** power for name, power in self.of.items()]
        return np.asarray(self.factor * np.prod(powers, axis=0), np.float64)


class Sum(Made):
    """A weighted sum, offset + w * a + v * b ...: totals and differences."""

    op: Literal["sum"] = "sum"
    of: dict[str, float] = Field(min_length=1, description="the weight of each column")
    offset: float = 0.0

    def reads(self) -> tuple[str, ...]:
        """Return the columns it adds."""
        return tuple(self.of)

    def of_table(self, columns: Mapping[str, Floats], contract: Contract) -> Floats:
        """Return the sum."""
        del contract
        terms = [weight * columns[name] for name, weight in self.of.items()]
        return np.asarray(self.offset + np.sum(terms, axis=0), np.float64)


class Log(Made):
    """A logarithm; missing where the number is not positive."""

    op: Literal["log"] = "log"
    of: tuple[str] = Field(description="one column")
    base: float = Field(float(np.e), gt=1)

    def reads(self) -> tuple[str, ...]:
        """Return its column."""
        return self.of

    def of_table(self, columns: Mapping[str, Floats], contract: Contract) -> Floats:
        """Return the logarithm."""
        del contract
        return np.asarray(np.log(columns[self.of[0]]) / np.log(self.base), np.float64)


class Below(Made):
    """A category, no or yes: whether a number is below a cut-off, one or one a level."""

    op: Literal["below"] = "below"
    of: tuple[str] = Field(description="one column")
    cut: float | dict[str, float] = Field(description="one number, or one by level of `by`")
    by: str = Field("", description="category whose levels have cut-offs of their own")

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if isinstance(self.cut, dict) != bool(self.by):
            raise ValueError("expected one number as cut, or `by` and a cut for each level")
        if self.range is not None:
            raise ValueError("a category has no range")
        return self

    def column(self) -> Column:
        """Return a category of two levels."""
        return Column(type="category", levels=("no", "yes"), title=self.title)

    def reads(self) -> tuple[str, ...]:
        """Return the number, and the category of the cut-offs."""
        return (*self.of, self.by) if self.by else tuple(self.of)

    def of_table(self, columns: Mapping[str, Floats], contract: Contract) -> Floats:
        """Return 0 or 1; missing where the number is, or the level has no cut-off."""
        values = columns[self.of[0]]
        cuts = np.full(len(values), np.nan)
        if isinstance(self.cut, dict):
            levels = contract[self.by].levels
            for level, cut in self.cut.items():
                cuts[columns[self.by] == levels.index(level)] = cut
        else:
            cuts[:] = self.cut
        known = ~np.isnan(values) & ~np.isnan(cuts)
        return np.where(known, values < cuts, np.nan).astype(np.float64)


Formula = Annotated[Product | Sum | Log | Below, Field(discriminator="op")]


class Derive(Step):
    """Make columns from columns by a fixed list of operations, case by case.

    `product` (of powers), `sum` (weighted), `log`, `below` (a cut-off, by sex for
    instance). A formula may name columns, and the ones above it in the same step. A value
    that is not finite or out of range becomes missing; a site refuses where that leaves out,
    or in, one to four of its patients, as a filter would, and a cut-off with so few on a side.
    Nothing leaves a site but how many rows it filled.

    Rounds: 0, and one in which sites fill the columns.
    """

    kind: Literal["derive"] = "derive"
    make: dict[Name, Formula] = Field(min_length=1, description="new columns, in order")

    def columns(self) -> tuple[str, ...]:
        """Return the columns it reads that it does not make itself."""
        read: dict[str, None] = {}
        made: set[str] = set()
        for name, formula in self.make.items():
            read |= dict.fromkeys(c for c in formula.reads() if c not in made)
            made.add(name)
        return tuple(read)

    def produces(self) -> Mapping[str, Column]:
        """Return the new columns."""
        return {name: formula.column() for name, formula in self.make.items()}

    def schema(self, ask: Ask, contract: Contract) -> Schema:
        """Return nothing: a site is asked for no sums."""
        del ask, contract
        return {}

    def summarise(self, table: Table, ask: Ask) -> Sums:
        """Return nothing."""
        del table, ask
        return {}

    def solve(self, contract: Contract, *, alone: bool = False) -> Solve:
        """Check levels and types; the formulas stand in the study, so nothing is asked.

        Raises:
            ValueError: arithmetic on a category, or a cut-off for an unknown level.
        """
        del alone
        wrong = [*self._mistakes({**contract, **self.produces()})]
        if wrong:
            raise ValueError("; ".join(wrong))
        yield from ()  # a generator, like every other
        return Answer({"columns": list(self.make)})

    def columns_from(self, table: Table, answer: Answer) -> Mapping[str, Floats]:
        """Return the new columns of this site's rows."""
        del answer
        return {name: values for name, values, _ in self._made(table)}

    def left_out(self, table: Table) -> Mapping[str, Bools]:
        """Return the rows that a formula makes missing though all it reads is there."""
        return {name: known & np.isnan(values) for name, values, known in self._made(table)}

    def _made(self, table: Table) -> Iterator[tuple[str, Floats, Bools]]:
        """Give the new columns, and the rows in which all that they read is there."""
        columns, contract = dict(table.columns), dict(table.contract)
        for name, formula in self.make.items():
            with np.errstate(all="ignore"):  # what is not finite becomes missing
                values = formula.of_table(columns, contract)
            low, high = formula.range or (-np.inf, np.inf)
            fits = np.isfinite(values) & (values >= low) & (values <= high)
            known = ~np.any([np.isnan(columns[read]) for read in formula.reads()], axis=0)
            columns[name] = np.where(fits, values, np.nan)
            contract[name] = formula.column()
            yield name, columns[name], known

    def problems(self, before: Holdings, steps: Mapping[str, Step]) -> Iterator[str]:
        """Yield arithmetic on categories, unknown levels of cut-offs, and what tells the site."""
        yield from self._mistakes({**before.columns, **self.produces()})
        yield from shown_by(self.make, steps)

    def _mistakes(self, contract: Contract) -> Iterator[str]:
        for name, formula in self.make.items():
            numbers = formula.of
            wrong = [c for c in numbers if contract[c].type == "category"]
            if wrong:
                yield f"{name}: expected columns of numbers, got categories: {wrong}"
            if isinstance(formula, Below) and isinstance(formula.cut, dict):
                odd = [v for v in formula.cut if v not in contract[formula.by].levels]
                if odd:
                    yield f"{name}: unknown levels of {formula.by}: {odd}"
