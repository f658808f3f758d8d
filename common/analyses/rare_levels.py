"""Levels that few cases have: no model holds them, none leaves in clear (rule R3).

The coefficient of a level, and its standard error, are made of the cases that have it; with
one to four of them, a reader can work their outcomes out. To hide the coefficient is not
enough: predictions, the likelihood, even whether there is a maximum follow from it. So such
a level is left out before the first fit, by the counts of all cases, for all folds alike.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from common.analyses.design import Contract, Term, matrix_of
from common.analyses.few import few_of_a_value
from common.analyses.publish import SMALLEST_CELL
from common.table import Floats, Table

Ints = NDArray[np.int64]

RARE_VALUE = f"fewer than {SMALLEST_CELL} cases have one of the column's two values"
_FEW = (
    f"left out, as fewer than {SMALLEST_CELL} cases (or nobody) have the level or the one it is "
    "compared with: "
)
_MERGED = (
    f"not told apart from another level, as nobody or fewer patients than the site shows "
    f"({SMALLEST_CELL} or more) have one of the two: "
)
_COLLINEAR = "left out as constant or collinear with those before: "


@dataclass(frozen=True, slots=True)
class Unseen:
    """Terms that no model may hold, as too few cases have their level.

    Attributes:
        terms: their names.
        alone: the sums are of a site alone, which merges levels that few have.
    """

    terms: frozenset[str] = frozenset()
    alone: bool = False

    def among(self, terms: Sequence[Term]) -> NDArray[np.bool_]:
        """Return where they stand, shape (p,)."""
        return np.array([term.name in self.terms for term in terms], np.bool_)

    def words(self, terms: Sequence[Term]) -> str | None:
        """Say of which terms a design is without them; None where of none."""
        return self.left_out([term.name for term in terms if term.name in self.terms])

    def left_out(self, gone: Sequence[str]) -> str | None:
        """Say why a fit has left out these terms; None where there are none."""
        levels = [name for name in gone if name in self.terms]
        others = [name for name in gone if name not in self.terms]
        head = _MERGED if self.alone else _FEW
        parts = [head + ", ".join(levels)] if levels else []
        parts += [_COLLINEAR + ", ".join(others)] if others else []
        return "; ".join(parts) or None


def unseen_levels(
    terms: Sequence[Term], contract: Contract, sums: tuple[int, Floats], *, alone: bool = False
) -> Unseen:
    """Return the terms to leave out, by what all cases have.

    A level of fewer than five becomes the one that levels are compared with, and that one,
    if few are left in it, the largest level.

    Args:
        terms: columns of the design.
        contract: of the table's columns.
        sums: complete cases, and the sum of each column of the design over them.
        alone: they are of a site alone.
    """
    n, total = sums
    by_column: dict[str, dict[str, int]] = defaultdict(dict)
    for term, in_level in zip(terms, total, strict=True):
        if term.level or is_binary(term.column, contract):
            by_column[term.column][term.name] = round(float(in_level))
    few = [name for of in by_column.values() for name in _few_of(n, of)]
    return Unseen(frozenset(few), alone)


def _few_of(n: int, counts: Mapping[str, int]) -> set[str]:
    """Return the levels of one column to leave out, by how many cases have each."""
    few = {name for name, count in counts.items() if count < SMALLEST_CELL}
    kept = {name: count for name, count in counts.items() if name not in few}
    if kept and n - sum(kept.values()) < SMALLEST_CELL:
        few.add(max(kept, key=lambda name: kept[name]))
    return few


def is_binary(column: str, contract: Contract) -> bool:
    """Tell whether a column is a level or not, as one number."""
    of = contract[column]
    if of.type == "category":
        return len(of.levels) == 2
    return of.type == "integer" and of.range is not None and tuple(of.range) == (0, 1)


def merged_matrix(table: Table, terms: Sequence[Term]) -> Floats:
    """Return the design matrix; where its sums go out in clear, with rare levels merged.

    A level that few of this site's patients have becomes the one that levels are compared
    with, and that one, if few have it, the largest level. Its column is then of zeros, which
    a fit leaves out and says so.

    Args:
        table: complete cases.
        terms: columns of the design, shape (n, len(terms)).
    """
    x = matrix_of(table, terms)
    by_column: dict[str, list[int]] = defaultdict(list)
    for j, term in enumerate(terms if table.smallest_cell else ()):
        if term.level or is_binary(term.column, table.contract):
            by_column[term.column].append(j)
    for of in by_column.values():
        _merge(table, x, of)
    return x


def _merge(table: Table, x: Floats, of: Sequence[int]) -> None:
    """Set to zero, in place, the columns of one category whose levels are merged."""
    while True:
        inside = {j: _n_patients(table, x[:, j] > 0) for j in of}
        few = [j for j, n in inside.items() if 0 < n < table.smallest_cell]
        rest = _n_patients(table, np.asarray(x[:, of].max(axis=1) <= 0))
        if not few and 0 < rest < table.smallest_cell:
            few = [max(of, key=lambda j: inside[j])]
        if not few or not any(inside.values()):
            return
        x[:, few] = 0.0


def _n_patients(table: Table, rows: NDArray[np.bool_]) -> int:
    return len(np.unique(table.patients[rows]))


def without_rare_columns(table: Table, columns: Sequence[str]) -> Table:
    """Return a table, where its sums go out in clear, without columns of a yes or no of few.

    They are missing of all, as if nobody had a value: see `few_of_a_value`.
    """
    everyone = np.ones(table.n, np.bool_)
    gone = {
        name: np.full(table.n, np.nan)
        for name in columns
        if few_of_a_value(table, everyone, table.columns[name])
    }
    return replace(table, columns={**table.columns, **gone}) if gone else table


def rare_binary(
    columns: Sequence[str], contract: Contract, n: Ints, total: Floats
) -> NDArray[np.bool_]:
    """Return which columns are of a level that few have, or few have not, shape (p,).

    Args:
        columns: p of them.
        contract: theirs.
        n: cases that have each.
        total: sum of each.
    """
    binary = np.array([is_binary(name, contract) for name in columns], np.bool_)
    fewer = np.minimum(total, n - total)
    rare: NDArray[np.bool_] = binary & (fewer > 0.5) & (fewer < SMALLEST_CELL - 0.5)
    return rare
