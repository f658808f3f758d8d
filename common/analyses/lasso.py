"""LASSO, elastic net and ridge with cross-validated lambda: a radiomics score."""

from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal, Self

import numpy as np
from pydantic import Field, model_validator

from common.analyses import lasso_linear, lasso_logistic, lasso_sums
from common.analyses.analysis import Answer, Ask, Solve
from common.analyses.design import (
    Contract,
    Scale,
    matrix_of,
    read_sizes,
    rough_scale,
    sizes,
    sizes_schema,
    terms_of,
    with_intercept,
)
from common.analyses.lasso_answer import Choice, answer_of, without_path
from common.analyses.lasso_path import Shape
from common.analyses.logit import probability
from common.analyses.outcome import NO_CASE, complete, event_level, events, lacks_classes
from common.analyses.plain import floats
from common.analyses.publish import FEW_CASES, few
from common.analyses.rare_levels import unseen_levels
from common.cohort import Column
from common.step import Step, expand_patterns
from common.sums import Array, Schema, Sums, cells, count
from common.table import Floats, Table

_MOST_IN_RIDGE = 100
_SMALLEST, _SMALLEST_OF_RIDGE = 0.05, 1e-6  # the first lambda of a ridge is 1000 times as large


class Lasso(Step):
    """Select columns and weigh them into a score: rad-score by LASSO.

    Minimises -l(b)/n + lambda (alpha |b|_1 + (1 - alpha)/2 b'b), the intercept free and
    columns standardised on the cases of each fit (Friedman, Hastie, Tibshirani, J Stat
    Softw 33:1, 2010), with l = -RSS/2 for the linear family. Lambda by K-fold
    cross-validation of the deviance; the whole path, all folds and the fit of all cases
    run side by side.

    Logistic: proximal Newton (`lasso_climb`), started from the LASSO of one quadratic
    around the null model; each round carries, of every lambda and fold still running, the
    gradient on all columns and the curvature on those near its active set. So lambdas do
    not wait for each other, and no fold's Gram matrix of all columns is sent. It ends
    when the conditions of a minimum hold on all columns to 1e-9 of lambda's unit; `kkt`
    is the largest violation. Held-out deviances ride along.

    Linear: one Gram matrix a fold holds everything.

    The larger half of the lambdas goes first; the smaller half, whose fits are large,
    is left out where the error has by then risen a standard error above its least.

    Rounds: linear 2. Logistic 3 for scale, moments and start, and about 5 for the larger
    lambdas; the smaller ones, if needed, 6 to 10 more: 8 to 21 in all for 400 columns,
    40 lambdas and 10 folds.
    Message: logistic, in that case 2 MB a round for the larger lambdas, up to 20 MB for
    the smaller; linear K (p + 2) (p + 3) / 2 reals once. Only in masked sums: of many
    columns such products would tell of patients (rule R5).

    `score_oof` is the score of each case by the fit without its fold, at the lambda that
    the same folds chose, so it is a little optimistic; for an honest estimate test on
    other sites. A later step reads the columns selected as `@<step>.selected`. Levels that
    fewer than five cases have stay out of the path (`rare_levels`).
    """

    only_masked: ClassVar[bool] = True
    answers_alone: ClassVar[bool] = False

    kind: Literal["lasso"] = "lasso"
    outcome: str
    positive: str = Field(default="", description="level that is the event")
    of: tuple[str, ...] = Field(min_length=1, description="columns to select from")
    family: Literal["logistic", "linear"] = "logistic"
    alpha: float = Field(
        default=1.0, ge=0, le=1, description="1: LASSO, 0: ridge, between: elastic net"
    )
    lambdas: int = Field(default=40, ge=2, le=100, description="length of the path")
    smallest: Annotated[float, Field(gt=0, lt=1)] | None = Field(
        default=None, description="last lambda as a share of the first; else 0.05, of a ridge 1e-6"
    )
    folds: int = Field(default=10, ge=3, le=20)
    choose: Literal["min", "1se"] = Field(
        default="min", description="lambda of the least error, or the sparser 1-SE rule"
    )

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.outcome in self.of:
            raise ValueError(f'"{self.outcome}" is the outcome')
        if self.family == "linear" and self.positive:
            raise ValueError("positive: a linear outcome has no event")
        return self

    def columns(self) -> tuple[str, ...]:
        """Return the columns it reads."""
        return (self.outcome, *self.of)

    def expand(self, known: tuple[str, ...]) -> "Lasso":
        """Return the step with patterns such as "radiomics.*" spelled out."""
        names = [c for c in expand_patterns(self.of, known) if c != self.outcome]
        return self.model_copy(update={"of": tuple(names)})

    def produces(self) -> Mapping[str, Column]:
        """Return the score, also out of fold; of a logistic family probabilities too."""
        made = {name: Column(type="number") for name in ("score", "score_oof")}
        if self.family == "logistic":
            for name in ("probability", "probability_oof"):
                made[name] = Column(type="number", range=(0, 1))
        return made

    def chooses(self) -> Mapping[str, tuple[str, ...]]:
        """Return the columns, of which `selected` names some."""
        return {"selected": self.of}

    def schema(self, ask: Ask, contract: Contract) -> Schema:
        """Return what one site sends for this ask."""
        p = len(terms_of(self.of, contract))
        counts = {"n": count(), "n_patients": count()}
        if ask.phase == "scale":
            more = {"n_cases": count(), "classes": cells(2)}
            return {**counts, **more, **sizes_schema(p + 1)}
        if self.family == "linear":
            return {**counts, **lasso_linear.schema_of(p, self.folds)}
        return {**counts, **lasso_sums.schema_of(ask, p, self.folds)}

    def summarise(self, table: Table, ask: Ask) -> Sums:
        """Return one site's sums over its complete cases."""
        here = complete(table, self.columns())
        x, y = matrix_of(here, terms_of(self.of, here.contract)), self._outcome(here)
        counts = {"n": np.array(here.n), "n_patients": np.array(here.n_patients)}
        if ask.phase == "scale":
            both = np.column_stack([x, y])
            return counts | {
                "n_cases": np.array(table.n),
                "classes": self._classes(y),
                **sizes(both),
            }
        scale = Scale(floats(ask.arrays["centre"]), floats(ask.arrays["spread"]))
        z, fold = scale.apply(x), here.folds(self.folds)
        if self.family == "linear":
            centre, spread = floats(ask.arrays["outcome"])
            scaled = (y - centre) / spread
            return {**counts, **lasso_linear.sums_of(z, scaled, fold, self.folds)}
        shape = (self.folds, self.lambdas)
        return {**counts, **lasso_sums.sums_of(ask, z, y, fold, shape)}

    def solve(self, contract: Contract, *, alone: bool = False) -> Solve:
        """Ask for the scale, then for the path."""
        self._check(contract)
        terms = terms_of(self.of, contract)
        first = yield Ask("scale")
        n, (total, size) = int(first["n"]), read_sizes(first)
        if few(n):
            return without_path(first, FEW_CASES)
        # The next sums are by class: of one case of a class they would be its row.
        why = lacks_classes(first["classes"]) if self.family == "logistic" else None
        if why or not n:
            return without_path(first, why or NO_CASE)
        unseen = unseen_levels(terms, contract, (n, total[:-1]))
        scale = rough_scale(n, total[:-1], size[:-1]).without(unseen.among(terms))
        left_out = unseen.words(terms)
        smallest = self.smallest or (_SMALLEST if self.alpha else _SMALLEST_OF_RIDGE)
        shape = Shape(self.alpha, self.lambdas, smallest)
        if self.family == "linear":
            outcome = rough_scale(n, total[-1:], size[-1:])
            path = yield from lasso_linear.fit_path(scale, outcome, shape)
        else:
            path = yield from lasso_logistic.fit_path(scale, shape)
        if isinstance(path, str):
            return without_path(first, "; ".join([path, *([left_out] if left_out else [])]))
        return answer_of(path, Choice(terms, self.family, self.choose, left_out), first)

    def columns_from(self, table: Table, answer: Answer) -> Mapping[str, Floats]:
        """Return the scores; NaN where a selected column is missing."""
        if "coefficients" not in answer.arrays:
            return {name: np.full(table.n, np.nan) for name in self.produces()}
        beta = floats(answer.arrays["coefficients"])
        x = with_intercept(matrix_of(table, terms_of(self.of, table.contract)))
        used = (beta != 0).any(0)
        mine = beta[table.folds(self.folds) + 1][:, used]
        score = x[:, used] @ beta[0, used]
        made = {"score": score, "score_oof": (x[:, used] * mine).sum(1)}
        if self.family == "logistic":
            made["probability"] = probability(made["score"])
            made["probability_oof"] = probability(made["score_oof"])
        return made

    def _check(self, contract: Contract) -> None:
        p = len(terms_of(self.of, contract))
        if self.family == "linear":
            if contract[self.outcome].type == "category":
                raise ValueError(f'outcome "{self.outcome}": expected a number')
            return
        event_level(contract, self.outcome, self.positive)
        if self.alpha == 0 and p > _MOST_IN_RIDGE:
            raise ValueError(
                f"a logistic ridge takes at most {_MOST_IN_RIDGE} columns, got {p}; "
                f"with alpha: 0.1 it selects"
            )

    def _outcome(self, table: Table) -> Floats:
        if self.family == "linear":
            return table.columns[self.outcome]
        return events(table, self.outcome, self.positive)

    def _classes(self, y: Floats) -> Array:
        if self.family == "linear":
            return np.zeros(2, np.int64)
        return np.bincount(y.astype(np.int64), minlength=2)
