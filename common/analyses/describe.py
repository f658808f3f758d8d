"""Table 1: n, missing, mean, SD, quantiles and level counts, over sites or at one."""

from collections.abc import Generator, Mapping, Sequence
from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from common.analyses.analysis import Answer, Ask, Json, Solve
from common.analyses.describe_answer import (
    Moments,
    as_counts,
    category,
    hidden_category,
    hidden_number,
    is_yes_or_no,
    number,
    shown_levels,
    told_quantiles,
)
from common.analyses.describe_group_answer import group_entries
from common.analyses.describe_groups import Groups, groups_by
from common.analyses.few import few_of_a_value
from common.analyses.plain import floats
from common.analyses.publish import SMALLEST_CELL, few
from common.analyses.quantiles import Search, Window, count_below, opened, search_here
from common.analyses.spread import Spread, unit_of, without_rounding
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
    four cases of a level, or without a value, are not printed; whole numbers 0 and 1 are
    counted as a category. With `by`, the same for each group, over the cases that have one:
    of a group of one to four nothing is told, nor of one more, and of a column that so few
    of a group have no mean of that group and of one more.

    Rounds: 3; with `by` 4, as counts come first: of groups of so few no sum is asked for; a
    site alone: 2, as it searches its quantiles itself. One more with `by` where groups lie a
    hundred SDs apart and nothing is searched.
    """

    kind: Literal["describe"] = "describe"
    of: tuple[str, ...] = Field(min_length=1, description="columns to describe")
    by: str | None = Field(
        default=None,
        description="a category, or whole numbers 0 and 1: a column for each of its levels",
    )
    quantiles: tuple[Fraction, ...] = (0.25, 0.5, 0.75)

    def columns(self) -> tuple[str, ...]:
        """Return the columns it reads."""
        return self.of if self.by is None else tuple(dict.fromkeys((self.by, *self.of)))

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
            searched = _ranged(self._searched(contract))
            schema |= {f"windows.{c}": real(*shape) for c in searched}
        groups = self._groups(contract)
        return schema | (groups.schema(ask) if groups else {})

    def summarise(self, table: Table, ask: Ask) -> Sums:
        """Return one site's sums."""
        groups = self._groups(table.contract)
        rows = groups.rows(table) if groups else table
        numbers = _numbers(self.of, table.contract)
        sums: dict[str, Array] = {"n": np.array(rows.n), "n_patients": np.array(rows.n_patients)}
        values = {c: _valid(rows, c) for c in numbers}
        if ask.phase == "counts":
            sums |= self._counts(rows, values)
        if "means" in ask.arrays:
            sums |= _deviations(values, ask.arrays)
        if groups:
            sums |= groups.sums(rows, ask, table.n - rows.n)
            values |= groups.values(rows)
        for c, edges in _edges(ask).items():
            sums[f"below.{c}"] = count_below(values[c], edges)
        if ask.values.get("alone"):
            searched = self._searched(table.contract)
            for c in _ranged(searched):
                sums[f"windows.{c}"] = self._windows_here(searched[c], values[c], rows)
        return sums

    def _counts(self, rows: Table, values: Mapping[str, Floats]) -> Sums:
        valid, size = [*values.values()], [np.abs(v).sum() for v in values.values()]
        sums: dict[str, Array] = {"valid": np.array([v.size for v in valid], np.int64)}
        sums["few"] = np.array([_is_few(rows, c) for c in values], np.int64)
        sums |= wide_sums("sum", np.array([v.sum() for v in valid]), np.array(size))
        for c in _categories(self.of, rows.contract):
            sums |= _levels(rows, c)
        return sums

    def solve(self, contract: Contract, *, alone: bool = False) -> Solve:
        """Ask for counts, then for deviations; search the quantiles beside them."""
        groups, searched = self._groups(contract), self._searched(contract)
        numbers = _numbers(self.of, contract)
        search = Search({} if alone else searched, self.quantiles, SMALLEST_CELL)
        search.begin(() if alone else numbers)
        first = yield _ask("counts", search.edges, {}, alone=alone)
        search.take(first)
        arrays = _means_of(first)
        by = groups.centre(first, {c: i for i, c in enumerate(numbers)}, arrays) if groups else {}
        search.begin(groups.names(by["told"]) if groups and not alone else ())
        spread = yield _ask("spread", search.edges, {**arrays, **by}, alone=False)
        search.take(spread)
        of_groups = yield from _rest(search, groups, by, spread)
        windows = self._sent(first, searched) if alone else search.windows
        values = self._table_one(contract, first, _moments(first, arrays, spread), windows)
        if groups and of_groups:
            found = groups.found(first, of_groups)
            told = {c: [self._told(windows, name) for name in groups.of(c)] for c in groups.numbers}
            entries = group_entries(found, contract, _columns_of(values), told)
            values["by"], values["lacking"] = self.by, _unless_few(int(first["by.lacking"]))
            values["groups"] = dict(zip(groups.levels, entries, strict=True))
        return Answer(values)

    def _groups(self, contract: Contract) -> Groups | None:
        return None if self.by is None else groups_by(self.by, self.of, contract)

    def _searched(self, contract: Contract) -> dict[str, Column]:
        """Return the columns that may have quantiles, those of each group by themselves."""
        if not self.quantiles:
            return {}
        groups = self._groups(contract)
        numbers = {c: contract[c] for c in _numbers(self.of, contract)}
        return numbers | (groups.contract(contract) if groups else {})

    def _sent(self, first: Sums, searched: Contract) -> dict[str, list[Window]]:
        """Return the windows that a site alone has found itself."""
        names = _ranged(searched)
        return {c: _read_windows(first[f"windows.{c}"], searched[c]) for c in names}

    def _told(self, windows: Mapping[str, list[Window]], name: str) -> list[Json]:
        return told_quantiles(self.quantiles, windows.get(name, []))

    def _windows_here(self, column: Column, values: Floats, rows: Table) -> Floats:
        found = search_here(column, self.quantiles, values, rows.smallest_cell)
        return np.array([[getattr(w, name) for name in _WINDOW] for w in found])

    def _table_one(
        self,
        contract: Contract,
        first: Sums,
        moments: Sequence[Moments],
        windows: Mapping[str, list[Window]],
    ) -> dict[str, Json]:
        n_cases = int(first["n"])
        columns: dict[str, Json] = {}
        for i, c in enumerate(_numbers(self.of, contract)):
            of, column = moments[i], contract[c]
            told = self._told(windows, c)
            shown = shown_levels(of.counts if is_yes_or_no(column) else [of.n], n_cases)
            hide = bool(first["few"][i]) or few(of.n)
            columns[c] = hidden_number(column) if hide else number(column, of, shown, told)
        for c in _categories(self.of, contract):
            levels, counts = contract[c].levels, as_counts(first[f"levels.{c}"])
            shown = shown_levels(counts, n_cases)
            hide = bool(first[f"hidden.{c}"])
            columns[c] = hidden_category(levels) if hide else category(levels, shown, sum(counts))
        head: dict[str, Json] = {"n": n_cases, "n_patients": int(first["n_patients"])}
        # Quantiles say themselves between which edges they lie.
        return {**head, "mode": "exact", "columns": columns}


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


