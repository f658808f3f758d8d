"""What a logistic step answers: odds ratios, fit and tests of each model."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from common.analyses.analysis import Answer, Json
from common.analyses.design import Scale
from common.analyses.effects import effect, likelihood_ratio, wald
from common.analyses.logistic_fit import Fitted, Plan
from common.analyses.newton import CONVERGED, SEPARATED
from common.analyses.plain import plain
from common.analyses.publish import shown_counts
from common.analyses.rare_levels import Unseen
from common.sums import Sums
from common.table import Floats

RATIO = "odds_ratio"
_SEPARATED = (
    "separated: a combination of the columns tells the classes apart, so that the "
    "likelihood has no maximum"
)
_STALLED = "did not converge"


@dataclass(frozen=True)
class Setting:
    """What the tables need beside the fits."""

    plan: Plan
    scale: Scale
    classes: tuple[int, int]
    level: float
    ridge: float
    firth: str
    unseen: Unseen


def counts_of(first: Sums) -> dict[str, Json]:
    """Return the counts of a fit's complete cases, small ones hidden."""
    none, events = shown_counts([int(c) for c in first["classes"]])
    return {
        "n": int(first["n"]),
        "n_excluded": int(first["n_cases"]) - int(first["n"]),
        "n_patients": int(first["n_patients"]),
        "events": events,
        "non_events": none,
    }


def without_models(models: Iterable[str], first: Sums, note: str) -> Answer:
    """Return the answer of a step whose models cannot be fitted."""
    empty: dict[str, Json] = {}
    for name in models:
        empty[name] = {"converged": False, "note": note}
    return Answer({**counts_of(first), "models": empty, "tests": [], "mode": "exact"})


def answer_of(setting: Setting, fitted: Fitted, first: Sums) -> Answer:
    """Return every model's table; the coefficients themselves as arrays."""
    plan = setting.plan
    models: dict[str, Json] = {}
    for m, name in enumerate(plan.models):
        models[name] = _model(setting, fitted, m)
    values: dict[str, Json] = {
        **counts_of(first),
        "models": models,
        "tests": _tests(setting, fitted),
        "mode": "exact",
    }
    beta = np.where((fitted.state == CONVERGED)[:, None], fitted.beta, np.nan)
    return Answer(values, {"coefficients": setting.scale.coefficients(beta)})


def _model(setting: Setting, fitted: Fitted, m: int) -> dict[str, Json]:
    plan, state = setting.plan, fitted.state[m]
    method = "ridge" if setting.ridge else "maximum likelihood"
    if fitted.penalised[m]:
        method = "Firth"
    if state != CONVERGED:
        note = _SEPARATED if state == SEPARATED else _STALLED
        return {"converged": False, "method": method, "note": note}
    out: dict[str, Json] = {
        "converged": True,
        "method": method,
        "intervals": "profile likelihood" if fitted.penalised[m] else "Wald",
        "terms": _terms(setting, fitted, m),
        "note": _note(setting, fitted, m),
        **_goodness(setting, fitted, m),
    }
    if plan.folds:
        folds = np.arange(1, plan.folds + 1) * len(plan.models) + m
        out["folds_not_converged"] = int((fitted.state[folds] != CONVERGED).sum())
        out["folds_penalised"] = int(fitted.penalised[folds].sum())
    return out


def _note(setting: Setting, fitted: Fitted, m: int) -> str | None:
    plan = setting.plan
    gone = plan.used[m] & ~fitted.free[m]
    if gone.any():
        return setting.unseen.left_out([plan.names[j] for j in np.flatnonzero(gone)])
    if setting.firth == "always" or not fitted.penalised[m]:
        return None
    return f"{_SEPARATED}; Firth's penalised likelihood instead"


