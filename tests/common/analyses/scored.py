"""Scores, outcomes and times for tests, and the laws every analysis obeys."""

from dataclasses import replace

import numpy as np
import pytest

from common.analyses.analysis import Analysis
from common.analyses.runner import run
from common.cohort import Column
from common.table import Table
from tests.common.analyses.tables import split_unevenly

RISK = Column(type="number", range=(0, 1))
CONTRACT = {
    "response": Column(type="category", levels=("no", "yes")),
    "old": RISK,
    "new": RISK,
    "fine": RISK,
    "sum_score": Column(type="integer", range=(0, 20)),
    "days": Column(type="integer", range=(0, 1500), unit="days"),
    "died": Column(type="integer", range=(0, 1)),
    "arm": Column(type="category", levels=("a", "b", "c")),
    "sex": Column(type="category", levels=("f", "m")),
    "marker": Column(type="number", range=(0, 100)),
}


def scored(n: int, *, seed: int, missing: float = 0.05) -> Table:
    """Return n cases: scores with four decimals, one without, ties, gaps, survival."""
    rng = np.random.default_rng(seed)
    y = (rng.random(n) < 0.4).astype(np.float64)
    latent = y + rng.normal(size=n)
    marker = np.clip(50 + 15 * rng.normal(size=n), 0, 100)
    arm = rng.integers(0, 3, n).astype(np.float64)
    time = rng.exponential(np.exp(6 + 0.3 * arm - 0.02 * (marker - 50)))
    last = rng.uniform(50, 1500, n)
    columns = {
        "response": y,
        "old": np.round(_risk(latent + 1.5 * rng.normal(size=n) - 1), 4),
        "new": np.round(_risk(latent + 0.5 * rng.normal(size=n) - 1), 4),
        "fine": _risk(latent + rng.normal(size=n) - 1),
        "sum_score": np.clip(np.rint(6 + 4 * latent), 0, 20),
        "days": np.floor(np.minimum(time, last)),
        "died": (time <= last).astype(np.float64),
        "arm": arm,
        "sex": rng.integers(0, 2, n).astype(np.float64),
        "marker": marker,
    }
    for name in ("old", "marker"):
        columns[name][rng.random(n) < missing] = np.nan
    return Table(columns, CONTRACT, np.array([f"p{i:05d}" for i in range(n)]))


def alone(table: Table) -> Table:
    """Return the table as at a site whose sums go out in clear."""
    return replace(table, smallest_cell=5)


def assert_laws(step: Analysis, table: Table, without: str = "not a name") -> None:
    """Assert: any split gives the pooled answer, any order of sites the same bits.

    Numbers whose name holds `without` are of another estimand, such as one by site.
    """
    whole = _trim(run(step, [table]).values, without)
    for n_sites in (2, 5, 17):
        tables = split_unevenly(table, n_sites)
        found = run(step, tables).values
        assert _trim(found, without) == close(whole)
        assert run(step, tables[::-1]).values == found


def close(expected: object) -> object:
    """Compare nested numbers to 1e-10, everything else exactly."""
    if isinstance(expected, dict):
        return {key: close(value) for key, value in expected.items()}
    if isinstance(expected, list):
        return [close(value) for value in expected]
    if isinstance(expected, float):
        return pytest.approx(expected, rel=1e-10, abs=1e-10)
    return expected


def _trim(value: object, without: str) -> object:
    if isinstance(value, dict):
        return {k: _trim(v, without) for k, v in value.items() if without not in k}
    if isinstance(value, list):
        return [_trim(v, without) for v in value]
    return value


def _risk(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))
