"""Correlations of many columns, and a filter of those that say the same."""

from collections.abc import Generator, Mapping
from typing import Annotated, ClassVar, Literal

import numpy as np
from pydantic import Field

from common.analyses.analysis import Answer, Ask, Json, Solve
from common.analyses.correlation_tests import correlation_test
from common.analyses.design import complete_rows, refuse_saturated
from common.analyses.plain import floats
from common.analyses.publish import few
from common.analyses.rank_bounds import bounds, lost_share
from common.analyses.rank_cells import (
    Cells,
    cells_here,
    count_columns,
    cut,
    line_of,
    lines_here,
    pack,
    places,
    unpack,
    unpack_counts,
)
from common.analyses.redundancy import Keep, clusters, keep_one_of_each, ward_groups
from common.analyses.spread import centre_of, totals, totals_schema, without_rounding
from common.analyses.triangle import fold, triangle_size, unfold
from common.cohort import Column
from common.known import KNOWN
from common.step import Step, expand_patterns
from common.sums import REAL_BOUND, Array, Schema, Sums, count, fine_grid, real
from common.sums import Field as SumField
from common.table import Floats, Table

Contract = Mapping[str, Column]

_SHARE = 1 / 64
_ROUNDS_BINNED, _ROUNDS_EXACT = 5, 40
_MOST_PRINTED = 40  # columns whose pairs an answer lists one by one
_MOST_UNDECIDED = 200


