"""The questions of rank tests between groups: counts in finer and finer cells.

The first ask counts the groups, and in cells all of them together; by group only those
columns are counted in cells, from the second ask on, of which every group has five values
or more, or none. One patient who is a group alone would be read off its cells. A column
with such a group is not tested, and asked for no further.

A site alone sends no counts in cells: it ranks its own patients and sends rank sums.
"""

from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from common.analyses.analysis import Ask
from common.analyses.few import Bools, without_few
from common.analyses.levels import level_codes, levels_of
from common.analyses.plain import floats, whole
from common.analyses.publish import SMALLEST_CELL
from common.analyses.rank_cells import (
    Cells,
    Counts,
    cells_here,
    count_columns,
    cut,
    line_of,
    lines_here,
    pack,
    unpack,
    unpack_counts,
)
from common.analyses.rank_sums import RankSums, rank_sums
from common.cohort import Column
from common.sums import Array, Schema, Sums, count, fine_grid, real
from common.table import Floats, Table

RANKS, SIZES, CELLS = "ranks", "sizes", "cells"
PHASES = (RANKS, SIZES, CELLS)

_SHARE = 1 / 64  # of the patients that a cell may hold where ranks are binned
_ROUNDS_BINNED, _ROUNDS_EXACT = 4, 40


@dataclass(frozen=True)
class Ranking:
    """What is ranked between which groups.

    Attributes:
        of: the columns.
        by: the column of the groups.
        resolution: to which values are rounded, or None.
        exact: cut until every patient has a rank of its own.
    """

    of: tuple[str, ...]
    by: str
    resolution: float | None
    exact: bool

    def ask(
        self, contract: Mapping[str, Column], *, alone: bool
    ) -> Generator[Ask, Sums, tuple[int, list[RankSums]]]:
        """Return the number of cases with a group, and each column's rank sums.

        Of a column with a group of one to four values they hold the sizes and nothing else.
        """
        if alone:
            total = yield Ask(RANKS)
            return int(total["n"]), _read(total)
        lines = [line_of(contract[c], self.resolution) for c in self.of]
        rounds = _ROUNDS_EXACT if self.exact else _ROUNDS_BINNED
        cutting = cut(lines, 0.0 if self.exact else _SHARE, rounds, twice=True)
        edges = next(cutting)
        total = yield Ask(SIZES, {}, pack(edges))
        n, valid = int(total["n"]), whole(total["valid"])
        told, counts = _told(valid), unpack_counts(edges, total["cells"])
        while True:
            try:
                edges = {i: of for i, of in cutting.send(counts).items() if told[i]}
            except StopIteration as stop:
                return n, _of_told(stop.value, valid, told)
            total = (yield Ask(CELLS, {}, pack(edges))) if edges else {}
            counts = unpack_counts(edges, total["cells"]) if edges else {}

    def schema(self, ask: Ask, contract: Mapping[str, Column]) -> Schema:
        """Return what one site sends for a rank ask."""
        n_groups, n_columns = len(levels_of(self.by, contract)), len(self.of)
        if ask.phase == RANKS:
            return {
                "n": count(),
                "valid": count(n_groups, n_columns, behind="valid"),
                "doubled": real(n_groups, n_columns, behind="valid"),
                "ties": real(n_columns, behind="valid"),
            }
        n_cells = ask.arrays["edges"].size + ask.arrays["which"].size
        if ask.phase == SIZES:
            valid = count(n_groups, n_columns, behind="valid")
            return {"n": count(), "valid": valid, "cells": fine_grid(1, n_cells, behind="n")}
        return {"n": count(), "cells": fine_grid(n_groups, n_cells, behind="n")}

    def summarise(self, table: Table, ask: Ask) -> Sums:
        """Return one site's rank sums, or its counts in the asked cells."""
        codes = level_codes(table, self.by)
        n_groups = len(levels_of(self.by, table.contract))
        sums: dict[str, Array] = {"n": np.array(int((codes >= 0).sum()))}
        if ask.phase == RANKS:
            here = [
                rank_sums(cells_here(self._values(table, i, codes), codes, n_groups))
                for i in range(len(self.of))
            ]
            return sums | {
                "valid": np.stack([one.n for one in here], axis=1),
                "doubled": np.stack([one.doubled for one in here], axis=1),
                "ties": np.array([one.ties for one in here]),
            }
        edges = unpack(ask.arrays)
        values = lines_here(table, self.of, self.resolution)
        values = values if len(edges) == len(values) else values[list(edges)]
        values = without_few(table, values.T, codes).T
        cells = count_columns(values, codes, n_groups, edges)
        if ask.phase == CELLS:
            return sums | {"cells": cells}
        first = np.cumsum([0, *(of.size + 1 for of in edges.values())])[:-1]
        valid = np.add.reduceat(cells, first, axis=1)
        return sums | {"valid": valid, "cells": cells.sum(axis=0, keepdims=True)}

    def _values(self, table: Table, i: int, codes: NDArray[np.int64]) -> Floats:
        values = lines_here(table, self.of, self.resolution)[i]
        return without_few(table, values[:, None], codes)[:, 0]


def _told(valid: Counts) -> Bools:
    """Return of which columns no group has one to four values, shape (n_columns,)."""
    few = (valid > 0) & (valid < SMALLEST_CELL)
    return np.asarray(~few.any(axis=0), np.bool_)


def _of_told(cells: Sequence[Cells], valid: Counts, told: Bools) -> list[RankSums]:
    """Return the rank sums of the columns that were asked for by group; of others, sizes."""
    nothing = np.zeros(len(valid))
    return [
        rank_sums(of) if told[i] else RankSums(valid[:, i], nothing, 0.0, nothing)
        for i, of in enumerate(cells)
    ]


def _read(total: Sums) -> list[RankSums]:
    n, doubled, ties = whole(total["valid"]), floats(total["doubled"]), total["ties"]
    exact = np.zeros(len(n))
    return [RankSums(n[:, i], doubled[:, i], float(ties[i]), exact) for i in range(n.shape[1])]
