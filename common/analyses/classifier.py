"""What all classifiers share: who takes part, the folds, and the columns they add.

Outcome: a category's level or 0/1. Only cases with a value in every column take part;
a case that lacks one has no prediction. Problem 0 is the fit on all cases, problem k + 1
the fit without fold k; all problems ride in the same rounds.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from common.analyses.analysis import Answer, Json
from common.analyses.outcome import complete, events, lacks_classes
from common.analyses.plain import whole
from common.analyses.publish import shown_counts
from common.cohort import Column
from common.known import KNOWN
from common.sums import Array, Schema, Sums, cells, count
from common.table import Floats, Table

Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]
Contract = Mapping[str, Column]
Predict: TypeAlias = Callable[[Floats, int], Floats]

_FEWEST = 10  # cases of each class, over all sites (rule R2)


@dataclass(frozen=True)
class Cases:
    """A site's complete cases.

    Attributes:
        x: shape (n, p).
        y: 1 for the event, shape (n,).
        fold: of each case, zeros without folds, shape (n,).
        patients: of each case, shape (n,).
        key: the study's key for draws that follow a patient.
    """

    x: Floats
    y: Floats
    fold: Ints
    patients: NDArray[np.str_]
    key: str

    @cached_property
    def n_patients(self) -> int:
        """Number of distinct patients."""
        return len(np.unique(self.patients))

    def trains(self, problem: int, folds: int) -> Bools:
        """Return which cases a problem is fitted on, shape (n,)."""
        if problem == 0 or not folds:
            return np.ones(len(self.y), np.bool_)
        train: Bools = self.fold != problem - 1
        return train

    def problems(self, folds: int) -> list[Bools]:
        """Return which cases each problem is fitted on."""
        return [self.trains(i, folds) for i in range(folds + 1)]


def check_setting(outcome: str, of: Sequence[str], folds: int) -> None:
    """Refuse a setting that cannot be meant.

    Raises:
        ValueError: with what was expected.
    """
    if len(set(of)) < len(of):
        raise ValueError(f"of: expected distinct columns, got {list(of)}")
    if outcome in of:
        raise ValueError(f'"{outcome}" is the outcome')
    if folds == 1:
        raise ValueError("folds: expected 0, or 2 and more, got 1")


def check_numbers(of: Sequence[str], contract: Contract) -> None:
    """Refuse categories among the columns.

    Raises:
        ValueError: names them.
    """
    categories = [c for c in of if contract[c].type == "category"]
    if categories:
        raise ValueError(f"expected columns of numbers, got categories: {categories}")


def made_columns(folds: int) -> dict[str, Column]:
    """Return the columns a classifier adds."""
    probability = Column(type="number", range=(0, 1))
    names = ("probability", "probability_oof") if folds else ("probability",)
    return dict.fromkeys(names, probability)


def cases_of(table: Table, outcome: str, positive: str, of: Sequence[str], folds: int) -> Cases:
    """Return the complete cases of a table, which are not to be changed."""

    def make() -> Cases:
        here = complete(table, (outcome, *of))
        y = events(here, outcome, positive)
        return Cases(
            here.by_column(of).T, y, here.folds(max(folds, 1)), here.patients, here.fold_key
        )

    return KNOWN.of(table, ("cases", outcome, positive, tuple(of), folds), make)


def counts_schema(folds: int) -> Schema:
    """Declare the counts of the first round."""
    return {"n_cases": count(), **size_schema(), "classes": cells(max(folds, 1), 2)}


def size_schema() -> Schema:
    """Declare the counts behind every other round."""
    return {"n": count(), "n_patients": count()}


def counts_here(table: Table, cases: Cases, folds: int) -> dict[str, Array]:
    """Return the counts of the first round, classes by fold."""
    flat = 2 * cases.fold + cases.y.astype(np.int64)
    classes = np.bincount(flat, minlength=2 * max(folds, 1)).reshape(-1, 2)
    return {"n_cases": np.array(table.n), **size_here(cases), "classes": classes}


def size_here(cases: Cases) -> dict[str, Array]:
    """Return the counts behind every other round."""
    return {"n": np.array(len(cases.y)), "n_patients": np.array(cases.n_patients)}


def classes_by_problem(first: Sums, folds: int) -> Ints:
    """Return the cases of each class that a problem is fitted on, shape (folds + 1, 2)."""
    by_fold = whole(first["classes"])
    everyone = by_fold.sum(axis=0)
    return np.stack([everyone, *(everyone - by_fold[k] for k in range(folds))])


def too_few(first: Sums, folds: int) -> str | None:
    """Say why no classifier can be fitted; None where one can."""
    classes = classes_by_problem(first, folds)
    if not classes[0].all():
        return lacks_classes(classes[0])
    if classes.min() < _FEWEST:
        return f"a class has fewer than {_FEWEST} cases, in all or without a fold"
    return None


def printed_counts(first: Sums) -> dict[str, Json]:
    """Return what an answer says of the cases."""
    n = int(first["n"])
    none, with_event = shown_counts([int(c) for c in whole(first["classes"]).sum(axis=0)])
    return {
        "n": n,
        "n_excluded": int(first["n_cases"]) - n,
        "n_patients": int(first["n_patients"]),
        "events": with_event,
        "non_events": none,
    }


def unfitted(first: Sums, note: str) -> Answer:
    """Return the answer of a step that could not be fitted."""
    return Answer({**printed_counts(first), "converged": False, "note": note, "mode": "exact"})


def predictions(
    table: Table, of: Sequence[str], folds: int, predict: Predict | None
) -> dict[str, Floats]:
    """Return the columns of a site's rows, NaN where a value is missing.

    Args:
        table: all rows.
        of: columns the prediction is made of.
        folds: K; a case of fold k is predicted by problem k + 1 out of fold.
        predict: probability of rows, shape (n, p), by a problem; None without a fit.
    """
    out = {name: np.full(table.n, np.nan) for name in made_columns(folds)}
    x = table.matrix(of)
    there = ~np.isnan(x).any(axis=1)
    if predict is None or not there.any():
        return out
    out["probability"][there] = predict(x[there], 0)
    if folds:
        fold = table.folds(folds)
        for k in range(folds):
            rows = there & (fold == k)
            if rows.any():
                out["probability_oof"][rows] = predict(x[rows], k + 1)
    return out
