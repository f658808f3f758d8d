"""Design matrices: columns of a table as the covariates of a regression.

A number is one column. A category of k levels is k - 1 dummies against its first level,
named as a paper prints them, `sex[m]`. Only rows without a missing value take part
(complete cases). What the columns are is known from the contract alone, so both halves
of an analysis agree on shapes before any data are touched.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from common.analyses.wide import read_wide, wide_schema, wide_sums
from common.cohort import Column
from common.errors import Reason, Refused
from common.sums import Schema, Sums
from common.table import Floats, Table

Contract = Mapping[str, Column]
INTERCEPT = "(intercept)"

# A fit may have at most this many coefficients a case (rule R4): beyond it the sums begin
# to determine the rows.
MOST_COEFFICIENTS_A_CASE = 0.33


@dataclass(frozen=True, slots=True)
class Term:
    """One column of a design matrix.

    Attributes:
        name: how an answer calls its coefficient, such as "age" or "sex[m]".
        column: the table's column.
        level: index of the level a dummy stands for; 0 for a number.
    """

    name: str
    column: str
    level: int = 0


def terms_of(columns: Sequence[str], contract: Contract) -> tuple[Term, ...]:
    """Return the columns of the design matrix, in the order of `columns`."""
    terms: list[Term] = []
    for column in columns:
        if contract[column].type != "category":
            terms.append(Term(column, column))
            continue
        for level, text in enumerate(contract[column].levels[1:], start=1):
            terms.append(Term(f"{column}[{text}]", column, level))
    return tuple(terms)


def matrix_of(table: Table, terms: Sequence[Term]) -> Floats:
    """Return the design matrix, shape (n, len(terms)), NaN where a value is missing."""
    X = np.empty((table.n, len(terms)))
    for j, term in enumerate(terms):
        values = table.columns[term.column]
        if term.level:
            X[:, j] = np.where(np.isnan(values), np.nan, values == term.level)
        else:
            X[:, j] = values
    return X


def with_intercept(x: Floats) -> Floats:
    """Return x with a column of ones before the others."""
    return np.column_stack([np.ones(len(x)), x])


def complete_rows(table: Table, columns: Sequence[str]) -> NDArray[np.bool_]:
    """Return where none of the columns is missing, shape (n,)."""
    complete = np.ones(table.n, bool)
    for column in columns:
        complete &= ~np.isnan(table.columns[column])
    return complete


def refuse_saturated(table: Table, n_coefficients: int) -> None:
    """Refuse sums in clear of more coefficients than a third of the cases (rule R4).

    Raises:
        Refused: COHORT_TOO_SMALL; never where the sums will be masked.
    """
    if table.smallest_cell and n_coefficients > MOST_COEFFICIENTS_A_CASE * table.n:
        detail = f"{n_coefficients} coefficients from {table.n} complete cases"
        raise Refused(Reason.COHORT_TOO_SMALL, detail)


def saturated(first: Sums, n_coefficients: int) -> str | None:
    """Say why a regression has too many coefficients for all its patients (rule R4).

    A site knows its own patients and takes them times the sites; where a selection, or missing
    values, leave patients at few sites, the others do not object. What all have together stands
    in the first total: with it the coordinator stops, before anybody is asked for derivatives.

    Args:
        first: the total of counts, with `n_patients`: those without a missing value.
        n_coefficients: of the largest model.
    """
    n = int(first["n_patients"])
    if n_coefficients <= MOST_COEFFICIENTS_A_CASE * n:
        return None
    return f"{n_coefficients} coefficients are more than a third of {n} patients: take fewer"


@dataclass(frozen=True, slots=True)
class Scale:
    """Constants that bring columns to a common size, each of shape (p,).

    A spread is infinite where a column is left out: see `without`.
    """

    centre: Floats
    spread: Floats

    def without(self, columns: NDArray[np.bool_]) -> "Scale":
        """Return a scale on which some columns are 0 for all, so that no fit holds them.

        Args:
            columns: which, shape (p,).
        """
        return Scale(self.centre, np.where(columns, np.inf, self.spread))

    def apply(self, x: Floats) -> Floats:
        """Return (x - centre) / spread."""
        scaled: Floats = (x - self.centre) / self.spread
        return scaled

    def coefficients(self, beta: Floats) -> Floats:
        """Return coefficients of scaled columns as those of the columns themselves.

        Args:
            beta: intercept first, shape (..., 1 + p).
        """
        slopes = beta[..., 1:] / self.spread
        intercept = beta[..., :1] - (slopes * self.centre).sum(-1, keepdims=True)
        return np.concatenate([intercept, slopes], axis=-1)

    def covariance(self, cov: Floats) -> Floats:
        """Return the covariance of the same, shape (..., 1 + p, 1 + p)."""
        A = np.diag(np.concatenate([[1.0], 1.0 / self.spread]))
        A[0, 1:] = -self.centre / self.spread
        unscaled: Floats = A @ cov @ A.T
        return unscaled


def sizes_schema(p: int) -> Schema:
    """Declare what `sizes` sends."""
    return wide_schema("sum", (p,), (p,), behind="n_patients")


def sizes(x: Floats) -> Sums:
    """Return sums and magnitudes of columns, of whatever size; x has shape (n, p)."""
    return wide_sums("sum", x.sum(0), np.abs(x).sum(0))


def read_sizes(total: Sums) -> tuple[Floats, Floats]:
    """Return sums and magnitudes of columns, each of shape (p,)."""
    return read_wide("sum", total)


def rough_scale(n: int, total: Floats, total_abs: Floats) -> Scale:
    """Return mean and mean magnitude of columns from one round of sums.

    Enough to keep the sums of later rounds small and well conditioned: a fit without a
    penalty does not depend on these constants. Columns of zeros keep a spread of one.
    """
    magnitude = np.asarray(total_abs, np.float64) / max(n, 1)
    spread = np.where(magnitude > 0, magnitude, 1.0)
    return Scale(np.asarray(total, np.float64) / max(n, 1), spread)
