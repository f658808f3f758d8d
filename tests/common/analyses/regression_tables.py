"""Tables for tests of regressions: raw scales, a category, gaps, outcomes that follow."""

from collections.abc import Iterator, Mapping

import numpy as np
import pytest

from common.cohort import Column
from common.table import Table

CONTRACT = {
    "age": Column(type="integer", range=(18, 100)),
    "volume": Column(type="number", unit="mm3"),
    "adc": Column(type="number", unit="mm2/s"),
    "stage": Column(type="category", levels=("I", "II", "III")),
    "same": Column(type="number"),
    "twice_age": Column(type="number"),
    "response": Column(type="category", levels=("no", "yes")),
    "days": Column(type="integer", range=(0, 3000)),
    "died": Column(type="integer", range=(0, 1)),
}


def followed(n: int, *, seed: int, smallest_cell: int = 0) -> Table:
    """Return n cases: large, tiny and constant columns, ties, gaps in age and volume."""
    rng = np.random.default_rng(seed)
    age = np.clip(np.rint(rng.normal(62, 11, n)), 18, 100)
    volume, adc = rng.lognormal(9.0, 1.0, n), rng.normal(1e-3, 2e-4, n)
    stage = rng.integers(0, 3, n).astype(np.float64)
    eta = 0.04 * (age - 62) + 0.4 * (np.log(volume) - 9) - 2e3 * (adc - 1e-3) + 0.4 * stage
    days = np.ceil(rng.exponential(600 * np.exp(-eta + 0.5)))
    censored = rng.integers(100, 1800, n)
    columns = {
        "age": age,
        "volume": volume,
        "adc": adc,
        "stage": stage,
        "same": np.full(n, 7.3),
        "twice_age": 2.0 * age,
        "response": (rng.random(n) < 1 / (1 + np.exp(0.6 - eta))).astype(np.float64),
        "days": np.minimum(days, censored),
        "died": (days <= censored).astype(np.float64),
    }
    columns["age"] = np.where(rng.random(n) < 0.05, np.nan, age)
    columns["volume"][rng.random(n) < 0.03] = np.nan
    patients = np.array([f"p{i:04d}" for i in range(n)])
    return Table(columns, CONTRACT, patients, smallest_cell, fold_key="key")


def complete(table: Table, *columns: str) -> Table:
    """Return the rows without a gap in these columns."""
    gaps = np.isnan(np.column_stack([table.columns[c] for c in columns]))
    return table.rows(~gaps.any(axis=1))


def numbers(value: object, path: str = "") -> Iterator[tuple[str, object]]:
    """Give every leaf of an answer with its path."""
    if isinstance(value, Mapping):
        for key, part in value.items():
            yield from numbers(part, f"{path}.{key}")
    elif isinstance(value, list | tuple):
        for i, part in enumerate(value):
            yield from numbers(part, f"{path}[{i}]")
    else:
        yield path, value


def assert_same(found: object, expected: object, tolerance: float = 1e-10) -> None:
    """Compare nested answers: numbers to a relative tolerance, everything else exactly."""
    mine, theirs = dict(numbers(found)), dict(numbers(expected))
    assert mine.keys() == theirs.keys()
    for path, value in theirs.items():
        if isinstance(value, float):
            close = pytest.approx(value, rel=tolerance, abs=tolerance)
            assert mine[path] == close, path
        else:
            assert mine[path] == value, path