def _ranged(columns: Contract) -> tuple[str, ...]:
    return tuple(name for name, column in columns.items() if column.range is not None)


def _columns_of(values: Mapping[str, Json]) -> Mapping[str, Json]:
    columns = values["columns"]
    return columns if isinstance(columns, dict) else {}


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


def _deviations(values: Mapping[str, Floats], arrays: Mapping[str, Array]) -> dict[str, Array]:
    about = zip(values.values(), arrays["means"], arrays["unit"], strict=True)
    off = [(v - mean) / unit for v, mean, unit in about]
    return {
        "d": np.array([d.sum() for d in off]),
        "d2": np.array([(d * d).sum() for d in off]),
    }


def _means_of(first: Sums) -> dict[str, Array]:
    """Return the arrays of the second ask: means, and units of deviations from them."""
    total, size = read_wide("sum", first)
    return {"means": total / np.maximum(first["valid"], 1), "unit": unit_of(size)}


def _moments(first: Sums, arrays: Mapping[str, Array], spread: Sums) -> list[Moments]:
    n, means, unit = first["valid"], arrays["means"], arrays["unit"]
    safe = np.maximum(n, 1)
    shift = spread["d"] / safe
    squares = np.maximum(spread["d2"] - safe * shift**2, 0.0) * unit**2
    squares = without_rounding(squares, floats(n), means)  # of a constant nothing is left
    sd = np.sqrt(squares / np.maximum(n - 1, 1))
    of = zip(n, means + shift * unit, sd, strict=True)
    return [Moments(int(k), float(mean), float(s)) for k, mean, s in of]


def _rest(
    search: Search, groups: Groups | None, by: dict[str, Array], total: Sums
) -> Generator[Ask, Sums, Spread | None]:
    """Search the quantiles to their end, beside the spread of groups that lie far off.

    Args:
        search: of the quantiles.
        groups: None: there are none.
        by: the arrays that their spread was asked for with.
        total: what came of it.
    """
    spread = groups.spread(by, total) if groups else None
    by = groups.again(by, total) if groups else {}
    while search.edges or by:
        total = yield _ask("search", search.edges, by, alone=False)
        search.take(total)
        if groups and by:
            spread, by = groups.spread(by, total), {}
    return spread


def _unless_few(n: int) -> int | None:
    return None if few(n) else n


def _read_windows(sums: Array, column: Column) -> list[Window]:
    rows = [(float(w[0]), float(w[1]), int(w[2]), int(w[3]), int(w[4])) for w in sums]
    return [opened(Window(*row), column) for row in rows]
