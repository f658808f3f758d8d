"""Formulas that point at one patient: of their sum one patient's number is nearly all (R2).

The fourth power of 1 / (marker - 37.1) is large for whoever's marker is next to 37.1 and
nothing for all others, so its mean is that patient's, and the mean of its product with another
column that patient's other number. Statistical offices do not print a total of which all but
one contribute less than p per cent of what that one does (Hundepool et al., Statistical
Disclosure Control, Wiley 2012, 4.2: the p% rule); here p is ten, of deviations from the median,
as the sum of a constant is known. So is that of other columns: what is added to such a number, or
multiplied with it, does not hide it, so every formula that stands in a column is looked at. A
number that is such by itself, an outlier in the table, is not the formula's doing.
"""

from collections.abc import Iterator

import numpy as np

from client.powers import sums_values
from client.selections import Rows
from common.analyses.newton import Bools
from common.analyses.publish import SMALLEST_CELL
from common.crossing import COLUMN_BY_COLUMN
from common.table import Floats

_SHARE = 0.1


def one_dominates(rows: Rows, name: str) -> str:
    """Say of which formula's sums, over a step's cases, one patient's number is nearly all."""
    made, step = rows.made, rows.study.bound[name]
    read = step.columns() if sums_values(step) else ()
    formulas = {c: None for column in read for c in made.carried(column) if c in made.numbers}
    for part in _parts(rows, name) if formulas else ():
        for column in formulas:
            top = _dominant(rows, made.numbers[column], part)
            bases = (made.numbers[base] for base in made.bases(column) if base in made.numbers)
            if top and top not in {_dominant(rows, base, part) for base in bases}:
                return (
                    f'"{column}" is of one patient of this site for the most part: take its '
                    "logarithm, or lower powers"
                )
    return ""


def _parts(rows: Rows, name: str) -> Iterator[Bools]:
    """Give the rows of a step, and in each level that it tells apart of those of enough."""
    inside = rows.within(name)
    yield inside
    if rows.study.bound[name].kind in COLUMN_BY_COLUMN:
        for _, level in rows.levels(name):
            if rows.count(inside & level) >= SMALLEST_CELL:  # of fewer none is printed
                yield inside & level


def _dominant(rows: Rows, values: Floats, part: Bools) -> str:
    """Return the patient next to whose number all others' are nothing, "" where there is none."""
    here = part & ~np.isnan(values)
    if not here.any():
        return ""
    with np.errstate(over="ignore"):
        away = np.abs(values[here] - np.median(values[here]))
    patients, at = np.unique(rows.patients[here], return_inverse=True)
    of_each = np.bincount(at, weights=away)
    top = int(np.argmax(of_each))
    others = float(np.delete(of_each, top).sum())
    return str(patients[top]) if others < _SHARE * of_each[top] else ""
