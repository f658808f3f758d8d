"""Tables for tests: a cohort with ties, missing values and raw scales, split unevenly."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from common.cohort import Column
from common.table import Table

CONTRACT = {
    "age": Column(type="integer", range=(18, 100), unit="years"),
    "marker": Column(type="number", range=(0, 50), unit="ng/ml"),
    "sex": Column(type="category", levels=("f", "m")),
    "raw": Column(type="number"),
}


def clinical(n: int, *, seed: int, smallest_cell: int = 0) -> Table:
    """Return n cases; age has ties and gaps, raw lies on a large scale."""
    rng = np.random.default_rng(seed)
    columns = {
        "age": np.clip(np.rint(rng.normal(62, 11, n)), 18, 100),
        "marker": np.minimum(rng.lognormal(1.0, 0.7, n), 50.0),
        "sex": rng.integers(0, 2, n).astype(np.float64),
        "raw": rng.normal(3e4, 1e4, n),
    }
    columns["age"][rng.random(n) < 0.08] = np.nan
    patients = np.array([f"p{i:04d}" for i in range(n)])
    return Table(columns, CONTRACT, patients, smallest_cell)


def split_unevenly(table: Table, n_sites: int) -> list[Table]:
    """Return the rows of a table in n sites, each about 0.7 as large as the one before."""
    shares = 0.7 ** np.arange(n_sites)
    ends = np.rint(table.n * np.cumsum(shares) / shares.sum()).astype(int)
    site = np.searchsorted(ends, np.arange(table.n), side="right")
    order = np.random.default_rng(0).permutation(table.n)
    return [table.rows(np.isin(np.arange(table.n), order[site == s])) for s in range(n_sites)]


def pooled(tables: Sequence[Table]) -> Table:
    """Return the rows of all tables as one site's."""
    first = tables[0]
    columns = {c: np.concatenate([t.columns[c] for t in tables]) for c in first.columns}
    return replace(first, columns=columns, patients=np.concatenate([t.patients for t in tables]))
