"""Table 1: n, missing, mean, SD, quantiles and level counts, over sites or at one."""

import math
from collections.abc import Mapping, Sequence
from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from common.analyses.analysis import Answer, Ask, Json, Solve
from common.analyses.few import few_of_a_value
from common.analyses.plain import floats
from common.analyses.publish import SMALLEST_CELL, few, shown_counts
from common.analyses.quantiles import Window, count_below, opened, search_here, search_many
from common.analyses.rare_levels import is_binary
from common.analyses.spread import unit_of, without_rounding
from common.analyses.wide import read_wide, wide_schema, wide_sums
from common.cohort import Column
from common.step import Step, expand_patterns
from common.sums import Array, Schema, Sums, cells, count, fine_grid, real
from common.sums import Field as SumField
from common.table import Floats, Table

Contract = Mapping[str, Column]
Fraction = Annotated[float, Field(gt=0, lt=1)]
_WINDOW = ("low", "high", "below", "inside", "rank")


class Describe(Step):
    """Describe columns: the first table of a paper.

    Mean and SD by the two-pass formula (Chan, Golub, LeVeque, Am Stat 37:242, 1983);
    quantiles (inverted CDF) by search on counts, to 2**-24 of the column's declared range
    or to the narrowest window that holds five patients; none without a range. One to
    four cases of a level, or without a value, are not printed.

    Rounds: 3; a site alone: 2, as it searches its quantiles itself.
    """

    kind: Literal["describe"] = "describe"
    of: tuple[str, ...] = Field(min_length=1, description="columns to describe")
    quantiles: tuple[Fraction, ...] = (0.25, 0.5, 0.75)

    def columns(self) -> tuple[str, ...]:
        """Return the columns it reads."""
        return self.of

    def expand(self, known: tuple[str, ...]) -> "Describe":
        """Return the step with patterns such as "scores.dice_*" spelled out."""
        return self.model_copy(update={"of": expand_patterns(self.of, known)})

    def schema(self, ask: Ask, contract: Contract) -> Schema:
        """Return what one site sends: counts, deviations from means, counts below edges."""
        numbers, categories = _numbers(self.of, contract), _categories(self.of, contract)
        schema: dict[str, SumField] = {"n": count(), "n_patients": count()}
        if ask.phase == "counts":
            schema |= {"valid": count(len(numbers)), "few": count(len(numbers))}
            schema |= wide_schema("sum", (len(numbers),), (len(numbers),), behind="n")
            schema |= {f"levels.{c}": cells(len(contract[c].levels)) for c in categories}
            schema |= {f"hidden.{c}": count() for c in categories}
        if "means" in ask.arrays:
            schema |= {"d": real(len(numbers)), "d2": real(len(numbers))}
        schema |= {f"below.{c}": fine_grid(*e.shape, behind="n") for c, e in _edges(ask).items()}
        if ask.values.get("alone"):
            shape = (len(self.quantiles), len(_WINDOW))
            schema |= {f"windows.{c}": real(*shape) for c in _ranged(numbers, contract)}
        return schema

    def summarise(self, table: Table, ask: Ask) -> Sums:
        """Return one site's sums."""
        numbers = _numbers(self.of, table.contract)
        sums: dict[str, Array] = {"n": np.array(table.n), "n_patients": np.array(table.n_patients)}
        if ask.phase == "counts":
            valid = [_valid(table, c) for c in numbers]
            sums["few"] = np.array([_is_few(table, c) for c in numbers], np.int64)
            sums |= {"valid": np.array([v.size for v in valid], np.int64)}
            size = np.array([np.abs(v).sum() for v in valid])
            sums |= wide_sums("sum", np.array([v.sum() for v in valid]), size)
            for c in _categories(self.of, table.contract):
                sums |= _levels(table, c)
        if "means" in ask.arrays:
            sums |= _deviations(table, numbers, ask.arrays)
        for c, edges in _edges(ask).items():
            sums[f"below.{c}"] = count_below(_valid(table, c), edges)
        if ask.values.get("alone"):
            for c in _ranged(numbers, table.contract):
                sums[f"windows.{c}"] = self._windows_here(table, c)
        return sums

    def solve(self, contract: Contract, *, alone: bool = False) -> Solve:
        """Ask for counts, then for deviations; search the quantiles beside them."""
        numbers = _numbers(self.of, contract)
        ranged = () if alone else _ranged(numbers, contract)
        searching = search_many(contract, ranged, self.quantiles, SMALLEST_CELL)
        windows: dict[str, list[Window]] = {}
        edges = next(searching) if ranged else {}
        first = total = yield _ask("counts", edges, {}, alone=alone)
        total_of, size = read_wide("sum", first)
        n, unit = first["valid"], unit_of(size)
        means = total_of / np.maximum(n, 1)
        spread: Sums = {}
        while edges or not spread:
            if edges:
                counts = {c: np.asarray(total[f"below.{c}"], np.int64) for c in edges}
                try:
                    edges = searching.send(counts)
                except StopIteration as stop:
                    edges, windows = {}, stop.value
            if not spread:
                spread = total = yield _ask(
                    "spread", edges, {"means": means, "unit": unit}, alone=False
                )
            elif edges:
                total = yield _ask("search", edges, {}, alone=False)
        if alone:
            ranged = _ranged(numbers, contract)
            windows = {c: _read_windows(first[f"windows.{c}"], contract[c]) for c in ranged}
        return Answer(_table_one(self, contract, first, _moments(n, means, spread, unit), windows))

    def _windows_here(self, table: Table, column: str) -> Floats:
        found = search_here(
            table.contract[column], self.quantiles, _valid(table, column), table.smallest_cell
        )
        return np.array([[getattr(w, name) for name in _WINDOW] for w in found])


