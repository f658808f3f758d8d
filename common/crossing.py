"""By which categories a step parts what it sums."""

from collections.abc import Iterator, Mapping
from typing import Any

from common.analyses.levels import levels_of
from common.analyses.rare_levels import is_binary
from common.cohort import Column

COLUMN_BY_COLUMN = (
    *("describe", "moments", "standardise", "compare_groups", "histogram"),
    *("cross_tabulate", "missingness", "univariable_logistic"),
)
"""Kinds of step that sum what is in `of` column by column, not one times another."""

_GROUPED = {"compare_groups": "by", "describe": "by", "kaplan_meier": "group"}
_GROUPED |= {"naive_bayes": "outcome"}
"""The field that names the groups, of kinds that print means, or curves, of each."""


def grouped_by(step: Any) -> str:
    """Return the column by whose levels a step tells of groups, means and all; "" of none."""
    sides = getattr(step, "cut", None) is not None or bool(getattr(step, "cut_chosen_in", ""))
    field = "" if sides else _GROUPED.get(step.kind, "")  # the sides of a number have no levels
    return str(getattr(step, field) or "") if field else ""


def level_values(column: str, contract: Mapping[str, Column]) -> range:
    """Return what stands in a table for each of a column's levels, in their order."""
    of = contract[column]
    first = 0 if of.levels or of.range is None else round(of.range[0])
    return range(first, first + len(levels_of(column, contract)))


def crossing(step: Any, contract: Mapping[str, Column]) -> list[str]:
    """Return the columns of levels with which a step parts or multiplies what it sums.

    Categories, columns of 0 and 1, and whole numbers by which it tells of groups.
    """
    named: set[str] = set()
    for setting in type(step).model_fields:
        if setting != "of" or step.kind not in COLUMN_BY_COLUMN:
            named |= set(_words(getattr(step, setting)))
    groups = grouped_by(step)
    return [
        c
        for c in step.columns()
        if c in named and (contract[c].levels or is_binary(c, contract) or c == groups)
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
