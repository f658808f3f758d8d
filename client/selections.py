"""Of which of a site's rows a step tells: its cases, less whom formulas leave out, and sides.

Rows are the cases of the site's cohort. Formulas are the study's, so they can be aimed at a
patient as a filter can; folds and splits are drawn, and taken as given where sums are masked.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import product

import numpy as np
from numpy.typing import NDArray

from client.cases import Case
from client.cohorts import select
from client.made import MadeColumns
from common.analyses.derive import Derive
from common.analyses.newton import Bools
from common.crossing import crossing, level_values
from common.step import Cases
from common.study import Study


@dataclass(frozen=True)
class Part:
    """Rows a step tells of, within those for which that is known.

    Attributes:
        rows: shape (n,).
        known: all, but for a side of a cut-off those that have the number.
        is_side: of a cut-off.
    """

    rows: Bools
    known: Bools
    is_side: bool = False


@dataclass
class Rows:
    """A site's cases as the steps of a study see them.

    Attributes:
        study: the study.
        cases: this site's cohort.
        made: what formulas make of them.
        alone: sums go out in clear: then splits and folds are selections like others.
    """

    study: Study
    cases: Sequence[Case]
    made: MadeColumns
    alone: bool
    _known: dict[str, Bools] = field(default_factory=dict)

    @property
    def patients(self) -> NDArray[np.str_]:
        """Patient of each row."""
        return self.made.patients

    def of(self, wanted: Cases) -> Bools:
        """Return the rows of a selection."""
        key = repr(wanted)
        if key not in self._known:
            chosen = {case.case_id for case in select(self.study, self.cases, wanted)}
            self._known[key] = np.array([c.case_id in chosen for c in self.cases], np.bool_)
        return self._known[key]

    def chosen(self, name: str) -> Bools:
        """Return the rows of a step's own selection."""
        return self.of(self.study.bound[name].cases)

    def within(self, name: str) -> Bools:
        """Return the rows of a step's own selection, whole folds taken together."""
        wanted = self.study.bound[name].cases
        return self.of(wanted if self.alone else wanted.model_copy(update={"outside": None}))

    def told(self, name: str) -> list[Bools]:
        """Return the rows a step sums: its selection, and less whom formulas leave out.

        Those that are 0 in a column add nothing to its sums, so they are left out too.
        """
        here, inside = self.of(self.study.bound[name].cases), self.within(name)
        left = [inside & ~lost for lost in self._lost(name)]
        columns = self.study.bound[name].columns() if self.made.weighed else ()
        weighed = [self.made.weighed[c] for c in columns if c in self.made.weighed]
        if isinstance(self.study.bound[name], Derive):
            return [here, *left]
        return [here, *left, *(part & rows for rows in weighed for part in (inside, *left))]

    def parts(self, name: str) -> list[Part]:
        """Return what a step tells of, with the sides of the cut-offs that it reads."""
        step, all_ = self.study.bound[name], np.ones(len(self.cases), np.bool_)
        if isinstance(step, Derive):
            return []
        inside = self.of(step.cases if self.alone else Cases(where=step.cases.where))
        found = [Part(inside & ~lost, all_) for lost in self._lost(name)]
        for column in step.columns() if self.made.sides else ():
            values = self.made.sides.get(column)
            if values is not None:
                known = ~np.isnan(values)
                found += [Part(inside & (values == side), known, True) for side in (1, 0)]
        return [Part(inside, all_), *found]

    def levels(self, name: str) -> Iterator[tuple[str, Bools]]:
        """Give the rows in each level of a category by which a step parts what it sums."""
        for column in crossing(self.study.bound[name], self.study.contract()):
            yield from ((column, rows) for rows in self.in_levels(column))

    def in_levels(self, column: str) -> list[Bools]:
        """Return the rows of each level of a column, in their order; none where not made yet."""
        values = self.values(column)
        levels = level_values(column, self.study.contract()) if values is not None else ()
        return [np.asarray(values == level, np.bool_) for level in levels]

    def values(self, column: str) -> NDArray[np.float64] | None:
        """Return a category's levels, of the cohort or made; None where it is not made yet."""
        if column in self.study.cohort.columns:
            return np.array([c.values.get(column, np.nan) for c in self.cases])
        return self.made.sides.get(column, self.made.levels.get(column))

    def count(self, rows: Bools) -> int:
        """Return the number of patients."""
        return self.made.count(rows)

    def _lost(self, name: str) -> list[Bools]:
        step = self.study.bound[name]
        if isinstance(step, Derive) or not any(rows.any() for rows in self.made.lost.values()):
            return []
        columns = step.columns()
        sets = [*(self.made.lost_by([c]) for c in columns), self.made.lost_by(columns)]
        return [*{rows.tobytes(): rows for rows in sets if rows.any()}.values()]


def few_in_levels(rows: Rows, name: str, least: int) -> str:
    """Say which level has few patients of those whom a formula leaves out, or in.

    A level that is left out as a whole tells no more than the level itself does.
    """
    _, *told = rows.told(name)
    inside = rows.within(name)
    family = [inside, *told]
    for column, level in rows.levels(name) if told else ():
        of_level = inside & level
        for one, other in product(family, told):
            apart = (one ^ other) & level
            for part in (apart, other & level if apart.any() else apart):
                n = rows.count(part)
                if 0 < n < least and not np.array_equal(part, of_level):
                    return f'a formula leaves out, or in, {n} patients of a level of "{column}"'
    return ""


def few_apart(rows: Rows, before: Sequence[str], name: str, least: int) -> str:
    """Say which side of a cut-off has few patients, or differs by few from what else is told."""
    if not rows.made.sides:
        return ""
    mine = rows.parts(name)
    for part in mine:
        if part.is_side and 0 < (n := rows.count(part.rows)) < least:
            return f"{n} patients on one side of a cut-off"
    others = {
        (part.rows.tobytes(), part.known.tobytes()): part
        for other in (*before, name)
        for part in rows.parts(other)
    }
    for one, other in product(mine, others.values()):
        if one.is_side or other.is_side:
            n = rows.count((one.rows ^ other.rows) & one.known & other.known)
            if 0 < n < least:
                return f"a side of a cut-off and another selection differ by {n} patients"
    return ""