def _terms(setting: Setting, fitted: Fitted, m: int) -> dict[str, Json]:
    plan, scale = setting.plan, setting.scale
    cov = fitted.covariance[m] * (np.nan if setting.ridge else 1.0)
    beta, cov = scale.coefficients(fitted.beta[m]), scale.covariance(cov)
    beta = np.where(fitted.free[m], beta, np.nan)
    se = np.sqrt(np.maximum(np.diagonal(cov), 0.0))
    used = np.flatnonzero(plan.used[m])
    names = [plan.names[j] for j in used]
    table = wald(names, beta[used], cov[np.ix_(used, used)], ratio=RATIO, level=setting.level)
    if fitted.penalised[m]:
        for name, j in zip(names[1:], used[1:], strict=True):
            table[name] = _profiled(setting, fitted, (m, int(j)), beta, se)
    return table


def _profiled(
    setting: Setting, fitted: Fitted, place: tuple[int, int], beta: Floats, se: Floats
) -> dict[str, Json]:
    """Return a penalised coefficient with its profile limits and its test."""
    m, j = place
    low, high = fitted.limits.get((m, j), [np.nan, np.nan])
    spread = setting.scale.spread[j - 1]
    drop = fitted.value[m] - fitted.restricted.get(("term", m, j), np.nan)
    test = likelihood_ratio(0.0, float(drop), 1)
    return effect(
        {"beta": beta[j], "se": se[j], "low": low / spread, "high": high / spread},
        {"chi2": _number(test["chi2"]), "p": _number(test["p"])},
        ratio=RATIO,
    )


def _number(value: Json) -> float:
    return float(value) if isinstance(value, int | float) else float("nan")


def _goodness(setting: Setting, fitted: Fitted, m: int) -> dict[str, Json]:
    """Return log-likelihood, information criteria, R2 and the test against no model."""
    n0, n1 = setting.classes
    n, k = n0 + n1, int(fitted.free[m].sum())
    null = n0 * np.log(n0 / n) + n1 * np.log(n1 / n)
    value = _likelihood(setting, fitted, m)
    if fitted.penalised[m]:
        test = _restricted(fitted, ("null", m, 0), k - 1)
        return {"penalised_log_likelihood": plain(value), "against_null": test}
    r2 = (1.0 - np.exp(2.0 * (null - value) / n)) / (1.0 - np.exp(2.0 * null / n))
    fit: dict[str, Json] = {"log_likelihood": plain(value), "nagelkerke_r2": plain(r2)}
    if setting.ridge:  # a shrunken coefficient is no whole degree of freedom
        return fit
    fit |= {"aic": plain(2 * k - 2 * value), "bic": plain(k * np.log(n) - 2 * value)}
    return fit | {"against_null": likelihood_ratio(float(null), value, k - 1)}


def _likelihood(setting: Setting, fitted: Fitted, m: int) -> float:
    """Return the log-likelihood of the unscaled columns, without a ridge's penalty."""
    value = float(fitted.value[m])
    if fitted.penalised[m]:
        slopes = fitted.free[m][1:]
        return value + float(np.log(setting.scale.spread[slopes]).sum())
    if setting.ridge:
        return value + float((fitted.penalty[m] * fitted.beta[m] ** 2).sum()) / 2.0
    return value


def _restricted(fitted: Fitted, purpose: tuple[str, int, int], df: int) -> dict[str, Json]:
    smaller = fitted.restricted.get(purpose, float("nan"))
    return likelihood_ratio(smaller, float(fitted.value[purpose[1]]), df)


def _tests(setting: Setting, fitted: Fitted) -> list[Json]:
    """Return the likelihood-ratio test of every pair of nested models."""
    plan = setting.plan
    names = list(plan.models)
    tests: list[Json] = []
    for smaller, larger in plan.nested():
        if setting.ridge or fitted.state[larger] != CONVERGED:
            continue
        df = int(fitted.free[larger].sum()) - int((plan.used[smaller] & fitted.free[larger]).sum())
        if fitted.penalised[larger]:
            test = _restricted(fitted, ("pair", larger, smaller), df)
        else:
            test = likelihood_ratio(float(fitted.value[smaller]), float(fitted.value[larger]), df)
        tests.append({"smaller": names[smaller], "larger": names[larger], **test})
    return tests
