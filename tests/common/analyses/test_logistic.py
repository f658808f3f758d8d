"""Logistic models over sites: equal to pooled, to statsmodels and to firthmodels."""

import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from common.analyses.logistic import Logistic
from common.analyses.runner import Cost, run
from common.errors import Refused
from common.table import Floats, Table
from tests.common.analyses.regression_tables import assert_same, complete, followed
from tests.common.analyses.tables import pooled, split_unevenly

MODELS = {
    "clinical": ("age", "stage"),
    "combined": ("age", "stage", "volume", "adc"),
}
LOGISTIC = Logistic(outcome="response", models=MODELS)


def standardised(table: Table, columns: Sequence[str]) -> tuple[Floats, Floats]:
    """Return the standardised design without intercept, and each column's SD."""
    parts = [
        np.column_stack([table.columns[c] == 1, table.columns[c] == 2]).astype(float)
        if c == "stage"
        else table.columns[c][:, None]
        for c in columns
    ]
    x = np.hstack(parts)
    return (x - x.mean(0)) / x.std(0), x.std(0)


def statsmodels_logit(table: Table, columns: Sequence[str]) -> tuple[Any, Floats]:
    import statsmodels.api as sm

    x, sd = standardised(table, columns)
    y = table.columns["response"]
    fit = sm.Logit(y, sm.add_constant(x)).fit(disp=0, method="newton", tol=1e-14)
    return fit, sd


def columns_of(terms: Mapping[str, Any], key: str) -> Floats:
    return np.array([term[key] for name, term in terms.items() if name[0] != "("])


def separated(n: int, seed: int) -> Table:
    """Return cases of which everybody of a higher stage has the event."""
    table = complete(followed(n, seed=seed), "age", "volume")
    stage = np.where(table.columns["response"] == 1, table.columns["stage"], 0.0)
    table.columns["stage"][:] = stage
    return table


@pytest.mark.parametrize("n_sites", [1, 2, 5, 17])
def test_answer_does_not_depend_on_the_split(n_sites: int) -> None:
    step = LOGISTIC.model_copy(update={"folds": 4})
    table = followed(400, seed=1)
    assert_same(run(step, split_unevenly(table, n_sites)).values, run(step, [table]).values)


def test_answer_is_bit_identical_in_any_order_of_sites() -> None:
    tables = split_unevenly(followed(300, seed=2), 5)
    forward, back = run(LOGISTIC, tables), run(LOGISTIC, tables[::-1])
    assert forward.values == back.values
    beta = "coefficients"
    assert forward.arrays[beta].tobytes() == back.arrays[beta].tobytes()


def test_odds_ratios_and_fit_are_those_of_statsmodels() -> None:
    table = followed(328, seed=3)
    answer = run(LOGISTIC, split_unevenly(table, 4)).values
    rows = complete(table, "age", "volume")
    assert (answer["n"], answer["n_excluded"]) == (rows.n, table.n - rows.n)
    assert answer["events"] == rows.columns["response"].sum()
    for name, columns in MODELS.items():
        fit, sd = statsmodels_logit(rows, columns)
        model = answer["models"][name]
        terms = model["terms"]
        near = {"rtol": 1e-10, "atol": 0}
        beta, se = fit.params[1:] / sd, fit.bse[1:] / sd
        np.testing.assert_allclose(columns_of(terms, "estimate"), beta, **near)
        np.testing.assert_allclose(columns_of(terms, "se"), se, **near)
        np.testing.assert_allclose(columns_of(terms, "p"), fit.pvalues[1:], **near)
        low, high = fit.conf_int()[1:].T / sd
        np.testing.assert_allclose(columns_of(terms, "estimate_low"), low, **near)
        np.testing.assert_allclose(columns_of(terms, "estimate_high"), high, **near)
        assert terms["age"]["odds_ratio"] == pytest.approx(np.exp(beta[0]), rel=1e-11)
        assert model["log_likelihood"] == pytest.approx(fit.llf, rel=1e-12)
        assert model["aic"] == pytest.approx(fit.aic, rel=1e-12)
        assert model["bic"] == pytest.approx(fit.bic, rel=1e-12)
        assert model["against_null"]["p"] == pytest.approx(fit.llr_pvalue, rel=1e-9)