def _ask(
    phase: str, edges: Mapping[str, Floats], arrays: Mapping[str, Array], *, alone: bool
) -> Ask:
    named = {f"edges.{c}": e for c, e in edges.items()}
    return Ask(phase, {"alone": alone}, {**arrays, **named})


def _edges(ask: Ask) -> dict[str, Floats]:
    prefix = "edges."
    return {
        name.removeprefix(prefix): np.asarray(array, np.float64)
        for name, array in ask.arrays.items()
        if name.startswith(prefix)
    }


def _numbers(of: Sequence[str], contract: Contract) -> tuple[str, ...]:
    return tuple(c for c in of if contract[c].type != "category")


def _categories(of: Sequence[str], contract: Contract) -> tuple[str, ...]:
    return tuple(c for c in of if contract[c].type == "category")


def _ranged(numbers: Sequence[str], contract: Contract) -> tuple[str, ...]:
    return tuple(c for c in numbers if contract[c].range is not None)


def _valid(table: Table, column: str) -> Floats:
    """Return the values there are; none where they are too few to go out in clear."""
    values = table.columns[column]
    return values[~np.isnan(values) & (not _is_few(table, column))]


def _is_few(table: Table, column: str) -> bool:
    """Tell whether a number of so few patients goes out in clear that it would be theirs."""
    values = table.columns[column]
    patients = table.patients[~np.isnan(values)]
    if 0 < len(np.unique(patients)) < table.smallest_cell:
        return True
    return few_of_a_value(table, np.ones(table.n, np.bool_), values)


def _levels(table: Table, column: str) -> dict[str, Array]:
    """Count the levels; alone, a column with a small cell is hidden whole, and says so."""
    n_levels = len(table.contract[column].levels)
    values = table.columns[column]
    counts = np.bincount(values[~np.isnan(values)].astype(np.int64), minlength=n_levels)
    hidden = bool(((counts > 0) & (counts < table.smallest_cell)).any())
    shown = np.zeros_like(counts) if hidden else counts
    return {f"levels.{column}": shown, f"hidden.{column}": np.array(int(hidden))}


def _deviations(
    table: Table, numbers: Sequence[str], arrays: Mapping[str, Array]
) -> dict[str, Array]:
    about = zip(numbers, arrays["means"], arrays["unit"], strict=True)
    off = [(_valid(table, c) - mean) / unit for c, mean, unit in about]
    return {
        "d": np.array([d.sum() for d in off]),
        "d2": np.array([(d * d).sum() for d in off]),
    }


def _moments(n: Array, means: Array, spread: Sums, unit: Floats) -> tuple[Floats, Floats, Array]:
    safe = np.maximum(n, 1)
    shift = spread["d"] / safe
    squares = np.maximum(spread["d2"] - safe * shift**2, 0.0) * unit**2
    squares = without_rounding(squares, floats(n), means)  # of a constant nothing is left
    return means + shift * unit, np.sqrt(squares / np.maximum(n - 1, 1)), n


def _read_windows(sums: Array, column: Column) -> list[Window]:
    rows = [(float(w[0]), float(w[1]), int(w[2]), int(w[3]), int(w[4])) for w in sums]
    return [opened(Window(*row), column) for row in rows]


def _table_one(
    analysis: Describe,
    contract: Contract,
    first: Sums,
    moments: tuple[Floats, Floats, Array],
    windows: Mapping[str, list[Window]],
) -> dict[str, Json]:
    n_cases = int(first["n"])
    columns: dict[str, Json] = {}
    for i, c in enumerate(_numbers(analysis.of, contract)):
        mean, sd, n = (float(m[i]) for m in moments)
        hidden = bool(first["few"][i]) or few(int(n))
        hidden |= is_binary(c, contract) and 0 < min(mean, 1 - mean) * n < SMALLEST_CELL - 0.5
        present, missing = shown_counts([int(n), n_cases - int(n)])
        columns[c] = {
            "n": None if hidden else present,
            "missing": None if hidden else missing,
            "mean": mean if n and not hidden else None,
            "sd": sd if n > 1 and not hidden else None,
            "quantiles": _quantiles(analysis.quantiles, windows.get(c, [])),
            "unit": contract[c].unit,
        }
    for c in _categories(analysis.of, contract):
        columns[c] = _category(
            contract[c], first[f"levels.{c}"], int(first[f"hidden.{c}"]), n_cases
        )
    head: dict[str, Json] = {"n": n_cases, "n_patients": int(first["n_patients"])}
    # Quantiles say themselves between which edges they lie.
    return {**head, "mode": "exact", "columns": columns}


def _quantiles(at: Sequence[float], windows: Sequence[Window]) -> list[Json]:
    return [
        {"at": q, "value": w.value, "low": w.low, "high": w.high}
        for q, w in zip(at, windows, strict=False)
        if w.inside and not math.isnan(w.value)
    ]


def _category(column: Column, counts: Array, hidden: int, n_cases: int) -> dict[str, Json]:
    if hidden:
        return {"levels": dict.fromkeys(column.levels), "n": None, "missing": None}
    n = int(np.sum(counts))
    # Those without a value are a cell as the levels are: all add up to the cases.
    *shown, missing = shown_counts([*(int(n) for n in counts), n_cases - n])
    if few(n):
        shown, missing = [None] * len(column.levels), None
    levels: dict[str, Json] = dict(zip(column.levels, shown, strict=True))
    return {"levels": levels, "n": None if missing is None else n, "missing": missing}
