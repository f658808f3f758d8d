"""Patients with a level that few have, worked out of what is printed: each attack with its rule."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from common.analyses import cox, lasso, logistic, piecewise_exponential, univariable_logistic
from common.analyses.analysis import Ask
from common.analyses.correlate import Correlate
from common.analyses.cox import Cox
from common.analyses.lasso import Lasso
from common.analyses.logistic import Logistic
from common.analyses.moments import Moments
from common.analyses.piecewise_exponential import PiecewiseExponential
from common.analyses.rare_levels import Unseen
from common.analyses.runner import Cost, exchange, run
from common.analyses.univariable_logistic import UnivariableLogistic
from common.cohort import Column
from common.sums import Sums
from common.table import Table
from tests.common.analyses.regression_tables import numbers
from tests.common.analyses.tables import split_unevenly

N = 159
AGE, MARKER = 51.0, 6.25  # of the one patient whose flag is set
MODELS = {"m": ("age", "flag")}
MODULES = (cox, lasso, logistic, piecewise_exponential, univariable_logistic)


@pytest.fixture
def no_rule(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take the rule away: no level is too rare for a model."""
    for module in MODULES:
        monkeypatch.setattr(module, "unseen_levels", lambda *_, **__: Unseen())


def _sites(flagged: tuple[int, ...] = (0,), outcomes: tuple[int, ...] = (0,)) -> list[Table]:
    """Return cases of whom a few are flagged, with these outcomes."""
    rng = np.random.default_rng(77)
    columns = {
        "age": rng.integers(40, 80, N).astype(np.float64),
        "x": np.round(rng.normal(size=N), 2),
        "flag": np.zeros(N),
        "out": (rng.random(N) < 0.4).astype(np.float64),
        "time": np.ceil(rng.exponential(500.0, N)).clip(1, 3000),
        "event": (rng.random(N) < 0.7).astype(np.float64),
    }
    few = list(flagged)
    columns["flag"][few] = 1.0
    columns["age"][0], columns["x"][0], columns["time"][0] = AGE, MARKER, 220.0
    columns["out"][few] = columns["event"][few] = outcomes
    yes = Column(type="category", levels=("no", "yes"))
    contract = {
        "age": Column(type="integer", range=(18, 100)),
        "x": Column(type="number", range=(-10, 10)),
        "flag": yes,
        "out": yes,
        "time": Column(type="integer", range=(0, 4000)),
        "event": yes,
        "lp": Column(type="number"),
    }
    patients = np.array([f"p{i:03d}" for i in range(N)])
    table = Table(columns, contract, patients, fold_key="key")
    return split_unevenly(table, 4)


PREDICTING: list[Any] = [
    Logistic(outcome="out", models=MODELS),
    Cox(time="time", event="event", models=MODELS),
]


def _guesses(step: Any, sites: list[Table]) -> list[tuple[float, float]]:
    """Return age and marker of the flagged patients, if they are one, two, three or four.

    From the model's printed slope of age, and moments and correlations of its made column.
    """
    answer = run(step, sites)
    values: Any = answer.values
    slope = values["models"]["m"]["terms"]["age"]["estimate"]
    scored = []
    for site in sites:
        made = dict(step.columns_from(site, answer))["linear_predictor"]
        scored.append(replace(site, columns={**site.columns, "lp": made}))
    of = ("lp", "age", "x")
    moments: Any = run(Moments(of=of), scored).values
    pairs: Any = run(Correlate(of=of, method="pearson"), scored).values
    r = {frozenset((p["a"], p["b"])): p["estimate"] for p in pairs["pairs"]}
    sd = {name: moments["columns"][name]["sd"] for name in of}
    mean = {name: moments["columns"][name]["mean"] for name in of}

    def products(a: str, b: str) -> float:
        return float((r[frozenset((a, b))] if a != b else 1.0) * sd[a] * sd[b] * (N - 1))

    with_age = products("lp", "age") - slope * products("age", "age")
    with_x = products("lp", "x") - slope * products("age", "x")
    rest = products("lp", "lp") - slope**2 * products("age", "age") - 2 * slope * with_age
    found = []
    for k in (1, 2, 3, 4):
        size = np.sqrt(max(rest, 0.0) / (k * (N - k) / N))
        for effect in (size, -size):
            shift = np.array([with_age, with_x]) / (effect * k) if size > 1e-6 else [np.nan] * 2
            found.append((mean["age"] + shift[0], mean["x"] + shift[1]))
    return found


