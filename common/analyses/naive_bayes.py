"""Gaussian naive Bayes: a mean and a variance by class and column."""

from collections.abc import Mapping
from typing import Literal, Self

import numpy as np
from pydantic import Field, model_validator

from common.analyses.analysis import Answer, Ask, Json, Solve
from common.analyses.class_moments import ClassMoments, find_moments, moments_here, moments_schema
from common.analyses.classifier import (
    Contract,
    cases_of,
    check_numbers,
    check_setting,
    made_columns,
    predictions,
    printed_counts,
    too_few,
    unfitted,
)
from common.analyses.logit import probability
from common.analyses.outcome import event_level
from common.analyses.plain import floats, plain
from common.cohort import Column
from common.step import Step, expand_patterns
from common.sums import Schema, Sums
from common.table import Floats, Table


class NaiveBayes(Step):
    """Predict by columns that are normal and independent within each class.

    Variances with n, plus `smoothing` times the column's variance in both classes, so
    that the unit of a column does not matter; scikit-learn's GaussianNB on standardised
    columns is the same. A constant column says nothing. Complete cases only.

    Rounds: 2, whatever the folds; 3 where the classes lie a hundred SDs apart in a column.
    Message: 3 numbers by fold, class and column. Nothing by class before both have cases
    enough.
    """

    kind: Literal["naive_bayes"] = "naive_bayes"
    outcome: str = Field(description="a category, or an integer of range 0 to 1")
    positive: str = Field(default="", description="level that is the event")
    of: tuple[str, ...] = Field(min_length=1, description="columns of numbers")
    smoothing: float = Field(default=1e-9, gt=0, description="share of a column's variance")
    folds: int = Field(default=0, ge=0, le=50, description="cross-validated predictions; 0: none")

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        check_setting(self.outcome, self.of, self.folds)
        return self

    def columns(self) -> tuple[str, ...]:
        """Return the columns it reads."""
        return (self.outcome, *self.of)

    def expand(self, known: tuple[str, ...]) -> "NaiveBayes":
        """Return the step with patterns such as "radiomics.*" spelled out."""
        names = [c for c in expand_patterns(self.of, known) if c != self.outcome]
        return self.model_copy(update={"of": tuple(names)})

    def produces(self) -> Mapping[str, Column]:
        """Return the probability, and that of the fit that had not seen the case."""
        return made_columns(self.folds)

    def schema(self, ask: Ask, contract: Contract) -> Schema:
        """Return what one site sends: totals, then deviations by fold and class."""
        return moments_schema(ask, self.folds, len(self.of))

    def summarise(self, table: Table, ask: Ask) -> Sums:
        """Return one site's sums over its complete cases."""
        cases = cases_of(table, self.outcome, self.positive, self.of, self.folds)
        return moments_here(ask, table, cases, self.folds)

    def solve(self, contract: Contract, *, alone: bool = False) -> Solve:
        """Ask for means and variances by fold and class; put them together."""
        event_level(contract, self.outcome, self.positive)
        check_numbers(self.of, contract)
        first = yield Ask("totals")
        note = too_few(first, self.folds)
        if note:
            return unfitted(first, note)
        moments = yield from find_moments(first, self.folds)
        values: dict[str, Json] = {
            **printed_counts(first),
            "converged": True,
            "note": None,
            "terms": self._terms(moments),
            "mode": "exact",
        }
        variance = moments.variance + self.smoothing * moments.unit[:, None] ** 2
        varies = np.broadcast_to(moments.sd[:, None] > 0, variance.shape)
        arrays = {"n": moments.n, "mean": moments.mean, "variance": variance}
        return Answer(values, {**arrays, "varies": varies.astype(np.float64)})

    def columns_from(self, table: Table, answer: Answer) -> Mapping[str, Floats]:
        """Return the probabilities; NaN where a column is missing."""
        if "mean" not in answer.arrays:
            return predictions(table, self.of, self.folds, None)
        names = ("n", "mean", "variance", "varies")
        n, mean, variance, varies = (floats(answer.arrays[name]) for name in names)

        def predict(x: Floats, problem: int) -> Floats:
            off = (x[:, None] - mean[problem]) ** 2 / variance[problem]
            density = -0.5 * varies[problem] * (np.log(variance[problem]) + off)
            log = np.log(n[problem]) + density.sum(axis=2)
            return probability(log[:, 1] - log[:, 0])

        return predictions(table, self.of, self.folds, predict)

    def _terms(self, moments: ClassMoments) -> dict[str, Json]:
        """Return mean and SD by class, and their difference in common SDs."""
        mean, variance = moments.mean[0], moments.variance[0]
        common = np.sqrt(variance.mean(axis=0))
        apart = (mean[1] - mean[0]) / np.where(common > 0, common, np.nan)
        return {
            name: {
                "mean_events": plain(mean[1, j]),
                "mean_non_events": plain(mean[0, j]),
                "sd_events": plain(np.sqrt(variance[1, j])),
                "sd_non_events": plain(np.sqrt(variance[0, j])),
                "standardised_difference": plain(apart[j]),
            }
            for j, name in enumerate(self.of)
        }
