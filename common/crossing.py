"""By which categories a step parts what it sums."""

from collections.abc import Iterator, Mapping
from typing import Any

from common.analyses.rare_levels import is_binary
from common.cohort import Column

COLUMN_BY_COLUMN = (
    *("describe", "moments", "standardise", "compare_groups", "histogram"),
    *("cross_tabulate", "missingness", "univariable_logistic"),
)
"""Kinds of step that sum what is in `of` column by column, not one times another."""


def crossing(step: Any, contract: Mapping[str, Column]) -> list[str]:
    """Return the categories, and columns of 0 and 1, with which a step parts or multiplies."""
    named: set[str] = set()
    for setting in type(step).model_fields:
        if setting != "of" or step.kind not in COLUMN_BY_COLUMN:
            named |= set(_words(getattr(step, setting)))
    return [
        c for c in step.columns() if c in named and (contract[c].levels or is_binary(c, contract))
    ]


def _words(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for of in value.values():
            yield from _words(of)
    elif isinstance(value, tuple):
        for of in value:
            yield from _words(of)
