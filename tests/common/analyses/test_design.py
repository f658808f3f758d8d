"""Design matrices: shapes and names from the contract, values from the rows."""

import numpy as np
import pytest

from common.analyses.design import (
    Scale,
    complete_rows,
    matrix_of,
    refuse_saturated,
    rough_scale,
    terms_of,
    with_intercept,
)
from common.cohort import Column
from common.errors import Refused
from common.table import Table

CONTRACT = {
    "age": Column(type="integer"),
    "stage": Column(type="category", levels=("I", "II", "III")),
    "sex": Column(type="category", levels=("f", "m")),
    "died": Column(type="integer"),
}


def table(smallest_cell: int = 0) -> Table:
    columns = {
        "age": np.array([50.0, 60.0, np.nan, 70.0]),
        "stage": np.array([0.0, 2.0, 1.0, np.nan]),
        "sex": np.array([0.0, 1.0, 1.0, 0.0]),
        "died": np.array([0.0, 1.0, 1.0, np.nan]),
    }
    return Table(columns, CONTRACT, np.array(["a", "b", "c", "d"]), smallest_cell)


def test_a_category_becomes_dummies_against_its_first_level() -> None:
    terms = terms_of(("age", "stage", "sex"), CONTRACT)
    assert [t.name for t in terms] == ["age", "stage[II]", "stage[III]", "sex[m]"]
    expected = [
        [50, 0, 0, 0],
        [60, 0, 1, 1],
        [np.nan, 1, 0, 1],
        [70, np.nan, np.nan, 0],
    ]
    np.testing.assert_array_equal(matrix_of(table(), terms), expected)


def test_only_complete_rows_take_part() -> None:
    assert complete_rows(table(), ("age", "sex")).tolist() == [True, True, False, True]


def test_scaled_coefficients_predict_as_the_unscaled() -> None:
    rng = np.random.default_rng(0)
    X, beta = rng.normal(1e4, 30.0, (20, 3)), rng.normal(size=4)
    scale = rough_scale(20, X.sum(0), np.abs(X).sum(0))
    eta = with_intercept(scale.apply(X)) @ beta
    np.testing.assert_allclose(with_intercept(X) @ scale.coefficients(beta), eta, rtol=1e-10)


def test_covariance_follows_the_coefficients() -> None:
    rng = np.random.default_rng(1)
    scale = Scale(np.array([3.0, -1.0]), np.array([2.0, 0.5]))
    draws = rng.normal(size=(50, 3)) @ rng.normal(size=(3, 3))
    np.testing.assert_allclose(
        scale.covariance(np.cov(draws.T)),
        np.cov(scale.coefficients(draws).T),
        rtol=1e-12,
    )


def test_a_site_in_clear_refuses_a_saturated_fit() -> None:
    refuse_saturated(table(), 3)
    with pytest.raises(Refused, match="3 coefficients from 4"):
        refuse_saturated(table(smallest_cell=5), 3)


def test_a_column_of_zeros_can_be_scaled() -> None:
    scale = rough_scale(4, np.zeros(1), np.zeros(1))
    assert scale.apply(np.zeros((4, 1))).tolist() == [[0.0]] * 4
