"""How a logistic step fits its models: by likelihood; if need be, by Firth's."""

from collections.abc import Generator, Mapping
from dataclasses import dataclass, field

import numpy as np

from common.analyses.analysis import Ask
from common.analyses.design import INTERCEPT, Contract, Scale, Term, terms_of
from common.analyses.effects import z_of
from common.analyses.logit_asks import At, Likelihood, Penalised, variances
from common.analyses.newton import (
    CONVERGED,
    SEPARATED,
    Bools,
    Fit,
    Ints,
    Point,
    climb,
    inverse_of,
    maximise,
)
from common.analyses.profile import profile_limits
from common.sums import Array, Sums
from common.table import Floats

# Why a row of the penalised fits is there.
Purpose = tuple[str, int, int]


@dataclass(frozen=True)
class Plan:
    """Which models a step fits, on one design matrix that holds the columns of all.

    Problem m + M (k + 1) is model m of M without fold k; k = -1 leaves nobody out.
    """

    models: Mapping[str, tuple[str, ...]]
    terms: tuple[Term, ...]
    used: Bools
    folds: int

    @property
    def names(self) -> tuple[str, ...]:
        """Names of all coefficients, the intercept's first."""
        return (INTERCEPT, *(t.name for t in self.terms))

    @property
    def n_problems(self) -> int:
        """Number of fits."""
        return len(self.models) * (self.folds + 1)

    def used_by(self, problem: int) -> Bools:
        """Return the coefficients of a problem's model, shape (q,)."""
        mask: Bools = self.used[problem % len(self.models)]
        return mask

    def left_out(self, problem: int) -> int:
        """Return the fold a problem leaves out, or -1."""
        return problem // len(self.models) - 1

    def nested(self) -> list[tuple[int, int]]:
        """Return pairs (smaller, larger) of models, one with all terms of the other."""
        n = range(len(self.models))
        return [(a, b) for b in n for a in n if _inside(self.used[a], self.used[b])]


def plan_of(models: Mapping[str, tuple[str, ...]], folds: int, contract: Contract) -> Plan:
    """Return the plan; columns stand in the order in which models name them."""
    columns = tuple(dict.fromkeys(c for of in models.values() for c in of))
    terms = terms_of(columns, contract)
    used = [[True, *(t.column in of for t in terms)] for of in models.values()]
    return Plan(models, terms, np.array(used, bool), folds)


def _inside(smaller: Bools, larger: Bools) -> bool:
    return bool((smaller <= larger).all() and (smaller != larger).any())


@dataclass
class Fitted:
    """All fits of a plan, on scaled columns; the first axis is the problem.

    Attributes:
        penalised: fitted with Firth's penalty, shape (n_problems,).
        penalty: of a ridge, zeros without; shape (n_problems, q).
        restricted: penalised log-likelihood with some coefficients at 0: by
            ("null", m, 0), ("pair", larger m, smaller) or ("term", m, j).
        limits: profile limits, (lower, upper) by (m, j).
    """

    beta: Floats
    value: Floats
    covariance: Floats
    free: Bools
    state: Ints
    penalised: Bools
    penalty: Floats
    restricted: dict[Purpose, float] = field(default_factory=dict)
    limits: dict[tuple[int, int], list[float]] = field(default_factory=dict)


@dataclass(frozen=True)
class Rules:
    """What the study file says of the fits."""

    firth: str
    ridge: float
    level: float


def fit_all(
    plan: Plan, scale: Scale, prevalence: float, rules: Rules
) -> Generator[Ask, Sums, Fitted]:
    """Fit every problem of a plan from the intercept-only model on."""
    start = np.zeros((plan.n_problems, len(plan.names)))
    start[:, 0] = np.log(prevalence / (1.0 - prevalence))
    used = np.array([plan.used_by(i) for i in range(plan.n_problems)])
    weight = np.full(len(start), prevalence * (1.0 - prevalence))
    likelihood = Likelihood(_at(scale, np.arange(len(start))), rules.ridge, weight)
    if rules.firth == "always":
        fit = Fit(
            start,
            np.zeros(len(start)),
            np.zeros((*start.shape, start.shape[1])),
            used,
            np.full(len(start), SEPARATED),
        )
    else:
        fit = yield from climb(maximise(start, used), likelihood.ask, likelihood.read)
    fitted = Fitted(
        fit.beta,
        fit.value,
        inverse_of(fit.curvature, fit.free),
        fit.free,
        fit.state,
        np.zeros(len(start), bool),
        rules.ridge * variances(likelihood.gram) if rules.ridge else start * 0.0,
    )
    if rules.firth != "never" and not rules.ridge:
        yield from _penalise(plan, scale, fitted, start, rules.level)
    return fitted


