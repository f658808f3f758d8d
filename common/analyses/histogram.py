"""Histograms between public edges, merged until each bar may be shown, or with noise."""

from collections.abc import Iterator, Mapping
from itertools import pairwise
from math import sqrt
from typing import Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from common.analyses.analysis import Answer, Ask, Json, Solve
from common.analyses.levels import level_codes, levels_of
from common.analyses.merging import merged_at, run_sums, runs, shown_cuts
from common.analyses.plain import whole
from common.analyses.publish import SMALLEST_CELL
from common.analyses.rank_cells import count_cells
from common.cohort import Column
from common.holdings import Holdings
from common.privacy.sum_noise import SumNoise
from common.step import Step, expand_patterns
from common.sums import REAL_BOUND, Array, Schema, Sums, cells, count, fine_grid
from common.sums import Field as SumField
from common.table import Floats, Table

Contract = Mapping[str, Column]


class Histogram(Step):
    """Count the values of columns in bins, apart for the groups of a category.

    Edges are public: of the declared range in equal parts, whole numbers in whole
    steps, or as given; a value beyond the ends counts in the last bin. A value on an
    edge lies above it. Neighbouring bins are merged until in every group they hold
    nobody or five.

    With `noise` a patient counts once, by the first of their cases, and so changes at most
    one count of each column and `n` by one. All counts leave with noise and bins are not
    merged: the noise hides who is in them. Such counts may be negative. Other kinds of step
    do not have `noise`: a sum of values has no bound for a patient that would leave
    anything to see, and tests on counts would take the noise for patients.

    Rounds: 1.
    """

    kind: Literal["histogram"] = "histogram"
    of: tuple[str, ...] = Field(min_length=1, description="columns of numbers")
    bins: int = Field(default=20, ge=2, le=1000)
    edges: tuple[float, ...] = Field(
        default=(), description="increasing, for all columns, instead of bins"
    )
    by: str | None = Field(default=None, description="a category: one series a group")
    noise: SumNoise | None = Field(
        default=None, description="differential privacy for every patient; never alone"
    )

    @model_validator(mode="after")
    def _increasing(self) -> Self:
        if self.edges and not (len(self.edges) > 1 and all(a < b for a, b in pairwise(self.edges))):
            raise ValueError(f"edges: expected two or more, increasing, got {self.edges}")
        return self

    def columns(self) -> tuple[str, ...]:
        """Return the columns it reads."""
        return self.of if self.by is None else (self.by, *self.of)

    def expand(self, known: tuple[str, ...]) -> "Histogram":
        """Return the step with patterns spelled out."""
        return self.model_copy(update={"of": expand_patterns(self.of, known)})

    def problems(self, before: Holdings, steps: Mapping[str, Step]) -> Iterator[str]:
        """Yield what cannot work: noise is shared between sites."""
        del before, steps
        if self.noise is not None and "each" in self.over:
            yield "noise: is shared between sites, so there is no answer for each alone"

    def sensitivity(self) -> float:
        """Return the Euclidean norm of what one patient changes: a count a column, and n."""
        return sqrt(len(self.of) + 1)

    def schema(self, ask: Ask, contract: Contract) -> Schema:
        """Return what one site sends: counts in bins; alone, merged ones."""
        n_groups = len(self._levels(contract))
        if self.noise is not None:
            shapes = {
                f"bins.{i}": (n_groups, self._edges(c, contract).size - 1)
                for i, c in enumerate(self.of)
            }
            noisy = {name: _noisy(shape) for name, shape in {"n": (), **shapes}.items()}
            return {"sites": count(), **noisy}
        schema = {"n": count()}
        for i, name in enumerate(self.of):
            n_bins = self._edges(name, contract).size - 1
            if ask.values.get("alone"):
                schema[f"bins.{i}"] = cells(n_groups, n_bins)
                schema[f"cuts.{i}"] = count(n_bins - 1)
                schema[f"hidden.{i}"] = count()
            else:
                schema[f"bins.{i}"] = fine_grid(n_groups, n_bins, behind="n")
        return schema

    def summarise(self, table: Table, ask: Ask) -> Sums:
        """Return one site's counts; alone, it merges bins itself before sending."""
        n_groups = len(self._levels(table.contract))
        if self.noise is not None:
            table = table.rows(_first_cases(table))
        codes = np.zeros(table.n, np.int64)
        if self.by is not None:
            codes = level_codes(table, self.by)
        sums: dict[str, Array] = {"n": np.array(int((codes >= 0).sum()))}
        if self.noise is not None:
            sums["sites"] = np.array(1)
        for i, name in enumerate(self.of):
            inner = self._edges(name, table.contract)[1:-1]
            # Cells are closed above; bins below.
            below = np.nextafter(inner, -np.inf)
            counts = count_cells(table.columns[name], codes, n_groups, below)
            if ask.values.get("alone") and self.noise is None:
                cuts = shown_cuts(counts, table.smallest_cell, each=True)
                merged = merged_at(counts, cuts)
                hidden = bool(((merged > 0) & (merged < table.smallest_cell)).any())
                counts = np.zeros_like(merged) if hidden else merged
                sums[f"cuts.{i}"] = cuts.astype(np.int64)
                sums[f"hidden.{i}"] = np.array(int(hidden))
            sums[f"bins.{i}"] = counts
        return sums

    def solve(self, contract: Contract, *, alone: bool = False) -> Solve:
        """Ask for the counts; merge bins where too few share one."""
        levels = self._levels(contract)
        for name in self.of:
            self._edges(name, contract)
        if alone and self.noise is not None:
            raise ValueError("noise is shared between sites: no answer of one alone")
        total = yield Ask("bins", {"alone": alone})
        if self.noise is not None:
            return self._noisy_answer(self.noise, total, contract)
        columns: dict[str, Json] = {}
        for i, name in enumerate(self.of):
            counts = whole(total[f"bins.{i}"])
            if alone:
                ends = np.append(np.flatnonzero(total[f"cuts.{i}"]) + 1, counts.shape[1])
            else:
                ends = runs(counts, SMALLEST_CELL, each=True, empty=True)
            edges = self._edges(name, contract)[np.append(0, ends)]
            bars = run_sums(counts, ends)
            # Not even one bin of all patients may hold so few.
            hidden = bool(((bars > 0) & (bars < SMALLEST_CELL)).any())
            if hidden or (alone and int(total[f"hidden.{i}"])):
                columns[name] = {"n": None, "edges": None, "counts": None}
            else:
                columns[name] = _bars(bars, edges, levels)
        values: dict[str, Json] = {"n": int(total["n"]), "by": self.by}
        return Answer({**values, "mode": "exact", "columns": columns})

    def _noisy_answer(self, noise: SumNoise, total: Sums, contract: Contract) -> Answer:
        """Return the counts as they are, and how large the noise on each is."""
        levels = self._levels(contract)
        columns: dict[str, Json] = {
            name: _bars(np.rint(total[f"bins.{i}"]), self._edges(name, contract), levels)
            for i, name in enumerate(self.of)
        }
        n_sites = int(total["sites"])
        said: dict[str, Json] = {
            "epsilon": noise.epsilon,
            "delta": noise.delta,
            "sd": noise.sd_of_total(self.sensitivity(), n_sites),
            "n_sites": n_sites,
        }
        n = int(np.rint(total["n"]))
        return Answer({"n": n, "by": self.by, "noise": said, "columns": columns})

    def _levels(self, contract: Contract) -> tuple[str, ...]:
        return ("all",) if self.by is None else levels_of(self.by, contract)

    def _edges(self, name: str, contract: Contract) -> Floats:
        column = contract[name]
        if column.type == "category":
            raise ValueError(f'"{name}": expected a number, got a category')
        if self.edges:
            return np.array(self.edges)
        if column.range is None:
            raise ValueError(f'"{name}": expected a declared range, or edges')
        low, high = column.range
        if column.type == "integer":
            step = np.ceil((high - low + 1) / self.bins)
            return np.arange(low, high + 1 + step, step) - 0.5
        return np.linspace(low, high, self.bins + 1)


def _noisy(shape: tuple[int, ...]) -> SumField:
    """Declare counts that get noise: never in clear, as a site alone adds too little."""
    return SumField(shape, REAL_BOUND, "real", "", "never")


def _first_cases(table: Table) -> NDArray[np.bool_]:
    """Return which rows are the first of their patient, shape (n,)."""
    first = np.zeros(table.n, np.bool_)
    first[np.unique(table.patients, return_index=True)[1]] = True
    return first


def _bars(counts: Array, edges: Floats, levels: tuple[str, ...]) -> Json:
    n = whole(counts)
    return {
        "n": int(n.sum()),
        "edges": [float(edge) for edge in edges],
        "counts": {level: [int(x) for x in row] for level, row in zip(levels, n, strict=True)},
    }
