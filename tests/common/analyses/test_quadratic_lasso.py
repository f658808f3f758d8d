"""The LASSO on a quadratic: the conditions of a minimum, also where guesses cycle."""

import numpy as np
import pytest

from common.analyses.quadratic_lasso import minimise
from common.table import Floats


def quadratic(n: int, q: int, seed: int) -> tuple[Floats, Floats]:
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, q)) + rng.normal(size=(n, 1))
    y = x[:, :3].sum(1) + rng.normal(size=n)
    return x.T @ x / n, x.T @ y / n


@pytest.mark.parametrize(("n", "q"), [(200, 15), (80, 80), (30, 120)])
def test_conditions_of_a_minimum_hold(n: int, q: int) -> None:
    hessian, c = quadratic(n, q, seed=q)
    b = np.zeros(q)
    for share in (0.7, 0.3, 0.1, 0.03):
        penalty = np.full(q, share * np.abs(c).max())
        b = minimise(hessian, c, penalty, b)
        rest = c - hessian @ b
        on = b != 0
        np.testing.assert_allclose(rest[on], (penalty * np.sign(b))[on], atol=1e-9)
        assert (np.abs(rest) <= penalty + 1e-9).all()


def test_start_does_not_matter() -> None:
    hessian, c = quadratic(100, 30, seed=1)
    penalty = np.full(30, 0.1 * np.abs(c).max())
    far = np.random.default_rng(2).normal(size=30) * 10
    found = minimise(hessian, c, penalty, far)
    expected = minimise(hessian, c, penalty, np.zeros(30))
    np.testing.assert_allclose(found, expected, atol=1e-12)


def test_coordinates_without_penalty_are_free_and_with_an_infinite_one_are_zero() -> None:
    hessian, c = quadratic(100, 6, seed=3)
    penalty = np.array([0.0, np.inf, 1e9, 0.0, 1e9, 1e9])
    b = minimise(hessian, c, penalty, np.zeros(6))
    expected = np.linalg.solve(hessian[np.ix_([0, 3], [0, 3])], c[[0, 3]])
    np.testing.assert_allclose(b[[0, 3]], expected, rtol=1e-12)
    assert (b[[1, 2, 4, 5]] == 0).all()
