"""A cohort's rows of numbers, as an analysis at a site sees them."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from common.cohort import Column
from common.drawing import Drawing, fold_of

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Table:
    """Rows are cases; a category's values are the indices of its levels.

    Attributes:
        columns: float64 arrays of equal length n; NaN means missing.
        contract: type, unit, range and levels of each column.
        patients: patient of each row, shape (n,), text.
        smallest_cell: 0 where the sums will be masked; else, as the reply goes out in
            clear, the count below which a cell of patients must not be shown.
        fold_key: the study's key for drawing folds, the same at every site.
        chosen: the rows the step's own `cases` select, shape (n,); None where all are. Where
            columns are made there are others beside them, of which nothing may be learnt.
        drawing: of folds among all patients of the site; None: each patient by itself.
    """

    columns: Mapping[str, Floats]
    contract: Mapping[str, Column]
    patients: NDArray[np.str_]
    smallest_cell: int = 0
    fold_key: str = ""
    chosen: NDArray[np.bool_] | None = None
    drawing: Drawing | None = None

    @property
    def n(self) -> int:
        """Number of cases."""
        return len(self.patients)

    @property
    def n_patients(self) -> int:
        """Number of distinct patients."""
        return len(np.unique(self.patients))

    @cached_property
    def digest(self) -> bytes:
        """Return the sha256 of all of it: tables that share it give the same sums."""
        sha = hashlib.sha256(f"{self.n} {self.smallest_cell} {self.fold_key!r}".encode())
        sha.update(repr(self.drawing).encode())
        for name, values in self.columns.items():
            of = self.contract[name]
            sha.update(f"{name!r} {of.type} {of.range} {of.levels}".encode())
            sha.update(np.ascontiguousarray(values, np.float64).data)
        for rows in (self.patients, np.zeros(0) if self.chosen is None else self.chosen):
            sha.update(f"{rows.dtype.str} {rows.shape}".encode())
            sha.update(rows.tobytes())
        return sha.digest()

    def folds(self, k: int) -> NDArray[np.int64]:
        """Return the fold, 0 to k - 1, of each row: a keyed hash of its patient (`Drawing`).

        All cases of a patient share a fold, whatever the step that asks.
        """
        if k == 1:
            return np.zeros(self.n, np.int64)
        if self.drawing is not None:
            return np.array([self.drawing.fold(p, k) for p in self.patients.tolist()], np.int64)
        return np.array([fold_of(self.fold_key, p, k) for p in self.patients], np.int64)

    def by_column(self, names: Sequence[str]) -> Floats:
        """Return columns one after the other, shape (len(names), n)."""
        out = np.empty((len(names), self.n))
        for row, name in zip(out, names, strict=True):
            row[:] = self.columns[name]
        return out

    def matrix(self, names: Sequence[str]) -> Floats:
        """Return columns side by side, shape (n, len(names))."""
        out = np.empty((self.n, len(names)))
        for j, name in enumerate(names):
            out[:, j] = self.columns[name]
        return out

    def rows(self, keep: NDArray[np.bool_]) -> "Table":
        """Return the rows where `keep`, shape (n,), is true."""
        if keep.all():
            return self  # a thousand columns are not copied for nothing
        columns = {name: values[keep] for name, values in self.columns.items()}
        chosen = None if self.chosen is None else self.chosen[keep]
        return replace(self, columns=columns, patients=self.patients[keep], chosen=chosen)
