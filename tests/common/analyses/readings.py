"""Tables for tests of comparisons: groups, two readers, repeated and harsh columns."""

import json
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from common.analyses.analysis import Analysis
from common.analyses.runner import run
from common.cohort import Column
from common.table import Table
from tests.common.analyses.tables import clinical, split_unevenly

STAGES = ("I", "II", "III", "IV")
CONTRACT = {
    "stage": Column(type="category", levels=STAGES),
    "stage_b": Column(type="category", levels=STAGES),
    "died": Column(type="integer", range=(0, 1)),
    "died_b": Column(type="integer", range=(0, 1)),
    "dice_a": Column(type="number", range=(0, 1)),
    "dice_b": Column(type="number", range=(0, 1)),
    "constant": Column(type="number"),
    "huge": Column(type="number"),
    "tiny": Column(type="number"),
    "near": Column(type="number"),
}


def readings(n: int, *, seed: int, smallest_cell: int = 0) -> Table:
    """Return n cases; their outcome and second reading go with stage and first one."""
    rng = np.random.default_rng(seed + 100)
    table = clinical(n, seed=seed, smallest_cell=smallest_cell)
    stage = rng.integers(0, 4, n).astype(np.float64)
    died = (rng.random(n) < 0.2 + 0.15 * stage).astype(np.float64)
    dice = np.clip(rng.beta(8, 2, n), 0, 1)
    columns = {
        "stage": stage,
        "stage_b": np.clip(stage + rng.integers(-1, 2, n), 0, 3),
        "died": died,
        "died_b": np.where(rng.random(n) < 0.15, 1 - died, died),
        "dice_a": np.round(dice, 4),
        "dice_b": np.round(np.clip(dice + rng.normal(0.01, 0.03, n), 0, 1), 4),
        "constant": np.full(n, 3.3),
        "huge": rng.lognormal(33, 1, n) * (1 + died),
        "tiny": rng.normal(1e-7, 3e-8, n),
        "near": 1e6 + rng.normal(0, 1, n) + stage,
    }
    for name in ("stage", "died", "dice_b", "huge"):
        columns[name][rng.random(n) < 0.04] = np.nan
    return replace(
        table,
        columns={**table.columns, **columns},
        contract={**table.contract, **CONTRACT},
    )


def with_columns(table: Table, contract: dict[str, Column], **columns: object) -> Table:
    """Return the table with more columns."""
    arrays = {name: np.asarray(values, np.float64) for name, values in columns.items()}
    return replace(
        table,
        columns={**table.columns, **arrays},
        contract={**table.contract, **contract},
    )


def groups_of(table: Table, column: str, by: str, n_groups: int) -> list[np.ndarray]:
    """Return the values of a column in each group, without missing ones."""
    x, g = table.columns[column], table.columns[by]
    return [x[(g == level) & ~np.isnan(x)] for level in range(n_groups)]


def close(expected: object, rel: float = 1e-10) -> object:
    """Compare nested numbers to `rel`, everything else exactly."""
    if isinstance(expected, dict):
        return {key: close(value, rel) for key, value in expected.items()}
    if isinstance(expected, list):
        return [close(value, rel) for value in expected]
    if isinstance(expected, float):
        return pytest.approx(expected, rel=rel, abs=rel)
    return expected


def check_laws(analysis: Analysis, table: Table, sites: Sequence[int]) -> None:
    """Check that an answer is the pooled one, and the same in any order of sites."""
    expected = run(analysis, [table])
    json.dumps(expected.values, allow_nan=False)  # plain values only
    for n_sites in sites:
        tables = split_unevenly(table, n_sites)
        empty = tables[0].rows(np.zeros(tables[0].n, bool))
        forth = run(analysis, [*tables, empty])
        back = run(analysis, [empty, *tables[::-1]])
        assert forth.values == close(expected.values)
        assert forth.values == back.values
        assert forth.arrays.keys() == expected.arrays.keys()
        for name, array in forth.arrays.items():
            np.testing.assert_allclose(array, expected.arrays[name], rtol=1e-10, atol=1e-10)
            np.testing.assert_array_equal(array, back.arrays[name])