def test_nested_models_are_compared_by_likelihood_ratio() -> None:
    from scipy.stats import chi2

    table = followed(328, seed=3)
    (test,) = run(LOGISTIC, split_unevenly(table, 4)).values["tests"]
    rows = complete(table, "age", "volume")
    small, large = (statsmodels_logit(rows, c)[0].llf for c in MODELS.values())
    assert (test["smaller"], test["larger"], test["df"]) == ("clinical", "combined", 2)
    assert test["chi2"] == pytest.approx(2 * (large - small), rel=1e-10)
    assert test["p"] == pytest.approx(chi2.sf(2 * (large - small), 2), rel=1e-9)


def test_eight_rounds_are_enough_folds_and_models_included() -> None:
    cost = Cost()
    step = LOGISTIC.model_copy(update={"folds": 10})
    run(step, split_unevenly(followed(328, seed=3), 4), cost=cost)
    assert cost.rounds <= 8


def test_out_of_fold_probabilities_come_from_fits_that_had_not_seen_the_case() -> None:
    step = Logistic(outcome="response", models={"m": ("age", "volume")}, folds=3)
    tables = split_unevenly(followed(300, seed=4), 4)
    answer = run(step, tables)
    rows = complete(pooled(tables), "age", "volume")
    mine = step.columns_from(rows, answer)["probability_oof"]
    x, _ = standardised(rows, ("age", "volume"))
    for k in range(3):
        train = rows.folds(3) != k
        fit = _logit(x[train], rows.columns["response"][train])
        expected = fit.predict(_constant(x[~train]))
        np.testing.assert_allclose(mine[~train], expected, rtol=1e-9)


def _constant(x: Floats) -> Floats:
    return np.column_stack([np.ones(len(x)), x])


def _logit(x: Floats, y: Floats) -> Any:
    import statsmodels.api as sm

    return sm.Logit(y, _constant(x)).fit(disp=0, method="newton", tol=1e-14)


def test_columns_are_those_it_promised_and_missing_where_a_covariate_is() -> None:
    step = LOGISTIC.model_copy(update={"folds": 3})
    table = followed(200, seed=5)
    made = step.columns_from(table, run(step, split_unevenly(table, 3)))
    assert made.keys() == step.produces().keys()
    gaps = np.isnan(table.columns["age"])
    np.testing.assert_array_equal(np.isnan(made["clinical_probability"]), gaps)


@pytest.mark.parametrize("firth", ["auto", "always"])
def test_separation_gives_firths_estimates_as_firthmodels_does(firth: str) -> None:
    table, columns = separated(240, 6), ("age", "stage")
    step = Logistic(outcome="response", models={"m": columns}, firth=firth)
    model = run(step, split_unevenly(table, 4)).values["models"]["m"]
    x, sd = standardised(table, columns)
    fit = firth_fit(x, table.columns["response"])
    assert model["method"] == "Firth"
    terms = model["terms"]
    near = {"rtol": 1e-7, "atol": 1e-9}
    np.testing.assert_allclose(columns_of(terms, "estimate"), fit.coef_ / sd, rtol=1e-8)
    np.testing.assert_allclose(columns_of(terms, "se"), information_se(fit, x, sd), **near)
    limits = fit.conf_int(method="pl")[:-1] / sd[:, None]
    np.testing.assert_allclose(columns_of(terms, "estimate_low"), limits[:, 0], **near)
    np.testing.assert_allclose(columns_of(terms, "estimate_high"), limits[:, 1], **near)
    np.testing.assert_allclose(columns_of(terms, "p"), fit.lrt_pvalues_[:-1], **near)
    value = fit.loglik_ + np.log(sd).sum()
    assert model["penalised_log_likelihood"] == pytest.approx(value, rel=1e-9)


def information_se(fit: Any, x: Floats, sd: Floats) -> Floats:
    """Return SEs from X'WX; firthmodels' own are of its augmented data."""
    p = fit.predict_proba(x)[:, 1]
    information = (_constant(x).T * (p * (1 - p))) @ _constant(x)
    return np.sqrt(np.diag(np.linalg.inv(information)))[1:] / sd


def firth_fit(x: Floats, y: Floats) -> Any:
    import firthmodels

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        fit = firthmodels.FirthLogisticRegression(
            max_iter=1000, gtol=1e-9, xtol=1e-9, backend="numpy"
        ).fit(x, y)
        fit.lrt()
    return fit


def test_only_the_separated_model_is_penalised() -> None:
    models = {"clinical": ("age",), "combined": ("age", "stage")}
    step = Logistic(outcome="response", models=models)
    answer = run(step, split_unevenly(separated(240, 6), 4)).values
    methods = {name: m["method"] for name, m in answer["models"].items()}
    assert methods == {"clinical": "maximum likelihood", "combined": "Firth"}
    assert "separated" in answer["models"]["combined"]["note"]
    assert answer["tests"][0]["p"] < 1e-6


