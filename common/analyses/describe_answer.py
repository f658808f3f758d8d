"""One column of Table 1 as an answer prints it, over all cases or over those of a group."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from common.analyses.analysis import Json
from common.analyses.publish import few, shown_counts
from common.analyses.quantiles import Window
from common.analyses.rare_levels import is_binary
from common.cohort import Column
from common.sums import Array

Shown = Sequence[int | None]
"""Counts of the levels of a column and of those without a value, None where hidden."""

YES_OR_NO = ("0", "1")
"""Levels of a column of whole numbers 0 and 1, which is counted as a category is."""


@dataclass(frozen=True)
class Moments:
    """Of a column, over the cases that have it."""

    n: int
    mean: float
    sd: float

    @property
    def counts(self) -> list[int]:
        """How many have a 0 and a 1, of a column of nothing else."""
        ones = round(self.n * self.mean) if self.n else 0
        return [self.n - ones, ones]


def is_yes_or_no(column: Column) -> bool:
    """Tell whether a column is of whole numbers 0 and 1."""
    return column.type == "integer" and is_binary("", {"": column})


def is_counted(column: Column) -> bool:
    """Tell whether a column is counted by level."""
    return column.type == "category" or is_yes_or_no(column)


def of_counts(counts: Sequence[int]) -> Moments:
    """Return the moments of a column of zeros and ones, so many of each."""
    n, ones = sum(counts), counts[1]
    mean = ones / n if n else math.nan
    return Moments(n, mean, math.sqrt(n * mean * (1 - mean) / (n - 1)) if n > 1 else math.nan)


def shown_levels(counts: Sequence[int], n_cases: int) -> list[int | None]:
    """Return the counts of levels and of those without a value, None where hidden.

    Those without a value are a cell as the levels are: all add up to the cases.
    """
    n = sum(counts)
    if few(n):
        return [None] * (len(counts) + 1)
    return shown_counts([*counts, n_cases - n])


def category(levels: Sequence[str], shown: Shown, n: int) -> dict[str, Json]:
    """Return what is told of a category, of whose cases n have a value."""
    *counts, missing = shown
    told: dict[str, Json] = dict(zip(levels, counts, strict=True))
    return {"levels": told, "n": None if missing is None else n, "missing": missing}


def number(
    column: Column, moments: Moments, shown: Shown, quantiles: Sequence[Json]
) -> dict[str, Json]:
    """Return what is told of a column of numbers.

    Args:
        column: of the contract.
        moments: its mean and SD.
        shown: how many have it, and have not; of 0 and 1 see `Shown`.
        quantiles: see `told_quantiles`.
    """
    told: dict[str, Json] = {
        "n": shown[0],
        "missing": shown[-1],
        "mean": moments.mean if moments.n else None,
        "sd": moments.sd if moments.n > 1 else None,
        "quantiles": [*quantiles],
        "unit": column.unit,
    }
    if not is_yes_or_no(column):
        return told
    counted = category(YES_OR_NO, shown, moments.n)
    # Beside a hidden count the mean would tell it.
    return {**(hidden_number(column) if None in shown else told), **counted}


def hidden_number(column: Column) -> dict[str, Json]:
    """Return what is told of a column of numbers of which nothing may be."""
    told: dict[str, Json] = dict.fromkeys(("n", "missing", "mean", "sd"))
    told |= {"quantiles": [], "unit": column.unit}
    return told | (hidden_category(YES_OR_NO) if is_yes_or_no(column) else {})


def hidden_category(levels: Sequence[str]) -> dict[str, Json]:
    """Return what is told of a category of which nothing may be."""
    return {"levels": dict.fromkeys(levels), "n": None, "missing": None}


def told_quantiles(at: Sequence[float], windows: Sequence[Window]) -> list[Json]:
    """Return quantiles with the edges between which they lie."""
    return [
        {"at": q, "value": w.value, "low": w.low, "high": w.high}
        for q, w in zip(at, windows, strict=False)
        if w.inside and not math.isnan(w.value)
    ]


def as_counts(counts: Array) -> list[int]:
    """Return counts as plain numbers."""
    return [int(n) for n in counts]
