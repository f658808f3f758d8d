"""Formulas that point at a patient: of their sum one patient's number is nearly all (R2).

The fourth power of 1 / (marker - 37.1) is large for whoever's marker is next to 37.1 and
nothing for all others, so its mean is that patient's, and the mean of its product with another
column that patient's other number. Statistical offices do not print a total of which all but
one contribute less than p per cent of what that one does (Hundepool et al., Statistical
Disclosure Control, Wiley 2012, 4.2: the p% rule); here p is ten, of deviations from the median,
as the sum of a constant is known, in the highest power that the step sums: of a spread squares.
Two to four who stand apart so are as many equations of as many numbers. The sum of another
column is known too: what is added to such a number, or multiplied with it, does not hide it, so
every formula that stands in a column is looked at. A number that is such by itself, an outlier
in the one column of a formula, is not the formula's doing.
"""

from collections.abc import Iterator, Sequence

import numpy as np

from client.powers import highest_power
from client.selections import Rows
from common.analyses.newton import Bools
from common.analyses.publish import SMALLEST_CELL
from common.table import Floats

_SHARE = 0.1
_SHARE_OF_TWO = 0.01  # two high numbers in a group are common, and two equations blur more
_ALIKE = 1 - 1e-6
_SQUARES = 2
_YES_OR_NO = 2
_FOURTH = ", or `describe` instead, which has no fourth powers"


def few_dominate(rows: Rows, before: Sequence[str], name: str) -> str:
    """Say of which formula's sums, over a step's cases, few patients' numbers are nearly all."""
    power, formulas = highest_power(rows.study.bound[name]), _formulas(rows, name)
    for part in _parts(rows, before, name) if formulas else ():
        for column in formulas:
            top = _dominant(rows, rows.made.numbers[column], part, power)
            if top and top != _outliers(rows, column, part, power):
                n = f"{len(top)} patients" if len(top) > 1 else "one patient"
                return (
                    f'"{column}" is of {n} of this site for the most part: take its '
                    f"logarithm, or lower powers{_FOURTH if power > _SQUARES else ''}"
                )
    return ""


def _formulas(rows: Rows, name: str) -> dict[str, None]:
    """Return the formulas that stand in what a step sums; none of one that only counts."""
    made, step = rows.made, rows.study.bound[name]
    read = step.columns() if highest_power(step) else ()
    return {c: None for column in read for c in made.carried(column) if c in made.numbers}


def _outliers(rows: Rows, column: str, part: Bools, power: float) -> frozenset[str]:
    """Return who stands out in the one column of the table that a formula is made of.

    With a second column in it, the formula would tell of that one's numbers too; and of a yes or
    no of few nothing is told at all.
    """
    bases = rows.made.bases(column)
    values = rows.made.numbers.get(min(bases)) if len(bases) == 1 else None
    if values is None or len(np.unique(values[part & ~np.isnan(values)])) <= _YES_OR_NO:
        return frozenset()
    return _dominant(rows, values, part, power)


def _parts(rows: Rows, before: Sequence[str], name: str) -> Iterator[Bools]:
    """Give the rows of a step, by which it differs from one before it, and in each level.

    Of a level those of enough patients: of fewer none is printed.
    """
    inside, formulas = rows.within(name), _formulas(rows, name).keys()
    yield inside
    others = {rows.within(n).tobytes() for n in before if formulas & _formulas(rows, n).keys()}
    yield from (inside ^ np.frombuffer(other, np.bool_) for other in sorted(others))
    for _, level in rows.levels(name):
        if rows.count(inside & level) >= SMALLEST_CELL:
            yield inside & level


def _dominant(rows: Rows, values: Floats, part: Bools, power: float) -> frozenset[str]:
    """Return the patients beside each of whom all others are nothing, none where there are none.

    One, or two to four who stand apart from at least five others, and not with one number: that
    would tell how many they are, as a change of nothing in a few.
    """
    here = part & ~np.isnan(values)
    if not here.any():
        return frozenset()
    away = np.abs(values[here] - np.median(values[here]))
    patients, at = np.unique(rows.patients[here], return_inverse=True)
    of_each = np.bincount(at, weights=(away / (away.max() or 1.0)) ** power)
    order = np.argsort(-of_each, kind="stable")
    for n in range(1, SMALLEST_CELL):
        most, least = of_each[order[0]], of_each[order[min(n, len(order)) - 1]]
        told = n == 1 or (len(order) >= n + SMALLEST_CELL and least < _ALIKE * most)
        share = _SHARE if n == 1 else _SHARE_OF_TWO
        if told and of_each[order[n:]].sum() < share * least:
            return frozenset(patients[order[:n]].tolist())
    return frozenset()
