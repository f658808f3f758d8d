"""LASSO over sites: conditions of a minimum on pooled rows, scikit-learn, few rounds."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from common.analyses.analysis import Answer
from common.analyses.lasso import Lasso
from common.analyses.runner import Cost, run
from common.cohort import Column
from common.table import Floats, Table
from tests.common.analyses.regression_tables import assert_same
from tests.common.analyses.tables import pooled, split_unevenly


def radiomics(n: int, p: int, *, seed: int) -> Table:
    """Return cases with p correlated features on raw scales, two outcomes, a gap."""
    rng = np.random.default_rng(seed)
    common = rng.normal(size=(n, 6))
    x = common[:, rng.integers(0, 6, p)] + rng.normal(size=(n, p))
    eta = common[:, :3] @ np.array([1.0, -0.8, 0.5])
    x = np.exp(0.4 * x) * 10.0 ** rng.integers(-3, 4, p)
    x[0, 0] = np.nan
    columns = {f"f{j}": x[:, j] for j in range(p)}
    columns["response"] = (rng.random(n) < 1 / (1 + np.exp(-eta))).astype(np.float64)
    columns["grade"] = 3.0 * eta + rng.normal(size=n) + 50.0
    columns["same"] = np.full(n, 7.3)
    contract = {name: Column(type="number") for name in columns}
    contract["response"] = Column(type="category", levels=("no", "yes"))
    patients = np.array([f"p{i:04d}" for i in range(n)])
    return Table(columns, contract, patients, fold_key="key")


def step(**changes: Any) -> Lasso:
    setting = {"outcome": "response", "of": tuple(f"f{j}" for j in range(20))}
    small = {"lambdas": 12, "folds": 4, "smallest": 0.05}
    return Lasso(**(setting | small | changes))


def training(table: Table, lasso: Lasso, fold: int) -> tuple[Floats, Floats, Floats]:
    """Return standardised columns and outcome without a fold, and the raw SDs."""
    x, y = table.matrix(lasso.of), table.columns[lasso.outcome]
    rows = ~np.isnan(x).any(1) & (table.folds(lasso.folds) != fold)
    sd = x[rows].std(0)
    return (x[rows] - x[rows].mean(0)) / sd, y[rows], sd


def per_sd(answer: Answer, fit: int, sd: Floats) -> Floats:
    return answer.arrays["coefficients"][fit, 1:] * sd


@pytest.mark.parametrize("family", ["logistic", "linear"])
@pytest.mark.parametrize("n_sites", [1, 2, 5, 17])
def test_answer_does_not_depend_on_the_split(n_sites: int, family: str) -> None:
    outcome = {"logistic": "response", "linear": "grade"}[family]
    lasso = step(family=family, outcome=outcome)
    table = radiomics(220, 20, seed=1)
    found = run(lasso, split_unevenly(table, n_sites)).values
    expected = run(lasso, [table]).values
    assert found.pop("kkt") < 1e-9
    assert expected.pop("kkt") < 1e-9
    assert_same(found, expected, tolerance=1e-9)


@pytest.mark.parametrize("family", ["logistic", "linear"])
def test_answer_is_bit_identical_in_any_order_of_sites(family: str) -> None:
    outcome = {"logistic": "response", "linear": "grade"}[family]
    tables = split_unevenly(radiomics(200, 20, seed=2), 5)
    lasso = step(family=family, outcome=outcome)
    forward, back = run(lasso, tables), run(lasso, tables[::-1])
    assert forward.values == back.values
    beta = "coefficients"
    assert forward.arrays[beta].tobytes() == back.arrays[beta].tobytes()


@pytest.mark.parametrize("alpha", [1.0, 0.5, 0.0])
def test_conditions_of_a_minimum_hold_on_the_pooled_rows_of_every_fit(
    alpha: float,
) -> None:
    lasso, table = step(alpha=alpha), radiomics(240, 20, seed=3)
    answer = run(lasso, split_unevenly(table, 4))
    lambda_ = answer.values["lambda"]
    for fit in range(lasso.folds + 1):
        z, y, sd = training(table, lasso, fit - 1)
        b = per_sd(answer, fit, sd)
        raw = answer.arrays["coefficients"][fit]
        x = table.matrix(lasso.of)
        rows = ~np.isnan(x).any(1) & (table.folds(lasso.folds) != fit - 1)
        p = 1 / (1 + np.exp(-(raw[0] + x[rows] @ raw[1:])))
        slope = z.T @ (y - p) / len(y) - lambda_ * (1 - alpha) * b
        on = b != 0
        limit = lambda_ * alpha
        np.testing.assert_allclose(slope[on], (limit * np.sign(b))[on], atol=1e-9)
        assert (np.abs(slope) <= limit + 1e-9).all()
        assert abs((y - p).mean()) < 1e-9


def test_coefficients_are_those_of_scikit_learn() -> None:
    from sklearn.linear_model import LogisticRegression

    lasso, table = step(), radiomics(240, 20, seed=3)
    answer = run(lasso, split_unevenly(table, 4))
    z, y, sd = training(table, lasso, -1)
    c = 1 / (answer.values["lambda"] * len(y))
    fit = LogisticRegression(
        l1_ratio=1.0, C=c, solver="saga", tol=1e-10, max_iter=20000, random_state=0
    ).fit(z, y)
    np.testing.assert_allclose(per_sd(answer, 0, sd), fit.coef_[0], atol=1e-7)
    selected = [lasso.of[j] for j in np.flatnonzero(fit.coef_[0])]
    assert list(answer.values["terms"]) == selected


def test_deviance_of_the_folds_left_out_follows_glmnets_definition() -> None:
    lasso, table = step(choose="1se"), radiomics(240, 20, seed=3)
    answer = run(lasso, split_unevenly(table, 4))
    rows = table.rows(~np.isnan(table.columns["f0"]))
    p = lasso.columns_from(rows, answer)["probability_oof"]
    y, fold = rows.columns["response"], rows.folds(4)
    deviance = -2 * (y * np.log(p) + (1 - y) * np.log(1 - p))
    each = np.array([deviance[fold == k].mean() for k in range(4)])
    sizes = np.bincount(fold)
    mean = (each * sizes).sum() / sizes.sum()
    se = np.sqrt(((each - mean) ** 2 * sizes).sum() / sizes.sum() / 3)
    (row,) = [r for r in answer.values["path"] if r["lambda"] == answer.values["lambda"]]
    assert row["error"] == pytest.approx(mean, rel=1e-9)
    assert row["error_se"] == pytest.approx(se, rel=1e-8)


def test_the_sparser_rule_takes_the_largest_lambda_within_a_standard_error() -> None:
    table = radiomics(240, 20, seed=3)
    values = run(step(), split_unevenly(table, 4)).values
    path = values["path"]
    best = min(path, key=lambda row: row["error"])
    close = [r for r in path if r["error"] <= best["error"] + best["error_se"]]
    assert values["lambda_min"] == best["lambda"]
    assert values["lambda_1se"] == max(r["lambda"] for r in close)
    sparse = run(step(choose="1se"), split_unevenly(table, 4)).values
    assert sparse["n_selected"] < values["n_selected"]


@pytest.mark.parametrize("alpha", [1.0, 0.3])
def test_linear_family_is_scikit_learns_elastic_net_in_every_fold(alpha: float) -> None:
    from sklearn.linear_model import ElasticNet

    lasso = step(family="linear", outcome="grade", alpha=alpha)
    table = radiomics(200, 20, seed=4)
    answer = run(lasso, split_unevenly(table, 4))
    for fit in range(5):
        z, y, sd = training(table, lasso, fit - 1)
        net = ElasticNet(answer.values["lambda"], l1_ratio=alpha, tol=1e-13)
        expected = net.set_params(max_iter=100_000).fit(z, y).coef_
        np.testing.assert_allclose(per_sd(answer, fit, sd), expected, atol=1e-9)


def test_linear_error_is_that_of_the_folds_left_out() -> None:
    lasso = step(family="linear", outcome="grade")
    table = radiomics(200, 20, seed=4)
    answer = run(lasso, split_unevenly(table, 4))
    rows = table.rows(~np.isnan(table.columns["f0"]))
    residual = rows.columns["grade"] - lasso.columns_from(rows, answer)["score_oof"]
    error = min(row["error"] for row in answer.values["path"])
    assert error == pytest.approx((residual**2).mean(), rel=1e-9)


def test_four_hundred_columns_take_at_most_25_rounds_and_linear_ones_2() -> None:
    table, of = radiomics(160, 400, seed=5), tuple(f"f{j}" for j in range(400))
    cost = Cost()
    answer = run(step(of=of), split_unevenly(table, 3), cost=cost).values
    assert answer["converged"]
    assert cost.rounds <= 25
    cost = Cost()
    lasso = step(of=of[:40], family="linear", outcome="grade")
    run(lasso, split_unevenly(table, 3), cost=cost)
    assert cost.rounds == 2


def test_path_ends_where_the_error_has_risen() -> None:
    table = radiomics(200, 60, seed=6)
    table.columns["response"] = np.random.default_rng(0).integers(0, 2, 200) * 1.0
    of = tuple(f"f{j}" for j in range(1, 60))
    answer = run(step(of=of), split_unevenly(table, 3)).values
    assert len(answer["path"]) == 6
    assert answer["n_selected"] == 0
    assert answer["note"] == "no column was selected"


def test_a_constant_column_is_never_selected() -> None:
    lasso = step(of=("same", *(f"f{j}" for j in range(10))), alpha=0.0)
    answer = run(lasso, split_unevenly(radiomics(200, 20, seed=7), 4)).values
    assert "same" not in answer["terms"]
    assert answer["n_selected"] == 10


def dependent(table: Table) -> Table:
    """Return a table in which columns say again what others say, as radiomics features do."""
    columns = dict(table.columns)
    columns["f5"] = 8.0 * columns["f4"]  # as total energy, energy times a voxel's volume
    columns["f6"] = columns["f7"] - columns["f8"]  # as range, of maximum and minimum
    columns["f9"] = -0.3 * columns["f4"]
    return replace(table, columns=columns)


@pytest.mark.parametrize("family", ["logistic", "linear"])
def test_columns_that_say_the_same_take_one_weight(family: str) -> None:
    outcome = {"logistic": "response", "linear": "grade"}[family]
    lasso = step(family=family, outcome=outcome, smallest=0.001)
    table = dependent(radiomics(220, 20, seed=1))
    answer = run(lasso, [table])
    beta = answer.arrays["coefficients"]
    found = run(lasso, split_unevenly(table, 5)).arrays["coefficients"]
    np.testing.assert_allclose(found, beta, rtol=1e-7, atol=1e-9 * np.abs(beta).max())
    beta = beta[:, 1:]
    assert (beta[:, [5, 9]] == 0).all()
    assert (beta[:, 4] != 0).any()
    assert answer.values["kkt"] < 2e-9


def test_a_ridge_part_shares_between_columns_that_say_the_same() -> None:
    table = dependent(radiomics(220, 20, seed=1))
    answer = run(step(alpha=0.5, family="linear", outcome="grade"), [table])
    weight = answer.arrays["coefficients"][0, 1:]
    sd = np.nanstd(table.matrix(("f4", "f5", "f9")), axis=0)
    np.testing.assert_allclose(weight[5] * sd[1], weight[4] * sd[0], rtol=1e-6)
    np.testing.assert_allclose(weight[9] * sd[2], -weight[4] * sd[0], rtol=1e-6)


def test_a_site_of_one_class_takes_part() -> None:
    table = radiomics(220, 20, seed=8)
    last = (table.columns["response"] == 1) & (np.arange(table.n) > 180)
    tables = [table.rows(~last), table.rows(last)]
    found, expected = (run(step(), t).values for t in (tables, [pooled(tables)]))
    assert found.pop("kkt") < 1e-9
    assert expected.pop("kkt") < 1e-9
    assert_same(found, expected, tolerance=1e-9)


def test_of_fewer_than_five_events_no_path_is_fitted() -> None:
    table, cost = radiomics(100, 20, seed=9), Cost()
    table.columns["response"][:] = np.arange(100) % 30 == 5
    answer = run(step(), split_unevenly(table, 3), cost=cost)
    assert answer.values["note"] == "fewer than 5 cases of a class of the outcome"
    assert (answer.values["converged"], cost.rounds) == (False, 1)


def test_an_outcome_of_one_class_is_said_clearly() -> None:
    table = radiomics(100, 20, seed=9)
    table.columns["response"][:] = 0.0
    answer = run(step(), split_unevenly(table, 3))
    assert answer.values["note"] == "the outcome has one class only: no case has the event"
    made = step().columns_from(table, answer)
    assert made.keys() == step().produces().keys()
    assert np.isnan(made["score"]).all()


def test_products_of_many_columns_never_leave_one_site_in_clear() -> None:
    lasso, table = step(), radiomics(100, 20, seed=10)
    seen = {}
    solving = lasso.solve(table.contract, alone=True)
    ask = next(solving)
    for _ in range(4):
        schema = lasso.schema(ask, table.contract)
        seen |= {name: field.alone for name, field in schema.items()}
        ask = solving.send(lasso.summarise(table, ask))
    assert seen["gram"] == seen["curvature"] == "never"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"of": ("response",)}, "is the outcome"),
        ({"family": "linear", "positive": "yes"}, "no event"),
        ({"alpha": 1.5}, "less than or equal to 1"),
        ({"folds": 2}, "greater than or equal to 3"),
    ],
)
def test_impossible_settings_are_refused(changes: Any, message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        step(**changes)


def test_a_logistic_ridge_of_many_columns_is_refused() -> None:
    table = radiomics(60, 120, seed=11)
    lasso = step(alpha=0, of=tuple(f"f{j}" for j in range(120)))
    with pytest.raises(ValueError, match="at most 100 columns, got 120"):
        run(lasso, [table])


def test_patterns_name_columns() -> None:
    table = radiomics(60, 12, seed=12)
    known = tuple(replace(table).columns)
    assert step(of=("f1*", "f3")).expand(known).of == ("f1", "f10", "f11", "f3")


@pytest.mark.parametrize("family", ["logistic", "linear"])
def test_a_ridge_looks_at_small_lambdas_and_says_where_its_path_ends_too_soon(family: str) -> None:
    outcome = {"logistic": "response", "linear": "grade"}[family]
    table = radiomics(220, 20, seed=1)
    of = tuple(f"f{j}" for j in range(6))
    short = run(step(family=family, outcome=outcome, of=of, alpha=0.0), [table]).values
    assert short["lambda_min"] == short["path"][-1]["lambda"]
    assert "smallest lambda of the path" in short["note"]
    ridge = step(family=family, outcome=outcome, of=of, alpha=0.0, smallest=None)
    pooled, cost = run(ridge, [table]).values, Cost()
    assert pooled["note"] is None
    assert pooled["path"][-1]["lambda"] < 1e-4 * short["lambda_min"]
    found = run(ridge, split_unevenly(table, 5), cost=cost).values
    assert found.pop("kkt") < 1e-9
    assert pooled.pop("kkt") < 1e-9
    assert_same(found, pooled, tolerance=1e-9)
    assert cost.rounds <= 16
