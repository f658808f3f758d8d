"""Codes that a study takes for missing though they may be values. No mistake, but to be seen."""

from collections.abc import Iterator
from math import isfinite

from common.cohort import Cohort, Column

Path = tuple[str, ...]


def doubtful_codes(cohort: Cohort) -> Iterator[tuple[Path, str]]:
    """Yield place and words for every code for missing that is an ordinary number of its column."""
    for name, column in cohort.columns.items():
        for code in column.missing:
            if (why := _why_doubtful(code, column)) is not None:
                yield ("cohort", "columns", name, "missing"), f'"{code}" {why}'


def _why_doubtful(code: str, column: Column) -> str | None:
    number = _number(code)
    if column.type == "category" or number is None:
        return None
    if column.type == "integer" and not number.is_integer():
        return None
    if column.range is None:
        return "is a number, and no range says that it is no value: every such value is missing"
    low, high = column.range
    if not low <= number <= high:
        return None
    return f"is a possible value, {low:g} to {high:g}: whoever has it counts as missing"


def _number(code: str) -> float | None:
    try:
        number = float(code)
    except ValueError:
        return None
    return number if isfinite(number) else None