def _penalise(
    plan: Plan, scale: Scale, fitted: Fitted, start: Floats, level: float
) -> Generator[Ask, Sums, None]:
    """Fit separated models again with Firth's penalty, with tests and limits beside."""
    purposes, free = _penalised_rows(plan, fitted)
    if not purposes:
        return
    rows = np.array([_problem(plan, p) for p in purposes], np.int64)
    q = start.shape[1]
    used = np.array([plan.used_by(int(i)) for i in rows])
    model = Penalised(_at(scale, rows), used, np.zeros((len(rows), q, q)))
    fit = yield from climb(maximise(start[rows], free), model.ask, model.read)
    for i, purpose in enumerate(purposes):
        if purpose[0] == "fit":
            _store(fitted, int(rows[i]), fit, i, model.inverse[i])
        elif fit.state[i] == CONVERGED:
            fitted.restricted[purpose] = float(fit.value[i])
    yield from _profile(plan, scale, fitted, z_of(level) ** 2 / 2.0)


def _store(fitted: Fitted, problem: int, fit: Fit, i: int, covariance: Floats) -> None:
    fitted.beta[problem], fitted.value[problem] = fit.beta[i], fit.value[i]
    fitted.free[problem], fitted.state[problem] = fit.free[i], fit.state[i]
    fitted.covariance[problem], fitted.penalised[problem] = covariance, True


def _penalised_rows(plan: Plan, fitted: Fitted) -> tuple[list[Purpose], Bools]:
    """Return the penalised fits that are needed, and their free coefficients."""
    n_models = len(plan.models)
    models = set(np.flatnonzero(fitted.state[:n_models] == SEPARATED).tolist())
    rows: list[tuple[Purpose, Bools]] = []
    for i in range(plan.n_problems):
        if i % n_models in models or fitted.state[i] == SEPARATED:
            rows.append((("fit", i % n_models, plan.left_out(i)), plan.used_by(i)))
    for m in sorted(models):
        intercept = np.arange(len(plan.names)) == 0
        rows.append((("null", m, 0), intercept))
        for j in np.flatnonzero(plan.used[m])[1:]:
            mask = plan.used[m] & (np.arange(len(plan.names)) != j)
            rows.append((("term", m, int(j)), mask))
    for smaller, larger in plan.nested():
        if larger in models:
            rows.append((("pair", larger, smaller), plan.used[smaller]))
    return [p for p, _ in rows], np.array([mask for _, mask in rows], bool)


def _problem(plan: Plan, purpose: Purpose) -> int:
    kind, model, left_out = purpose
    return model + len(plan.models) * (left_out + 1 if kind == "fit" else 0)


def _profile(plan: Plan, scale: Scale, fitted: Fitted, drop: float) -> Generator[Ask, Sums, None]:
    """Find the profile limits of every slope of the penalised models."""
    wanted = [
        (m, int(j), side)
        for m in range(len(plan.models))
        if fitted.penalised[m] and fitted.state[m] == CONVERGED
        for j in np.flatnonzero(fitted.free[m])[1:]
        for side in (-1, 1)
    ]
    if not wanted:
        return
    rows = np.array([m for m, _, _ in wanted], np.int64)
    signed = np.array([j * side for _, j, side in wanted], np.int64)
    used, inverse = fitted.free[rows].copy(), fitted.covariance[rows].copy()
    model = Penalised(_at(scale, rows), used, inverse, begun=True)
    searching = profile_limits(fitted.beta[rows], fitted.value[rows] - drop, signed, used)
    fit = yield from climb(searching, model.ask, model.read)
    for i, (m, j, _) in enumerate(wanted):
        found = fit.beta[i, j] if fit.state[i] == CONVERGED else np.nan
        fitted.limits.setdefault((m, j), []).append(float(found))


def _at(scale: Scale, rows: Ints) -> At:
    """Return what names fits to the sites: scale, problems of the plan, coefficients."""

    def arrays(point: Point) -> dict[str, Array]:
        return {
            "centre": scale.centre,
            "spread": scale.spread,
            "problems": rows[point.problems],
            "beta": point.beta,
        }

    return arrays
