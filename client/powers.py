"""Formulas of one number over few patients: their sums are its power sums (R5).

The mean and spread of x, of x squared and of x cubed over six patients are six equations for
six values of x, and products with another column lay that column open too. The limit of
numbers a patient is about whole cohorts and does not see so small a selection. So sums of what
formulas make of one column, itself among them, must not be more than the patients they are
over: those of a step's selection, of a group it compares, or by which two selections differ,
at this site, as it cannot know whether others have any. A column as the table has it is never
counted by itself: twenty columns described over thirty patients are two sums for each column.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from client.selections import Rows
from common.analyses.newton import Bools
from common.analyses.publish import SMALLEST_CELL
from common.crossing import COLUMN_BY_COLUMN

_SUMS = {"moments": 4.0, "describe": 2.0, "standardise": 2.0, "compare_groups": 2.0}
_SUMS |= dict.fromkeys(("combat", "naive_bayes", "meta", "reclassification", "calibration"), 2.0)
"""Sums of a column's values, by kind of step; of counts there are none."""
_PRODUCTS = (
    *("correlate", "logistic", "cox", "piecewise_exponential", "univariable_logistic"),
    *("lasso", "svm", "cluster", "compare_paired", "icc", "concordance", "prototypes"),
)
"""Kinds that sum a column's products with the others too."""

_POWERS = {"moments": 4.0}
"""The highest power of a column that a kind sums, where it is not the square."""

_Read = Mapping[str, float]
"""Sums of each column, by its name."""


def highest_power(step: Any) -> float:
    """Return the highest power of a column that a step sums, 0 where it only counts."""
    if getattr(step, "method", "") == "spearman":
        return 0.0
    return _POWERS.get(step.kind, 2.0) if step.kind in (*_SUMS, *_PRODUCTS) else 0.0


def powers_of_few(rows: Rows, before: Sequence[str], name: str) -> str:
    """Say of which column too many sums are had over too few patients, "" where of none."""
    if not _read(rows, name):
        return ""
    for part, read in _parts(rows, before, name):
        n = rows.count(part)
        for base in sorted({b for column in read for b in rows.made.bases(column)}):
            of = {c: sums for c, sums in read.items() if base in rows.made.bases(c)}
            if 0 < n <= sum(of.values()) and not of.keys().isdisjoint(rows.made.own):
                many = f'{sum(of.values()):.0f} sums of formulas of "{base}"'
                return f"{many} over {n} patients: take fewer formulas of it, or more patients"
    return ""


def _parts(rows: Rows, before: Sequence[str], name: str) -> Iterator[tuple[Bools, _Read]]:
    """Give the rows that a step's sums are over, or tell of, with what is read over them."""
    read: dict[bytes, dict[str, float]] = {}
    for one in (*before, name):
        _add(read.setdefault(rows.within(one).tobytes(), {}), _read(rows, one))
    mine = rows.within(name)
    for key, others in read.items():
        theirs = np.frombuffer(key, np.bool_)
        if key != mine.tobytes():
            also = read[mine.tobytes()]
            yield mine ^ theirs, {c: min(n, also[c]) for c, n in others.items() if c in also}
        elif rows.alone or not mine.all():  # the whole cohort's sums are of all sites' patients
            yield mine, others
    if rows.study.bound[name].kind in COLUMN_BY_COLUMN:
        for _, level in rows.levels(name):
            if rows.count(mine & level) >= SMALLEST_CELL:  # of fewer none is printed
                yield mine & level, _read(rows, name)


def _read(rows: Rows, name: str) -> _Read:
    """Return the sums of those columns that formulas have made, or were made of."""
    step: Any = rows.study.bound[name]
    own, used = rows.made.own, rows.made.used
    columns = [c for c in map(rows.made.plain, step.columns()) if c in own or c in used]
    if step.kind not in _PRODUCTS:
        sums = _SUMS.get(step.kind, 0.0)
        return dict.fromkeys(columns, sums) if sums else {}
    bases = {c: rows.made.bases(c) for c in columns}
    alike = {c: sum(not of.isdisjoint(bases[c]) for of in bases.values()) for c in columns}
    return {c: (k + 3) / 2 for c, k in alike.items()}


def _add(known: dict[str, float], more: _Read) -> None:
    for column, sums in more.items():
        known[column] = max(known.get(column, 0.0), sums)
