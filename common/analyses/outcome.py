"""A two-class outcome of a table: which level is the event, and who has all values."""

from collections.abc import Mapping, Sequence

import numpy as np

from common.analyses.publish import SMALLEST_CELL
from common.cohort import Column
from common.sums import Array
from common.table import Floats, Table

NO_CASE = "no case has all columns"
ONE_CLASS = "the outcome has one class only"
FEW_OF_A_CLASS = f"fewer than {SMALLEST_CELL} cases of a class of the outcome"
NO_EVENT = "there are no events"
FEW_EVENTS = f"fewer than {SMALLEST_CELL} events"


def lacks_classes(classes: Sequence[int] | Array) -> str | None:
    """Say why an outcome cannot be studied; None where both classes have enough cases.

    Args:
        classes: cases without and with the event.
    """
    none, with_event = (int(n) for n in classes)
    if not none + with_event:
        return NO_CASE
    if not with_event:
        return f"{ONE_CLASS}: no case has the event"
    if not none:
        return f"{ONE_CLASS}: every case has the event"
    return FEW_OF_A_CLASS if min(none, with_event) < SMALLEST_CELL else None


def lacks_events(n: int, n_events: int) -> str:
    """Say why survival cannot be modelled, of n cases with fewer than five events."""
    if not n:
        return NO_CASE
    return FEW_EVENTS if n_events else NO_EVENT


def event_level(contract: Mapping[str, Column], outcome: str, positive: str) -> int:
    """Return the value of the outcome that counts as the event.

    Args:
        contract: with the outcome's column.
        outcome: a category, or an integer of range 0 to 1.
        positive: the level that is the event; "" for the last of two levels, or 1.

    Raises:
        ValueError: the column is neither, or has no such level.
    """
    column = contract[outcome]
    if column.type != "category":
        if column.range != (0.0, 1.0) or positive not in ("", "1"):
            raise ValueError(f'outcome "{outcome}": expected a category or whole numbers 0 and 1')
        return 1
    if positive:
        if positive not in column.levels:
            known = ", ".join(column.levels)
            raise ValueError(f'outcome "{outcome}": no level "{positive}", but {known}')
        return column.levels.index(positive)
    if len(column.levels) != 2:
        raise ValueError(f'outcome "{outcome}": say which of its levels is `positive`')
    return 1


def events(table: Table, outcome: str, positive: str) -> Floats:
    """Return 1 for the event, 0 for any other level, NaN where missing, shape (n,)."""
    values = table.columns[outcome]
    level = event_level(table.contract, outcome, positive)
    return np.where(np.isnan(values), np.nan, (values == level).astype(np.float64))


def complete(table: Table, columns: Sequence[str]) -> Table:
    """Return the rows that miss none of the columns."""
    keep = np.ones(table.n, np.bool_)
    for name in columns:
        keep &= ~np.isnan(table.columns[name])
    return table.rows(keep)
