"""How a logistic step fits its models: by likelihood; if need be, by Firth's."""

from collections.abc import Generator, Mapping
from dataclasses import dataclass, field

import numpy as np

from common.analyses.analysis import Ask
from common.analyses.design import INTERCEPT, Contract, Scale, Term, terms_of
from common.analyses.effects import z_of
from common.analyses.firth import firth, totals_of
from common.analyses.newton import (
    CONVERGED,
    SEPARATED,
    Bools,
    Fit,
    Ints,
    Local,
    Point,
    climb,
    independent,
    inverse_of,
    maximise,
    pack,
)
from common.analyses.plain import floats
from common.analyses.profile import profile_limits
from common.sums import Sums
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
    likelihood = Likelihood(plan, scale, rules.ridge, prevalence * (1.0 - prevalence))
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
        likelihood.penalty if rules.ridge else np.zeros_like(start),
    )
    if rules.firth != "never" and not rules.ridge:
        yield from _penalise(plan, scale, fitted, start, rules.level)
    return fitted


@dataclass
class Likelihood:
    """The plain likelihood, or with a ridge; asks the sites and reads their totals."""

    plan: Plan
    scale: Scale
    ridge: float
    weight: float
    penalty: Floats = field(default_factory=lambda: np.zeros(0))

    def ask(self, point: Point) -> Ask:
        """Return the question at a point."""
        return Ask("climb", {}, {**_at(self.scale, point, point.problems), "step": point.step})

    def read(self, point: Point, total: Sums) -> Local:
        """Return the totals, penalised where there is a ridge."""
        totals = totals_of(total, point.beta.shape[1])
        if not self.ridge:
            against, along = floats(total["against"]), floats(total["along"])
            return Local(totals.value, totals.gradient, totals.curvature, against, along)
        if not self.penalty.size:  # where the weights still are one constant
            self.penalty = self.ridge * _variances(totals.curvature / self.weight)
        penalty = self.penalty[point.problems]
        return Local(
            totals.value - (penalty * point.beta**2).sum(1) / 2.0,
            totals.gradient - penalty * point.beta,
            totals.curvature + penalty[:, :, None] * np.eye(penalty.shape[1]),
        )


def _variances(gram: Floats) -> Floats:
    """Return the variance of each column from X'X, zero for the intercept's."""
    n = gram[:, 0, 0, None]
    diagonal = np.einsum("mii->mi", gram)
    variance: Floats = np.maximum(diagonal / n - (gram[:, 0] / n) ** 2, 0.0)
    return variance


@dataclass
class Penalised:
    """Firth's likelihood; `rows` are problems of the plan, one for each fit."""

    plan: Plan
    scale: Scale
    rows: Ints
    used: Bools
    inverse: Floats
    begun: bool = False

    def ask(self, point: Point) -> Ask:
        """Return the question at a point, with the inverse of the round before."""
        inverse = pack(self.inverse[point.problems])
        arrays = _at(self.scale, point, self.rows[point.problems])
        return Ask("firth", {}, {**arrays, "inverse": inverse})

    def read(self, point: Point, total: Sums) -> Local:
        """Return penalised likelihood and derivatives."""
        totals = totals_of(total, point.beta.shape[1])
        if not self.begun:
            self.used &= independent(totals.curvature, self.used)
            self.begun = True
        used = self.used[point.problems]
        inverse = inverse_of(totals.curvature, used)
        self.inverse[point.problems] = inverse
        return firth(totals, inverse, used)


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
    model = Penalised(plan, scale, rows, used, np.zeros((len(rows), q, q)))
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
    model = Penalised(plan, scale, rows, used, inverse, begun=True)
    searching = profile_limits(fitted.beta[rows], fitted.value[rows] - drop, signed, used)
    fit = yield from climb(searching, model.ask, model.read)
    for i, (m, j, _) in enumerate(wanted):
        found = fit.beta[i, j] if fit.state[i] == CONVERGED else np.nan
        fitted.limits.setdefault((m, j), []).append(float(found))


def _at(scale: Scale, point: Point, problems: Ints) -> dict[str, Floats | Ints]:
    return {
        "centre": scale.centre,
        "spread": scale.spread,
        "problems": problems,
        "beta": point.beta,
    }
