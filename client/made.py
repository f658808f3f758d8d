"""What a study's formulas make of a site's cases: whom they leave out, and where they cut."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from common.analyses.newton import Bools
from common.analyses.rare_levels import is_binary
from common.analyses.standardise import Standardise
from common.study import Study
from common.table import Floats


@dataclass
class MadeColumns:
    """Columns of `derive`, by full name; rows are the site's cases.

    Attributes:
        study: whose steps they are.
        patients: patient of each row, shape (n,).
        own: rows that the formula itself makes missing though all it reads is there.
        lost: those, and what the columns it reads have lost in the same way.
        here: rows with a value.
        sides: 1 or 0 by the side of the cut-off, or NaN, of those that cut.
        levels: of every category that a step has made, by a formula or not.
        used: columns of which formulas made theirs.
        carries: the columns that stand in this one as they are, added or multiplied: what it
            reads, but for a logarithm.
        numbers: of every column that is no side, and of what formulas read.
        weighed: rows that count in sums of a column that is 0 in the others, as a product with
            a yes or no (1, 0) is.
    """

    study: Study
    patients: NDArray[np.str_]
    own: dict[str, Bools] = field(default_factory=dict)
    lost: dict[str, Bools] = field(default_factory=dict)
    here: dict[str, Bools] = field(default_factory=dict)
    sides: dict[str, Floats] = field(default_factory=dict)
    levels: dict[str, Floats] = field(default_factory=dict)
    used: set[str] = field(default_factory=set)
    carries: dict[str, tuple[str, ...]] = field(default_factory=dict)
    numbers: dict[str, Floats] = field(default_factory=dict)
    weighed: dict[str, Bools] = field(default_factory=dict)
    _reads: dict[str, tuple[str, ...]] = field(default_factory=dict)

    def add(self, name: str, values: Floats, own: Bools, reads: Iterable[str], *, op: str) -> None:
        """Add a column made by an operation; those it reads come before it."""
        self._reads[name] = tuple(reads)
        self.carries[name] = () if op == "log" else self._reads[name]
        self.used |= self.bases(name)
        self.own[name] = own
        self.lost[name] = own | self.lost_by(self._reads[name])
        self.here[name] = ~np.isnan(values)
        if op == "below":
            self.sides[name] = values
            return
        self.numbers[name] = values
        if self._weighs(name, values == 0):
            self.weighed[name] = self.here[name] & (values != 0)

    def _weighs(self, name: str, zeros: Bools) -> bool:
        """Tell whether a column is 0 by its making; a change of 0, say, is so by chance."""
        own = self.study.cohort.columns
        yes_or_no = any(base in own and is_binary(base, own) for base in self.bases(name))
        return yes_or_no and bool(zeros.any())

    def lost_by(self, columns: Iterable[str]) -> Bools:
        """Return the rows that formulas have made missing in any of these columns.

        What a model or a z-score makes of a column is missing where that is.
        """
        rows = np.zeros(len(self.patients), np.bool_)
        open_, seen = [*columns], set[str]()
        while open_:
            column = open_.pop()
            if column in seen:
                continue
            seen.add(column)
            maker = self.study.bound.get(column.split(".")[0]) if "." in column else None
            if column in self.lost:
                rows |= self.lost[column]
            elif maker is not None:
                open_ += maker.columns()
        return rows

    def plain(self, column: str) -> str:
        """Return a column, or the one of which it is the z-score."""
        name, _, short = column.partition(".")
        step = self.study.bound.get(name)
        if isinstance(step, Standardise):
            fits = [of for of in step.of if short.endswith(of)]
            return self.plain(max(fits, key=len)) if fits else column
        return column

    def carried(self, column: str) -> dict[str, None]:
        """Return this column, if a formula made it, and all formulas' that stand in it."""
        column = self.plain(column)
        if column not in self._reads:
            return {}
        return {column: None} | {
            name: None for read in self.carries[column] for name in self.carried(read)
        }

    def bases(self, column: str) -> frozenset[str]:
        """Return the columns of which formulas made this one; itself where none did."""
        column = self.plain(column)
        if column not in self._reads:
            return frozenset((column,))
        return frozenset().union(*map(self.bases, self._reads[column]))

    def digest(self) -> str:
        """Return what tells these columns from others of the same cases."""
        sha = hashlib.sha256()
        for columns in (self.lost, self.sides, self.levels, self.numbers):
            for name, values in columns.items():
                sha.update(name.encode() + values.tobytes())
        return sha.hexdigest()

    def who(self, rows: Bools) -> frozenset[str]:
        """Return the patients of these rows."""
        return frozenset(self.patients[rows].tolist())

    def count(self, rows: Bools) -> int:
        """Return the number of patients of these rows."""
        return len(self.who(rows))
