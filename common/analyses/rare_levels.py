"""Levels that few cases have: no coefficient of theirs is printed, none leaves in clear (R3).

The coefficient of a level, and its standard error, are made of the cases that have it; with
one to four of them, a reader can work their outcomes out.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from common.analyses.analysis import Answer, Json
from common.analyses.design import INTERCEPT, Contract, Term, matrix_of, terms_of
from common.analyses.few import few_of_a_value
from common.analyses.publish import SMALLEST_CELL
from common.table import Floats, Table

Ints = NDArray[np.int64]

RARE_VALUE = f"fewer than {SMALLEST_CELL} cases have one of the column's two values"
_NOTE = "not shown, as fewer than {} cases have one of the levels of {}: {}"
_NO_ESTIMATE = "no estimate; fewer than {} cases have one of the levels of {}"
_NOBODY = "left out, as nobody has the level: "
_MERGED = (
    f"not told apart from another level, as nobody or fewer patients than the site shows "
    f"({SMALLEST_CELL} or more) have one of the two: "
)
_COLLINEAR = "left out as constant or collinear with those before: "
# What only a maximum of the likelihood has; of a rare level it tells that its cases differ.
_OF_MAXIMUM = ("aic", "bic", "nagelkerke_r2", "folds_penalised")
_SEPARATED = "separated"
EITHER = "maximum likelihood, or Firth's where it has no maximum"


@dataclass(frozen=True, slots=True)
class Unseen:
    """Terms of levels that nobody has, as far as the sums tell.

    Attributes:
        terms: their names.
        alone: the sums are of a site alone, which merges levels that few have.
    """

    terms: frozenset[str] = frozenset()
    alone: bool = False

    def left_out(self, gone: Sequence[str]) -> str | None:
        """Say why a fit has left out these terms; None where there are none."""
        levels = [name for name in gone if name in self.terms]
        others = [name for name in gone if name not in self.terms]
        head = _MERGED if self.alone else _NOBODY
        parts = [head + ", ".join(levels)] if levels else []
        parts += [_COLLINEAR + ", ".join(others)] if others else []
        return "; ".join(parts) or None


def unseen_levels(
    terms: Sequence[Term], contract: Contract, total: Floats, *, alone: bool
) -> Unseen:
    """Return the levels that have no case, by the sum of each column of a design."""
    names = frozenset(
        term.name
        for term, in_level in zip(terms, total, strict=True)
        if (term.level or is_binary(term.column, contract)) and round(float(in_level)) == 0
    )
    return Unseen(names, alone)


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


def hide_rare_levels(
    answer: Answer,
    models_of: Mapping[str, Sequence[str]],
    contract: Contract,
    sums: tuple[int, Floats],
    *,
    either: bool = False,
) -> Answer:
    """Return the answer of a regression with nothing in its tables of rare levels.

    The models are the same: they are adjusted for the levels, and predict with them.

    Args:
        answer: with `models`.
        models_of: columns of each model, by its name.
        contract: of the columns.
        sums: complete cases, and the sum of each column of the design over them.
        either: the fit is penalised where its likelihood has no maximum, and else not.
    """
    columns = tuple(dict.fromkeys(c for of in models_of.values() for c in of))
    rare, models = _rare(terms_of(columns, contract), contract, *sums), answer.values["models"]
    if not rare or not isinstance(models, Mapping):
        return answer
    shown: dict[str, Json] = {
        name: _without(model, models_of[name], rare, either=either)
        for name, model in models.items()
    }
    return Answer({**answer.values, "models": shown}, answer.arrays)


def has_rare_level(terms: Sequence[Term], contract: Contract, n: int, total: Floats) -> bool:
    """Tell whether a column of a design has a level of few cases, by the sums of its terms."""
    return bool(_rare(terms, contract, n, total))


def _rare(terms: Sequence[Term], contract: Contract, n: int, total: Floats) -> dict[str, set[str]]:
    """Return the names of terms of columns that have a level of few cases, by column."""
    of_column: dict[str, dict[str, int]] = defaultdict(dict)
    for term, in_level in zip(terms, total, strict=True):
        if term.level or is_binary(term.column, contract):
            of_column[term.column][term.name] = round(float(in_level))
    rare: dict[str, set[str]] = {}
    for column, counts in of_column.items():
        levels = (*counts.values(), n - sum(counts.values()))
        if any(0 < count < SMALLEST_CELL for count in levels):
            rare[column] = set(counts)
    return rare


def _without(
    model: Json, used: Sequence[str], rare: Mapping[str, set[str]], *, either: bool
) -> Json:
    """Return a model's table without what tells of its rare levels, nor that it is separated.

    Separation by a level of few says that those few have one outcome. So the reason, the
    method and what differs by it go; a model without such a column is untouched.
    """
    columns = [column for column in rare if column in used]
    if not isinstance(model, dict) or not columns:
        return model
    terms = model.get("terms")
    if not isinstance(terms, dict):
        return {**model, "note": _NO_ESTIMATE.format(SMALLEST_CELL, ", ".join(columns))}
    # Of all levels together one follows from the rest.
    hidden = {INTERCEPT}.union(*(rare[column] for column in columns))
    shown: dict[str, Json] = {
        name: dict.fromkeys(row) if name in hidden and isinstance(row, dict) else row
        for name, row in terms.items()
    }
    names = ", ".join(name for name in terms if name in hidden)
    note = _NOTE.format(SMALLEST_CELL, ", ".join(columns), names)
    said = str(model.get("note") or "")
    said = f"{said}; {note}" if said and not said.startswith(_SEPARATED) else note
    out: dict[str, Json] = {**model, "terms": shown, "note": said}
    if either:
        out = {key: value for key, value in out.items() if key not in _OF_MAXIMUM}
        out |= {"method": EITHER, "intervals": None}
    return out
