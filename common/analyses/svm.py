"""Support vector machines by sums: linear, or radial by random Fourier features."""

from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal, Self

import numpy as np
from pydantic import Field, model_validator

from common.analyses.analysis import Answer, Ask, Json, Solve
from common.analyses.class_moments import (
    PHASES,
    ClassMoments,
    find_moments,
    moments_here,
    moments_schema,
)
from common.analyses.classifier import (
    Cases,
    Contract,
    cases_of,
    check_numbers,
    check_setting,
    made_columns,
    predictions,
    printed_counts,
    size_here,
    size_schema,
    too_few,
    unfitted,
)
from common.analyses.design import MOST_COEFFICIENTS_A_CASE
from common.analyses.logit import probability
from common.analyses.newton import CONVERGED, climb, maximise
from common.analyses.outcome import event_level
from common.analyses.plain import floats
from common.analyses.svm_sums import (
    Machine,
    Margin,
    Sigmoid,
    hinge_schema,
    hinge_sums,
    sigmoid_schema,
    sigmoid_sums,
)
from common.cohort import Column
from common.seeds import numpy_rng
from common.step import Step, expand_patterns
from common.sums import Array, Schema, Sums
from common.table import Floats, Table

_FARTHEST = 1e6  # a decision beyond it, of a case a million SDs off, is as certain


