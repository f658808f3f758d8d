"""What is told of the groups of Table 1, given their sums and what is told over all."""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from common.analyses.analysis import Json
from common.analyses.describe_answer import (
    Shown,
    category,
    hidden_category,
    hidden_number,
    is_yes_or_no,
    number,
    of_counts,
)
from common.analyses.describe_groups import Bools, Counts, Found
from common.analyses.group_cells import hidden_in_groups
from common.analyses.plain import whole
from common.cohort import Column

Quantiles = Mapping[str, Sequence[Sequence[Json]]]
"""Quantiles of each column of numbers, in each group."""


def group_entries(
    found: Found, contract: Mapping[str, Column], over_all: Mapping[str, Json], quantiles: Quantiles
) -> list[dict[str, Json]]:
    """Return what is told of each group: how many it has, and its columns.

    Args:
        found: what the sums say.
        contract: of the columns.
        over_all: what is told of the columns over all groups.
        quantiles: where there are any.
    """
    columns = {}
    for c, entry in over_all.items():
        gone = _gone(entry)
        if c in found.hidden or _all_hidden(entry):
            columns[c] = [_hidden(contract[c]) for _ in found.sizes]
        elif c in found.moments:
            told = found.told[:, [*found.moments].index(c)]
            columns[c] = [*_numbers(found, contract[c], c, (gone, told, quantiles[c]))]
        else:
            columns[c] = [*_counted(found, contract[c], found.counts[c], gone)]
    return [
        {
            "n": None if found.closed[g] else int(n),
            "columns": {c: of[g] for c, of in columns.items()},
        }
        for g, n in enumerate(found.sizes)
    ]


def _numbers(
    found: Found, column: Column, name: str, about: tuple[Bools, Bools, Sequence[Sequence[Json]]]
) -> Iterator[dict[str, Json]]:
    gone, told, quantiles = about
    moments = found.moments[name]
    present = whole([[of.n for of in moments]])
    for g, shown in enumerate(_shown(found, present, gone)):
        if told[g] or not (found.closed[g] or moments[g].n):
            yield number(column, moments[g], shown, quantiles[g])
        else:
            yield hidden_number(column)


def _counted(
    found: Found, column: Column, counts: Counts, gone: Bools
) -> Iterator[dict[str, Json]]:
    for g, shown in enumerate(_shown(found, counts, gone)):
        of = [int(n) for n in counts[:, g]]
        if is_yes_or_no(column):
            yield number(column, of_counts(of), shown, ())
        else:
            yield category(column.levels, shown, sum(of))


def _shown(found: Found, counts: Counts, gone: Bools) -> list[Shown]:
    """Return, for each group, the counts of levels and of those without a value."""
    table = np.vstack([counts, found.sizes - counts.sum(axis=0)])
    hidden = hidden_in_groups(table, found.closed, gone)
    return [
        [None if h else int(n) for n, h in zip(of, away, strict=True)]
        for of, away in zip(table.T, hidden.T, strict=True)
    ]


def _gone(entry: Json) -> Bools:
    """Return which counts of a column are hidden over all: of levels, or of those who have it."""
    of = entry if isinstance(entry, dict) else {}
    levels = of.get("levels")
    counts = [*levels.values()] if isinstance(levels, dict) else [of["n"]]
    return np.array([n is None for n in (*counts, of["missing"])], np.bool_)


def _all_hidden(entry: Json) -> bool:
    """Tell whether nothing is told of a column over all groups, not even its mean."""
    mean = entry.get("mean") if isinstance(entry, dict) else None
    return mean is None and bool(_gone(entry).all())


def _hidden(column: Column) -> dict[str, Json]:
    return hidden_category(column.levels) if column.levels else hidden_number(column)