def _hit(guesses: list[tuple[float, float]]) -> bool:
    return any(abs(a - AGE) < 1e-3 and abs(x - MARKER) < 1e-3 for a, x in guesses)


@pytest.mark.parametrize("step", PREDICTING, ids=lambda s: s.kind)
@pytest.mark.usefixtures("no_rule")
def test_without_the_rule_a_prediction_tells_who_has_the_level(step: Any) -> None:
    outcome = (1,) if step.kind == "cox" else (0,)
    assert _hit(_guesses(step, _sites(outcomes=outcome)))


@pytest.mark.parametrize("step", PREDICTING, ids=lambda s: s.kind)
@pytest.mark.parametrize("outcome", [0, 1])
def test_a_prediction_does_not_know_the_level(step: Any, outcome: int) -> None:
    assert not _hit(_guesses(step, _sites(outcomes=(outcome,))))


def _marker(sites: list[Table]) -> list[float]:
    """Return the marker of the one flagged, from the first lambda of a LASSO of it."""
    step = Lasso(outcome="x", family="linear", of=("age", "flag"), folds=3, lambdas=4)
    values: Any = run(step, sites).values
    moments: Any = run(Moments(of=("x",)), sites).values
    reach = values["path"][0]["lambda"] * np.sqrt(N - 1)
    mean = moments["columns"]["x"]["mean"]
    return [mean + reach, mean - reach]


@pytest.mark.usefixtures("no_rule")
def test_without_the_rule_the_first_lambda_is_a_patients_value() -> None:
    assert min(abs(guess - MARKER) for guess in _marker(_sites())) < 1e-6


def test_the_first_lambda_does_not_know_the_level() -> None:
    assert min(abs(guess - MARKER) for guess in _marker(_sites())) > 0.1


FEW = (0, 30, 60)
FORMS: list[Any] = [
    Logistic(outcome="out", models={**MODELS, "age": ("age",)}),
    Logistic(outcome="out", models=MODELS, firth="never"),
    Cox(time="time", event="event", models={**MODELS, "age": ("age",)}),
    PiecewiseExponential(time="time", event="event", models=MODELS, intervals=4),
    UnivariableLogistic(of=("age",), adjust=("flag",), outcome="out", firth="never"),
]


def _form(step: Any, outcomes: tuple[int, ...]) -> dict[str, object]:
    """Return what is said and which numbers there are, without what they are."""
    values = run(step, _sites(FEW, outcomes)).values
    return {
        path: value if isinstance(value, str | bool) else type(value).__name__
        for path, value in numbers(values)
    }


@pytest.mark.parametrize("step", FORMS, ids=lambda s: s.kind)
def test_the_form_of_an_answer_does_not_tell_that_few_are_alike(step: Any) -> None:
    assert _form(step, (0, 0, 0)) == _form(step, (1, 0, 1))


@pytest.mark.parametrize("step", FORMS, ids=lambda s: s.kind)
@pytest.mark.usefixtures("no_rule")
def test_without_the_rule_the_form_tells_it(step: Any) -> None:
    assert _form(step, (0, 0, 0)) != _form(step, (1, 0, 1))


def _gradients(step: Any) -> list[float]:
    """Return what the coordinator sees of the flagged in the totals of the fit."""
    seen: list[float] = []

    def watching(analysis: Any, tables: Any, ask: Ask, cost: Cost) -> Sums:
        total = exchange(analysis, tables, ask, cost)
        if "gradient" in total:
            seen.extend(np.abs(np.asarray(total["gradient"])[..., -1]).ravel().tolist())
        return total

    by: Callable[..., Sums] = watching
    run(step, _sites(), by=by)
    return seen


@pytest.mark.parametrize("step", PREDICTING, ids=lambda s: s.kind)
def test_nor_do_the_totals_of_a_fit_hold_the_level(step: Any) -> None:
    assert set(_gradients(step)) == {0.0}


@pytest.mark.usefixtures("no_rule")
def test_without_the_rule_the_totals_hold_it() -> None:
    assert max(_gradients(PREDICTING[0])) > 0.1
