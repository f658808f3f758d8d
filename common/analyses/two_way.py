"""Two-way tables of counts: made at a site, tested, and printed with care."""

import math
from collections.abc import Callable, Mapping
from functools import partial

import numpy as np
from numpy.typing import NDArray

from common.analyses.analysis import Json
from common.analyses.hidden_cells import LEVELS, below, has_small, hidden_cells, told_alike
from common.analyses.levels import level_codes, levels_of
from common.analyses.plain import plain
from common.cohort import Column
from common.sums import Array, Schema, Sums, cells, count
from common.table import Table

Counts = NDArray[np.int64]
Outcome = dict[str, Json]
Pairs = tuple[tuple[str, str], ...]
_HIDDEN = (
    "cells below five are hidden, with statistics that would give them away; of p is told "
    "below which level it lies, where that gives none away"
)


def tables_schema(pairs: Pairs, contract: Mapping[str, Column]) -> Schema:
    """Declare a table for each pair of columns, and whether a site alone hides it."""
    schema = {"n": count()}
    for i, pair in enumerate(pairs):
        shape = [len(levels_of(name, contract)) for name in pair]
        schema |= {f"table.{i}": cells(*shape), f"hidden.{i}": count()}
    return schema


def tables_here(pairs: Pairs, table: Table) -> Sums:
    """Count the cases that have both columns; alone, a table with a small cell is 0."""
    sums: dict[str, Array] = {"n": np.array(table.n)}
    for i, pair in enumerate(pairs):
        counts = two_way(table, *pair)
        hidden = bool(((counts > 0) & (counts < table.smallest_cell)).any())
        sums[f"table.{i}"] = np.zeros_like(counts) if hidden else counts
        sums[f"hidden.{i}"] = np.array(int(hidden))
    return sums


def two_way(table: Table, rows: str, columns: str) -> Counts:
    """Return how many cases have each level of one and of another column."""
    shape = [len(levels_of(name, table.contract)) for name in (rows, columns)]
    a, b = level_codes(table, rows), level_codes(table, columns)
    both = (a >= 0) & (b >= 0)
    flat = np.bincount(a[both] * shape[1] + b[both], minlength=shape[0] * shape[1])
    return flat.reshape(shape).astype(np.int64)


def printed(counts: Counts, rows: tuple[str, ...], columns: tuple[str, ...]) -> Json:
    """Return a table by row and column, None where a count must not be shown.

    See `common.analyses.hidden_cells`.
    """
    hidden = hidden_cells(counts)
    return {
        row: {
            column: None if hidden[i, j] else int(counts[i, j]) for j, column in enumerate(columns)
        }
        for i, row in enumerate(rows)
    }


def without_hidden(test: Callable[[Counts], Outcome], counts: Counts) -> Outcome:
    """Return a test's outcome without what hidden cells could be worked out of.

    Few tables of known margins have the same chi-square, or p to two digits. Beside a hidden
    cell statistics and effects are left out, and of p is told only below which usual
    level it lies, as far as no table would be the only one.
    """
    found = test(counts)
    if not has_small(counts):
        return found
    kept: Outcome = {name: found[name] for name in ("df", "note") if name in found}
    told = told_alike(counts, [partial(_below, test, levels) for levels in LEVELS])
    return {**kept, "p": None, **told, "hidden": _HIDDEN}


def _below(test: Callable[[Counts], Outcome], levels: tuple[float, ...], counts: Counts) -> Outcome:
    p = test(counts).get("p")
    return {"p_below": below(p, levels)} if levels and isinstance(p, float) else {}


def chi_square(counts: Counts, *, yates: bool) -> Outcome:
    """Return Pearson's test of independence and Cramer's V; empty levels are left out.

    Args:
        counts: shape (rows, columns).
        yates: with continuity correction, for two by two.
    """
    from scipy.special import chdtrc

    counts = counts[counts.sum(axis=1) > 0][:, counts.sum(axis=0) > 0]
    n, df = int(counts.sum()), (counts.shape[0] - 1) * (counts.shape[1] - 1)
    if not n or df <= 0:
        return {"p": None, "note": "fewer than two levels of a column have cases"}
    expected = np.outer(counts.sum(axis=1), counts.sum(axis=0)) / n
    off = np.abs(counts - expected)
    plain_chi = float((off**2 / expected).sum())
    if yates and df == 1:
        off = off - np.minimum(0.5, off)
    chi = float((off**2 / expected).sum())
    return {
        "statistic": chi,
        "df": df,
        "p": plain(chdtrc(df, chi)),
        "cramers_v": math.sqrt(plain_chi / n / min(s - 1 for s in counts.shape)),
        "smallest_expected": float(expected.min()),
    }


def fisher(counts: Counts) -> Outcome:
    """Return Fisher's exact two-sided test of a two by two table."""
    from scipy.stats import fisher_exact

    if min(counts.sum(axis=0).min(), counts.sum(axis=1).min()) == 0:
        return {"p": None, "note": "fewer than two levels of a column have cases"}
    return {"p": plain(fisher_exact(counts).pvalue)}


def odds_ratio(counts: Counts, level: float) -> Outcome:
    """Return the odds ratio of a two by two table with Woolf's interval.

    Woolf, Ann Hum Genet 19:251 (1955); with a zero cell, a half is added to each
    (Haldane, Ann Hum Genet 20:309, 1956).
    """
    from scipy.special import ndtri

    if min(counts.sum(axis=0).min(), counts.sum(axis=1).min()) == 0:
        return {"estimate": None, "ci_low": None, "ci_high": None}
    half = counts + 0.5 if counts.min() == 0 else counts.astype(np.float64)
    log = math.log(half[0, 0] * half[1, 1] / (half[0, 1] * half[1, 0]))
    reach = float(ndtri((1 + level) / 2)) * math.sqrt((1 / half).sum())
    low, high = math.exp(log - reach), math.exp(log + reach)
    return {"estimate": math.exp(log), "ci_low": low, "ci_high": high}