class Svm(Step):
    """Fit a support vector machine with squared hinge, and a probability on top.

    Minimises w'w / 2 + C sum max(0, 1 - t f)^2, f linear in columns standardised on the
    cases of each fit, the intercept penalised with the weights as LIBLINEAR does (Fan et
    al., JMLR 9:1871, 2008), by Newton's steps (Keerthi, DeCoste, JMLR 6:341, 2005).
    Kernel "rbf_features": f is linear in `features` random cosines whose products
    approach exp(-gamma |x - x'|^2), with an error of 1 / sqrt(features) (Rahimi, Recht,
    NIPS 2007); no exact kernel machine is possible without rows.

    Probability: Platt's sigmoid (Platt, Adv Large Margin Classif, 1999) of the decisions
    out of fold; that of a case out of fold by a sigmoid on the other folds. Without
    folds the decisions are those of the fit itself, and the probabilities too extreme.

    Complete cases only. At most a third of the cases in coefficients (rule R4).

    Rounds: 2 for means and spreads (3 where `naive_bayes` takes 3), 7 to 10 for all machines
    (16 for C = 10), 5 to 8 for the sigmoids.
    Message: (folds + 1) (q (q + 1) / 2 + q + 1) reals for q coefficients. Only in masked
    sums, as a round's curvature is of the few cases inside the margin.
    """

    only_masked: ClassVar[bool] = True
    answers_alone: ClassVar[bool] = False

    kind: Literal["svm"] = "svm"
    outcome: str = Field(description="a category, or an integer of range 0 to 1")
    positive: str = Field(default="", description="level that is the event")
    of: tuple[str, ...] = Field(min_length=1, description="columns of numbers")
    kernel: Literal["linear", "rbf_features"] = "linear"
    penalty: Annotated[float, Field(gt=0)] = Field(default=0.1, description="C")
    features: int = Field(default=100, ge=10, le=500, description="cosines of rbf_features")
    gamma: float = Field(default=0.0, ge=0, description="of the kernel; 0: 1 / columns")
    folds: int = Field(default=5, ge=0, le=20, description="for the sigmoid and predictions")
    seed: int = 0

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        check_setting(self.outcome, self.of, self.folds)
        return self

    def columns(self) -> tuple[str, ...]:
        """Return the columns it reads."""
        return (self.outcome, *self.of)

    def expand(self, known: tuple[str, ...]) -> "Svm":
        """Return the step with patterns such as "radiomics.*" spelled out."""
        names = [c for c in expand_patterns(self.of, known) if c != self.outcome]
        return self.model_copy(update={"of": tuple(names)})

    def produces(self) -> Mapping[str, Column]:
        """Return the probability, and that of the machine that had not seen the case."""
        return made_columns(self.folds)

    def schema(self, ask: Ask, contract: Contract) -> Schema:
        """Return what one site sends: moments, then derivatives."""
        if ask.phase in PHASES:
            return moments_schema(ask, self.folds, len(self.of))
        derivatives = hinge_schema(ask) if ask.phase == "hinge" else sigmoid_schema(ask)
        return {**size_schema(), **derivatives}

    def summarise(self, table: Table, ask: Ask) -> Sums:
        """Return one site's sums over its complete cases."""
        cases = cases_of(table, self.outcome, self.positive, self.of, self.folds)
        if ask.phase in PHASES:
            return moments_here(ask, table, cases, self.folds)
        machine = Machine.read(ask.arrays)
        trains = cases.problems(self.folds)
        if ask.phase == "hinge":
            return {**size_here(cases), **hinge_sums(ask, machine, cases, trains)}
        decisions = self._decisions(machine, cases, floats(ask.arrays["weights"]))
        return {**size_here(cases), **sigmoid_sums(ask, decisions, cases.y, trains)}

    def solve(self, contract: Contract, *, alone: bool = False) -> Solve:
        """Fit all machines side by side, then all sigmoids."""
        event_level(contract, self.outcome, self.positive)
        check_numbers(self.of, contract)
        first = yield Ask("totals")
        note = too_few(first, self.folds) or self._too_many(int(first["n"]))
        if note:
            return unfitted(first, note)
        moments = yield from find_moments(first, self.folds)
        machine = self._machine(moments)
        size = self.folds + 1, 1 + machine.n_features
        margin = Margin(machine, self.penalty)
        climbing = maximise(np.zeros(size), np.ones(size, bool))
        fit = yield from climb(climbing, margin.ask, margin.read)
        sigmoid = Sigmoid(machine, fit.beta, moments.n)
        climbing = maximise(sigmoid.start(), np.ones((size[0], 2), bool))
        scaled = yield from climb(climbing, sigmoid.ask, sigmoid.read)
        values: dict[str, Json] = {
            **printed_counts(first),
            "converged": bool((fit.state == CONVERGED).all() and (scaled.state == CONVERGED).all()),
            "note": None if self.folds else "without folds the probabilities are too extreme",
            "kernel": self.kernel,
            "objective": float(-fit.value[0]),
            **self._weights(machine, moments, fit.beta[0]),
            "mode": "exact",
        }
        if self.kernel == "rbf_features":
            values["features"], values["gamma"] = self.features, self._gamma
        arrays = {"weights": fit.beta, "sigmoid": scaled.beta, **machine.arrays()}
        return Answer(values, arrays)

    def columns_from(self, table: Table, answer: Answer) -> Mapping[str, Floats]:
        """Return the probabilities; NaN where a column is missing."""
        if "weights" not in answer.arrays:
            return predictions(table, self.of, self.folds, None)
        machine = Machine.read(answer.arrays)
        weights, sigmoid = floats(answer.arrays["weights"]), floats(answer.arrays["sigmoid"])

        def predict(x: Floats, problem: int) -> Floats:
            f = machine.design(x, problem) @ weights[problem]
            return probability(sigmoid[problem, 0] + sigmoid[problem, 1] * f)

        return predictions(table, self.of, self.folds, predict)

    @property
    def _gamma(self) -> float:
        return self.gamma or 1.0 / len(self.of)

    def _too_many(self, n: int) -> str | None:
        q = 1 + (len(self.of) if self.kernel == "linear" else self.features)
        if q <= MOST_COEFFICIENTS_A_CASE * n:
            return None
        most = int(MOST_COEFFICIENTS_A_CASE * n) - 1
        mend = f"lower `features` to {most} or fewer"
        if self.kernel == "linear":
            mend = "select columns before"
        elif most < 10:
            mend = "even the fewest `features`, 10, are too many"
        return f"{q} coefficients are more than a third of {n} cases: {mend}"

    def _machine(self, moments: ClassMoments) -> Machine:
        p, width = len(self.of), self.features if self.kernel == "rbf_features" else 0
        rng = numpy_rng(self.seed, "svm")
        directions = rng.standard_normal((p, width)) * np.sqrt(2.0 * self._gamma)
        phases = rng.random(width) * 2.0 * np.pi
        return Machine(moments.centre, moments.unit, directions, phases)

    def _decisions(self, machine: Machine, cases: Cases, weights: Floats) -> Floats:
        """Return each case's decision by the fit without its fold, shape (n,)."""
        if not self.folds:
            return floats(machine.design(cases.x, 0) @ weights[0])
        out = np.zeros(len(cases.y))
        for k in range(self.folds):
            mine = cases.fold == k
            out[mine] = machine.design(cases.x[mine], k + 1) @ weights[k + 1]
        return np.clip(out, -_FARTHEST, _FARTHEST)

    def _weights(self, machine: Machine, moments: ClassMoments, beta: Floats) -> dict[str, Json]:
        """Return weights a standard deviation and a unit; of cosines, mean slopes."""
        importance: Array = np.abs(beta[1:])
        if self.kernel == "rbf_features":
            # The root mean square slope of f along each column, over uniform phases.
            importance = np.sqrt((machine.directions**2 * beta[1:] ** 2).sum(axis=1))
        of_all = importance.sum()
        share = importance / of_all if of_all > 0 else importance
        out: dict[str, Json] = {
            "importance": {
                self.of[j]: float(share[j]) for j in np.argsort(-share, kind="stable").tolist()
            }
        }
        if self.kernel == "linear":
            out["terms"] = {
                name: {
                    "estimate_per_sd": float(beta[1 + j]),
                    "estimate": float(beta[1 + j] / moments.unit[0, j]),
                }
                for j, name in enumerate(self.of)
            }
        return out