def test_without_firth_a_separated_model_has_no_estimates() -> None:
    step = Logistic(outcome="response", models={"m": ("age", "stage")}, firth="never")
    cost = Cost()
    answer = run(step, split_unevenly(separated(240, 6), 4), cost=cost)
    model = answer.values["models"]["m"]
    assert not model["converged"]
    assert "separated" in model["note"]
    assert "terms" not in model
    assert cost.rounds <= 12


def test_complete_separation_is_found_early() -> None:
    table = followed(150, seed=7)
    table.columns["adc"][:] = table.columns["response"] * 1e-3
    step = Logistic(outcome="response", models={"m": ("adc",)}, firth="never")
    cost = Cost()
    answer = run(step, split_unevenly(table, 3), cost=cost).values
    assert "separated" in answer["models"]["m"]["note"]
    assert cost.rounds <= 4


def test_ridge_is_that_of_scikit_learn() -> None:
    from sklearn.linear_model import LogisticRegression

    table = followed(300, seed=8)
    columns = ("age", "volume", "adc")
    step = Logistic(outcome="response", models={"m": columns}, ridge=5.0)
    terms = run(step, split_unevenly(table, 4)).values["models"]["m"]["terms"]
    rows = complete(table, "age", "volume")
    x, sd = standardised(rows, columns)
    fit = LogisticRegression(C=1 / 5.0, solver="newton-cholesky", tol=1e-12)
    expected = fit.fit(x, rows.columns["response"]).coef_[0] / sd
    np.testing.assert_allclose(columns_of(terms, "estimate"), expected, rtol=1e-8)
    assert terms["age"]["p"] is None


def test_constant_and_collinear_columns_are_left_out_by_name() -> None:
    columns = ("age", "same", "twice_age", "adc")
    step = Logistic(outcome="response", models={"m": columns})
    table = followed(300, seed=9)
    table.columns["twice_age"][:] = 2 * table.columns["age"]
    model = run(step, split_unevenly(table, 4)).values["models"]["m"]
    assert model["note"].endswith(": same, twice_age")
    assert model["terms"]["same"]["odds_ratio"] is None
    alone = Logistic(outcome="response", models={"m": ("age", "adc")})
    kept = run(alone, split_unevenly(table, 4)).values["models"]["m"]
    assert_same(model["terms"]["adc"], kept["terms"]["adc"])


def test_a_site_of_one_class_takes_part() -> None:
    table = followed(300, seed=10)
    last = table.columns["response"] == 1
    last[:250] = False
    tables = [table.rows(~last), table.rows(last)]
    assert_same(run(LOGISTIC, tables).values, run(LOGISTIC, [pooled(tables)]).values)


def test_an_outcome_of_one_class_is_said_clearly() -> None:
    table = followed(100, seed=11)
    table.columns["response"][:] = 1.0
    answer = run(LOGISTIC, split_unevenly(table, 3)).values
    note = answer["models"]["clinical"]["note"]
    assert note == "the outcome has one class only: every case has the event"
    made = LOGISTIC.columns_from(table, run(LOGISTIC, [table]))
    assert np.isnan(made["combined_probability"]).all()


def test_a_site_in_clear_refuses_more_coefficients_than_its_cases_bear() -> None:
    with pytest.raises(Refused, match="coefficients from"):
        run(LOGISTIC, [followed(15, seed=12, smallest_cell=5)], alone=True)
    run(LOGISTIC, [followed(200, seed=12, smallest_cell=5)], alone=True)


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"models": {}}, "at least 1 item"),
        ({"models": {"m": ("age", "age")}}, "distinct columns"),
        ({"models": {"m": ("response",)}}, "is the outcome"),
        ({"models": MODELS, "folds": 1}, "expected 0, or 2"),
        ({"models": MODELS, "ridge": 1, "firth": "always"}, "choose one"),
    ],
)
def test_impossible_settings_are_refused(setting: Any, message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        Logistic(outcome="response", **setting)


def test_level_sets_the_width_of_the_intervals() -> None:
    table = followed(200, seed=13)
    wide = run(LOGISTIC, [table]).values["models"]["clinical"]["terms"]["age"]
    step = LOGISTIC.model_copy(update={"level": 0.9})
    narrow = run(step, [table]).values["models"]["clinical"]["terms"]["age"]
    assert wide["ci_low"] < narrow["ci_low"] < narrow["ci_high"] < wide["ci_high"]