class Correlate(Step):
    """Correlate columns over the cases that have all of them.

    Spearman's rho from counts in cells and one product of mid-ranks: `mode` is "exact"
    where every rank is (see `compare_groups`), else "binned" with the largest `bound`
    over pairs. Pearson's r from deviations. Intervals by Fisher's z, for Spearman with
    the variance of Bonett and Wright, Psychometrika 65:23 (2000).

    With `at_most`, `kept` lists features of which no two correlate above it; a pair
    whose bound does not decide is `undecided`. With `cluster_at`, features are grouped
    by average linkage; with `ward_into`, by Ward's. The matrix itself is in the answer's array `r`.

    Rounds: 2 for pearson; 2 to 6 for spearman, 4 to 9 with `exact_ranks`. A site alone,
    whose products must not be seen, sends the finished matrix: 1.
    """

    only_masked: ClassVar[bool] = True

    kind: Literal["correlate"] = "correlate"
    of: tuple[str, ...] = Field(min_length=1, description="columns to correlate")
    method: Literal["spearman", "pearson"] = "spearman"
    exact_ranks: bool = Field(
        default=False,
        description="cut cells until every patient has a rank of its own; in the sums "
        "of all sites stand a column's values then, sorted, of nobody in particular",
    )
    at_most: float | None = Field(
        default=None,
        gt=0,
        lt=1,
        description="drop one of two features above this |r|; a later "
        "step reads the others as @<step>.kept",
    )
    keep: Keep = "first"
    cluster_at: float | None = Field(
        default=None, gt=0, lt=1, description="join features of this mean |r| or more"
    )
    ward_into: int | None = Field(
        default=None, ge=2, description="part features into so many groups by Ward's linkage"
    )
    level: Annotated[float, Field(gt=0.5, lt=1)] = 0.95

    def columns(self) -> tuple[str, ...]:
        """Return the columns it reads."""
        return self.of

    def expand(self, known: tuple[str, ...]) -> "Correlate":
        """Return the step with patterns such as "radiomics.*" spelled out."""
        return self.model_copy(update={"of": expand_patterns(self.of, known)})

    def chooses(self) -> Mapping[str, tuple[str, ...]]:
        """Return the columns, of which `kept` names some."""
        return {} if self.at_most is None else {"kept": self.of}

    def schema(self, ask: Ask, contract: Contract) -> Schema:
        """Return what one site sends: totals or counts in cells, then products."""
        p = len(self.of)
        schema = {"n": count(), "valid": count(behind="valid")}
        if ask.phase == "totals":
            return {**totals_schema(1, p), **schema}
        if ask.phase == "cells":
            n_cells = ask.arrays["edges"].size + ask.arrays["which"].size
            return schema | {"cells": fine_grid(1, n_cells, behind="valid")}
        if ask.phase == "alone":
            r = real(triangle_size(p), bound=2.0, behind="valid")
            return schema | {"r": r, "constant": count(p)}
        whole = self.method == "spearman"
        # Products of doubled ranks are whole: n**3 of them stay below 2**53.
        products = SumField(
            (triangle_size(p),), REAL_BOUND, "count" if whole else "real", "valid", "never"
        )
        return schema | {"products": products, "d": real(p, behind="valid")}

    def summarise(self, table: Table, ask: Ask) -> Sums:
        """Return one site's sums over its complete cases."""
        rows = self._complete(table)
        sums: dict[str, Array] = {"n": np.array(table.n), "valid": np.array(rows.n)}
        if ask.phase == "alone":
            refuse_saturated(rows, len(self.of))
            return sums | _correlated(self._here(rows))
        if ask.phase == "totals":
            codes = np.zeros(rows.n, np.int64)
            return {**totals(rows.matrix(self.of), codes, 1), **sums}
        if ask.phase == "cells":
            return sums | {"cells": self._cells(rows, unpack(ask.arrays))}
        if self.method == "spearman":
            z = self._ranks(rows, ask)
        else:
            centre, scale = floats(ask.arrays["centre"]), floats(ask.arrays["scale"])
            z = (rows.matrix(self.of) - centre[0]) / scale
        return sums | {"products": fold(z.T @ z), "d": z.sum(axis=0)}

    def _complete(self, table: Table) -> Table:
        def make() -> Table:
            return table.rows(complete_rows(table, self.of))

        return KNOWN.of(table, ("complete", self.of), make)

    def solve(self, contract: Contract, *, alone: bool = False) -> Solve:
        """Ask for totals or ranks, then for products; filter and cluster."""
        categories = [c for c in self.of if contract[c].type == "category"]
        if categories:
            raise ValueError(f"expected columns of numbers, got categories: {categories}")
        p = len(self.of)
        bound = np.zeros((p, p))
        if alone:
            total = yield Ask("alone")
            r = unfold(total["r"], p)
            constant = np.asarray(total["constant"]) > 0
            r[constant] = r[:, constant] = np.nan
        elif self.method == "pearson":
            total, r = yield from self._pearson()
        else:
            total, r, bound = yield from self._spearman(contract)
        n = int(total["valid"])
        if few(n):
            r = np.full_like(r, np.nan)
        values: dict[str, Json] = {"n": n, "missing": int(total["n"]) - n}
        values["method"] = self.method
        return Answer({**values, **self._report(n, r, bound)}, {"r": r})

    def _pearson(self) -> Generator[Ask, Sums, tuple[Sums, Floats]]:
        first = yield Ask("totals")
        arrays = centre_of(first)
        total = yield Ask("products", {}, arrays)
        n = max(int(total["valid"]), 1)
        d, scale = floats(total["d"]), arrays["scale"]
        products = unfold(total["products"], len(self.of)) - np.outer(d, d) / n
        # In units of the columns: what is but rounding becomes 0.
        squares = without_rounding(
            np.maximum(np.diag(products), 0) * scale**2,
            np.full(len(d), float(n)),
            arrays["centre"][0],
        )
        sd = np.where(squares > 0, np.sqrt(squares) / scale, np.nan)
        return total, _unit_diagonal(products / np.outer(sd, sd))

    def _spearman(self, contract: Contract) -> Generator[Ask, Sums, tuple[Sums, Floats, Floats]]:
        lines = [line_of(contract[c], None) for c in self.of]
        rounds = _ROUNDS_EXACT if self.exact_ranks else _ROUNDS_BINNED
        cutting = cut(lines, 0.0 if self.exact_ranks else _SHARE, rounds)
        found: list[Cells] = []
        edges = next(cutting)
        while True:
            total = yield Ask("cells", {}, pack(edges))
            try:
                edges = cutting.send(unpack_counts(edges, total["cells"]))
            except StopIteration as stop:
                found = stop.value
                break
        ends = {i: cells.edges(lines[i]) for i, cells in enumerate(found)}
        ranks = [cells.doubled_midranks - cells.total.sum() - 1 for cells in found]
        arrays = {**pack(ends), "ranks": np.concatenate(ranks)}
        total = yield Ask("products", {}, arrays)
        products = unfold(total["products"], len(self.of))
        size = np.sqrt(np.diag(products))
        size = np.where(size > 0, size, np.nan)
        rho = _unit_diagonal(products / np.outer(size, size))
        return total, rho, np.nan_to_num(bounds(rho, lost_share(found)))

    def _report(self, n: int, r: Floats, bound: Floats) -> dict[str, Json]:
        constant = np.isnan(np.diag(r))
        values: dict[str, Json] = {
            "mode": "binned" if bound.any() else "exact",
            "constant": [c for c, is_so in zip(self.of, constant, strict=True) if is_so],
        }
        if bound.any():
            values["bound"] = float(bound.max())
        if len(self.of) <= _MOST_PRINTED:
            values["pairs"] = self._pairs(n, r)
        if self.at_most is not None:
            kept, dropped = keep_one_of_each(r, self.of, self.at_most, self.keep)
            near = np.triu(np.abs(np.abs(r) - self.at_most) <= bound, 1) & (bound > 0)
            at = np.argwhere(near)
            values |= {
                "kept": [*kept],
                "dropped": {**dropped},
                "n_undecided": len(at),
                "undecided": [[self.of[i], self.of[j]] for i, j in at[:_MOST_UNDECIDED]],
            }
        if self.cluster_at is not None:
            values["clusters"] = [[*c] for c in clusters(r, self.of, self.cluster_at)]
        if self.ward_into is not None:
            values["ward"] = [[*c] for c in ward_groups(r, self.of, self.ward_into)]
        return values

    def _pairs(self, n: int, r: Floats) -> list[Json]:
        return [
            {
                "a": self.of[i],
                "b": self.of[j],
                **correlation_test(float(r[i, j]), n, self.method, self.level),
            }
            for i, j in zip(*np.triu_indices(len(self.of), 1), strict=True)
        ]

    def _cells(self, rows: Table, edges: Mapping[int, Floats]) -> Array:
        values = lines_here(rows, self.of)
        values = values if len(edges) == len(values) else values[list(edges)]
        return count_columns(values, np.zeros(rows.n, np.int64), 1, edges)

    def _ranks(self, rows: Table, ask: Ask) -> Floats:
        """Return twice the centred mid-rank of every value, from the asked cells."""
        edges = list(unpack(ask.arrays).values())  # of all columns, in their order
        begin = np.cumsum([0, *(e.size + 1 for e in edges)])[:-1]
        place = places(lines_here(rows, self.of), edges) + begin[:, None]
        ranks: Floats = floats(ask.arrays["ranks"]).take(place).T
        return ranks

    def _here(self, rows: Table) -> Floats:
        """Return what a site alone correlates: its numbers, or their ranks."""
        if self.method == "pearson":
            return rows.matrix(self.of)
        z = np.empty((rows.n, len(self.of)))
        codes = np.zeros(rows.n, np.int64)
        for i in range(len(self.of)):
            values = lines_here(rows, self.of)[i]
            order = np.unique(values, return_inverse=True)[1]
            z[:, i] = cells_here(values, codes, 1).doubled_midranks[order]
        return z


def _correlated(z: Floats) -> dict[str, Array]:
    centred = z - z.mean(axis=0) if len(z) else z
    n, largest = np.full(z.shape[1], float(len(z))), np.abs(z).max(axis=0, initial=0)
    squares = without_rounding((centred**2).sum(axis=0), n, largest)
    unit = centred / np.sqrt(np.where(squares > 0, squares, 1.0))
    return {"r": fold(unit.T @ unit), "constant": (squares == 0).astype(np.int64)}


def _unit_diagonal(r: Floats) -> Floats:
    """Return correlations with rounding beyond 1 cut off, NaN for constant columns."""
    r = np.clip(r, -1.0, 1.0)
    diagonal = np.diag_indices(len(r))
    r[diagonal] = np.where(np.isnan(r[diagonal]), np.nan, 1.0)
    return r
