"""The questions of rank tests between groups: counts in finer and finer cells.

A site alone sends no such counts: it ranks its own patients and sends rank sums.
"""

from collections.abc import Generator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from common.analyses.analysis import Ask
from common.analyses.few import without_few
from common.analyses.levels import level_codes, levels_of
from common.analyses.plain import floats, whole
from common.analyses.rank_cells import (
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

RANKS, CELLS = "ranks", "cells"

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
        """Return the number of cases with a group, and each column's rank sums."""
        if alone:
            total = yield Ask(RANKS)
            return int(total["n"]), _read(total)
        lines = [line_of(contract[c], self.resolution) for c in self.of]
        rounds = _ROUNDS_EXACT if self.exact else _ROUNDS_BINNED
        cutting = cut(lines, 0.0 if self.exact else _SHARE, rounds)
        edges = next(cutting)
        while True:
            total = yield Ask(CELLS, {}, pack(edges))
            try:
                edges = cutting.send(unpack_counts(edges, total["cells"]))
            except StopIteration as stop:
                return int(total["n"]), [rank_sums(cells) for cells in stop.value]

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
        return sums | {"cells": count_columns(values, codes, n_groups, edges)}

    def _values(self, table: Table, i: int, codes: NDArray[np.int64]) -> Floats:
        values = lines_here(table, self.of, self.resolution)[i]
        return without_few(table, values[:, None], codes)[:, 0]


def _read(total: Sums) -> list[RankSums]:
    n, doubled, ties = whole(total["valid"]), floats(total["doubled"]), total["ties"]
    exact = np.zeros(len(n))
    return [RankSums(n[:, i], doubled[:, i], float(ties[i]), exact) for i in range(n.shape[1])]
