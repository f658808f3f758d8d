"""Columns made by a study's formulas must not single out a few patients (R2).

A formula makes a number missing where it is no finite one or out of the range that the
study gives it, and a cut-off parts patients: selections by another name. Two tables that
differ by a few patients, subtracted, would tell of them, and so would one of a few alone.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import combinations

import numpy as np

from client.cases import Case
from client.made import MadeColumns
from client.site import Site
from client.tables import Source, make_table
from common.analyses.analysis import Answer
from common.analyses.derive import Derive
from common.errors import Reason, Refused
from common.sites import PolicySettings
from common.study import Study
from common.table import Floats, Table

_TableOf = Callable[[tuple[str, ...]], Table]
_Patients = frozenset[str]


def made_at(site: Site, study: Study, run: str, cases: tuple[Case, ...]) -> MadeColumns:
    """Return what the study's formulas make of a site's cases, as far as that is known by now."""
    source = Source(site, study, run)

    def table_of(columns: tuple[str, ...]) -> Table:
        return make_table(source, cases, columns, alone=False)

    made = _made(study, table_of)
    categories = (c for c, of in study.contract().items() if "." in c and of.type == "category")
    made.levels |= table_of(tuple(categories)).columns
    return made


def made_of(study: Study, cases: Sequence[Case]) -> MadeColumns:
    """Return what formulas make of the cohort's own columns, and of what is made of those."""
    patients = np.array([case.patient_id for case in cases], np.str_)

    def table_of(columns: tuple[str, ...]) -> Table:
        own = {
            name: np.array([case.values.get(name, np.nan) for case in cases])
            for name in columns
            if name in study.cohort.columns
        }
        return Table(own, study.contract(), patients, 0, fold_key=study.name)

    return _made(study, table_of)


def check_formulas(site: Site, study: Study, run: str, cases: tuple[Case, ...]) -> None:
    """Check that no formula singles out one to `smallest_cell` - 1 of the site's patients.

    Those whom formulas leave out must be nobody or so many, those whom they leave in, and those
    on each side of a cut-off; and what the left out of two formulas have, or have not, in
    common, and what lies between two cut-offs, of whatever numbers: a copy of a number cuts as
    the number does. Of all formulas of the study whose columns are there by now.

    Raises:
        Refused: SELECTION_TOO_SMALL.
    """
    found = too_few(made_at(site, study, run, cases), site.policy.smallest_cell)
    if found:
        raise Refused(Reason.SELECTION_TOO_SMALL, found)


def formulas_in_words(
    study: Study, cases: Sequence[Case], policy: PolicySettings
) -> tuple[str, ...]:
    """Return why a site will refuse to make the study's formulas; nothing where it will not.

    What reads a column that another step makes is only known when that is made.
    """
    found = too_few(made_of(study, cases), policy.smallest_cell)
    return (f"will refuse `derive` (selection_too_small): {found}",) if found else ()


def too_few(made: MadeColumns, least: int) -> str:
    """Say which formula singles out fewer patients than `least`, "" where none does."""
    found = (
        *_alone(made, least),
        *_together(_left_out(made), least),
        *_parted_off(made, least),
    )
    return next(iter(found), "")


def _alone(made: MadeColumns, least: int) -> Iterator[str]:
    for name, rows in made.lost.items():
        if 0 < (n := made.count(rows)) < least:
            yield _OUT.format(name, _patients(n))
        if rows.any() and 0 < (n := made.count(made.here[name])) < least:
            yield _IN.format(name, _patients(n))
    for name, values in made.sides.items():
        for side in (values == 1, values == 0):
            if 0 < (n := made.count(side)) < least:
                yield _SIDE.format(name, _patients(n))


def _left_out(made: MadeColumns) -> dict[_Patients, str]:
    """Return the patients that formulas leave out, each set once, by the first that does."""
    found: dict[_Patients, str] = {}
    for name, rows in (*made.own.items(), *made.lost.items()):
        if rows.any():
            found.setdefault(made.who(rows), name)
    return found


def _together(sets: Mapping[_Patients, str], least: int) -> Iterator[str]:
    for (a, one), (b, other) in combinations(sets.items(), 2):
        few = [len(part) for part in (a & b, a - b, b - a) if 0 < len(part) < least]
        if few:
            yield _OUT.format(f"{other}, beside {one},", _patients(few[0]))


def _parted_off(made: MadeColumns, least: int) -> Iterator[str]:
    """Say which two cut-offs have too few patients between, or on the same side of both."""
    for (one, a), (other, b) in combinations(made.sides.items(), 2):
        known = ~np.isnan(a) & ~np.isnan(b)
        for rows in (known & (a != b), known & (a == b)):
            if 0 < (n := made.count(rows)) < least:
                yield _BETWEEN.format(other, one, _patients(n))


def _patients(n: int) -> str:
    return f"{n} patient{'' if n == 1 else 's'}"


_OUT = (
    "{} leaves out {} whose numbers are there: "
    "correct them in the table, or take a range that holds them all or leaves out more"
)
_IN = "{} leaves in {} only: take a range that holds more of them, or none"
_SIDE = "{} has {} on one side of the cut-off: take another, or one with nobody there"
_BETWEEN = "{} and {} part all but {} alike: take one cut-off, or two further apart"


def _made(study: Study, table_of: _TableOf) -> MadeColumns:
    made = MadeColumns(study, table_of(()).patients)
    values: dict[str, Floats] = {}
    for name, step, table in _tables(study, table_of, values):
        made.numbers.update(table.columns)
        columns = step.columns_from(table, Answer({}))
        left_out, above = step.left_out(table), set[str]()
        for short, formula in step.make.items():
            full = f"{name}.{short}"
            reads = [f"{name}.{c}" if c in above else c for c in formula.reads()]
            made.add(full, columns[short], left_out[short], reads, op=formula.op)
            values[full] = columns[short]
            above.add(short)  # until it is made, its name is that of another column
    return made


def _tables(
    study: Study, table_of: _TableOf, values: Mapping[str, Floats]
) -> Iterator[tuple[str, Derive, Table]]:
    """Give the steps that make columns, with what they read; not one that must wait for it."""
    for name, step in study.bound.items():
        if not isinstance(step, Derive):
            continue
        columns = tuple(dict.fromkeys(step.columns()))
        table = table_of(columns)
        known = {c: values[c] for c in columns if c in values}
        table = replace(table, columns={**table.columns, **known})
        if table.columns.keys() >= set(columns):
            yield name, step, table
