"""Logistic regression: odds ratios of one or several models, in the same rounds."""

from collections.abc import Mapping
from typing import Annotated, Literal, Self

import numpy as np
from pydantic import Field, model_validator

from common.analyses.analysis import Answer, Ask, Solve
from common.analyses.design import (
    Contract,
    Scale,
    matrix_of,
    read_sizes,
    refuse_saturated,
    rough_scale,
    saturated,
    sizes,
    sizes_schema,
    with_intercept,
)
from common.analyses.logistic_answer import Setting, answer_of, without_models
from common.analyses.logistic_fit import Plan, Rules, fit_all, plan_of
from common.analyses.logit import probability
from common.analyses.logit_asks import logit_schema, logit_sums
from common.analyses.newton import Ints
from common.analyses.outcome import complete, event_level, events, lacks_classes
from common.analyses.plain import floats
from common.analyses.rare_levels import merged_matrix, unseen_levels
from common.cohort import Column, Name
from common.step import Step, expand_models
from common.sums import Array, Schema, Sums, cells, count
from common.table import Floats, Table


class Logistic(Step):
    """Fit one or several logistic models on the same complete cases.

    Maximum likelihood by Newton's method (McCullagh, Nelder, Generalized Linear Models,
    1989), steps halved where the likelihood falls. Wald intervals and tests;
    likelihood-ratio tests against the null model and between all nested models;
    R2 of Nagelkerke (Biometrika 78:691, 1991).

    Separation is found by a certificate (`newton`), usually in the second to sixth
    round. Firth's penalised likelihood then takes the place of a model without maximum,
    with likelihood-ratio p values and profile-likelihood intervals; tests of a smaller
    model within it keep its penalty, as R's logistf does. Standard errors are from the
    inverse of X'WX there (Heinze, Schemper, Stat Med 21:2409, 2002).

    With folds, each model is also fitted K times without one fold of patients, in the
    same rounds; `probability_oof` predicts a case by the fit that had not seen it.

    Rounds: 6 to 8, one of them for the scale of the columns; where a model is
    separated, about 12 more for Firth's fit and 8 for its intervals.
    Message: A (q (q + 1) / 2 + q + 3) reals a round for A running fits of q
    coefficients; Firth's adds A q (q + 1) (q + 2) / 6.
    """

    kind: Literal["logistic"] = "logistic"
    outcome: str = Field(description="a category, or an integer of range 0 to 1")
    positive: str = Field(default="", description="level that is the event, if not the second")
    models: dict[Name, tuple[str, ...]] = Field(
        min_length=1, description="columns of each model, by the model's name"
    )
    firth: Literal["auto", "always", "never"] = Field(
        default="auto", description="penalised likelihood: where separated, for all, for none"
    )
    ridge: float = Field(
        0.0,
        ge=0,
        description="r of a penalty r/2 sum (sd_j beta_j)^2; no intervals then",
    )
    folds: int = Field(default=0, ge=0, le=50, description="cross-validated predictions; 0: none")
    level: Annotated[float, Field(gt=0, lt=1)] = 0.95

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        for name, of in self.models.items():
            if not of or len(set(of)) < len(of):
                raise ValueError(f'model "{name}": expected distinct columns, got {of}')
            if self.outcome in of:
                raise ValueError(f'model "{name}": "{self.outcome}" is the outcome')
        if self.folds == 1:
            raise ValueError("folds: expected 0, or 2 and more, got 1")
        if self.ridge and self.firth == "always":
            raise ValueError("ridge and firth: always are two penalties; choose one")
        return self

    def expand(self, known: tuple[str, ...]) -> "Logistic":
        """Return the step with patterns such as "radiomics.*" spelled out."""
        models = expand_models(self.models, known, (self.outcome,))
        return self.model_copy(update={"models": models})

    def columns(self) -> tuple[str, ...]:
        """Return the columns it reads."""
        return tuple(dict.fromkeys([self.outcome, *sum(self.models.values(), ())]))

    def produces(self) -> Mapping[str, Column]:
        """Return linear predictor and probabilities of each model."""
        made: dict[str, Column] = {}
        for name in self.models:
            prefix = self._prefix(name)
            made[f"{prefix}linear_predictor"] = Column(type="number")
            made[f"{prefix}probability"] = Column(type="number", range=(0, 1))
            if self.folds:
                made[f"{prefix}probability_oof"] = Column(type="number", range=(0, 1))
        return made

    def schema(self, ask: Ask, contract: Contract) -> Schema:
        """Return what one site sends: counts and sizes, then derivatives."""
        p = len(self._plan(contract).terms)
        counts = {"n": count(), "n_patients": count()}
        if ask.phase == "scale":
            more = {"classes": cells(2), "held_out": cells(self.folds)}
            return {"n_cases": count(), **counts, **more, **sizes_schema(p)}
        return {**counts, **logit_schema(ask)}

    def summarise(self, table: Table, ask: Ask) -> Sums:
        """Return one site's sums over its complete cases."""
        plan = self._plan(table.contract)
        here = complete(table, self.columns())
        y, x = events(here, self.outcome, self.positive), merged_matrix(here, plan.terms)
        counts = {"n": np.array(here.n), "n_patients": np.array(here.n_patients)}
        fold = here.folds(max(self.folds, 1))
        if ask.phase == "scale":
            refuse_saturated(here, int(plan.used.sum(1).max()))
            return {
                "n_cases": np.array(table.n),
                **counts,
                "classes": np.bincount(y.astype(np.int64), minlength=2),
                "held_out": np.bincount(fold, minlength=self.folds)[: self.folds],
                **sizes(x),
            }
        scale = Scale(floats(ask.arrays["centre"]), floats(ask.arrays["spread"]))
        return counts | _at_points(plan, ask, with_intercept(scale.apply(x)), y, fold)

    def solve(self, contract: Contract, *, alone: bool = False) -> Solve:
        """Ask for counts and scale, then climb; again with a penalty where needed."""
        event_level(contract, self.outcome, self.positive)
        plan = self._plan(contract)
        first = yield Ask("scale")
        n0, n1 = (int(c) for c in first["classes"])
        note = lacks_classes((n0, n1)) or saturated(first, int(plan.used.sum(1).max()))
        if note:
            return without_models(self.models, first, note)
        total, size = read_sizes(first)
        unseen = unseen_levels(plan.terms, contract, (n0 + n1, total), alone=alone)
        scale = rough_scale(n0 + n1, total, size).without(unseen.among(plan.terms))
        rules = Rules(self.firth, self.ridge, self.level)
        fitted = yield from fit_all(plan, scale, n1 / (n0 + n1), rules)
        how = self.level, self.ridge, self.firth
        setting = Setting(plan, scale, (n0, n1), *how, unseen)
        return answer_of(setting, fitted, first)

    def columns_from(self, table: Table, answer: Answer) -> Mapping[str, Floats]:
        """Return the predictions of each model; NaN where a covariate is missing."""
        if "coefficients" not in answer.arrays:
            return {name: np.full(table.n, np.nan) for name in self.produces()}
        plan = self._plan(table.contract)
        beta = floats(answer.arrays["coefficients"])
        x = with_intercept(matrix_of(table, plan.terms))
        made: dict[str, Floats] = {}
        for m, name in enumerate(self.models):
            used, prefix = plan.used[m], self._prefix(name)
            eta = x[:, used] @ beta[m, used]
            made[f"{prefix}linear_predictor"] = eta
            made[f"{prefix}probability"] = probability(eta)
            if self.folds:
                mine = beta[(table.folds(self.folds) + 1) * len(self.models) + m]
                eta = (x[:, used] * mine[:, used]).sum(1)
                made[f"{prefix}probability_oof"] = probability(eta)
        return made

    def _prefix(self, model: str) -> str:
        return "" if len(self.models) == 1 else f"{model}_"

    def _plan(self, contract: Contract) -> Plan:
        return plan_of(self.models, self.folds, contract)


def _at_points(plan: Plan, ask: Ask, design: Floats, y: Floats, fold: Ints) -> dict[str, Array]:
    """Return the running problems' derivatives, each on its columns and folds."""
    parts: dict[str, list[Array]] = {}
    for i, problem in enumerate(ask.arrays["problems"]):
        keep = fold != plan.left_out(int(problem))
        x = (design[keep] * plan.used_by(int(problem)))[None]
        for name, sum_ in logit_sums(ask, x, y[keep], slice(i, i + 1)).items():
            parts.setdefault(name, []).append(sum_)
    return {name: np.concatenate(of) for name, of in parts.items()}
