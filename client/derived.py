"""Columns made by a study's formulas must not leave out a few patients (R2).

A formula makes a number missing where it is no finite one or out of the range that the
study gives it: a selection by another name. Two tables that differ by the patients it
leaves out, subtracted, would tell of them.
"""

from collections.abc import Callable, Iterator, Sequence
from itertools import combinations

import numpy as np

from client.cases import Case
from client.site import Site
from client.tables import Source, make_table
from common.analyses.analysis import Answer
from common.analyses.derive import Below, Derive
from common.errors import Reason, Refused
from common.sites import PolicySettings
from common.study import Study
from common.table import Table

_TableOf = Callable[[tuple[str, ...]], Table]


def check_left_out(site: Site, study: Study, run: str, cases: tuple[Case, ...]) -> None:
    """Check that formulas leave out nobody, or no fewer than `smallest_cell` patients.

    Neither one column's missing patients nor what they have, or have not, in common with
    those of another column, of any formula of the study whose columns are there by now, may
    be fewer.

    Raises:
        Refused: SELECTION_TOO_SMALL.
    """
    source = Source(site, study, run)
    found = _too_few(
        study,
        lambda columns: make_table(source, cases, columns, alone=False),
        site.policy.smallest_cell,
    )
    if found:
        raise Refused(Reason.SELECTION_TOO_SMALL, found)


def formulas_in_words(
    study: Study, cases: Sequence[Case], policy: PolicySettings
) -> tuple[str, ...]:
    """Return why a site will refuse to make the study's formulas; nothing where it will not.

    What reads a column that another step makes is only known when that is made.
    """
    patients = np.array([case.patient_id for case in cases], np.str_)

    def table_of(columns: tuple[str, ...]) -> Table:
        own = {
            name: np.array([case.values.get(name, np.nan) for case in cases])
            for name in columns
            if name in study.cohort.columns
        }
        return Table(own, study.contract(), patients, 0, fold_key=study.name)

    found = _too_few(study, table_of, policy.smallest_cell)
    return (f"will refuse `derive` (selection_too_small): {found}",) if found else ()


def _too_few(study: Study, table_of: _TableOf, least: int) -> str:
    sets = dict(_left_out(study, table_of))
    for name, patients in sets.items():
        if 0 < len(patients) < least:
            return _DETAIL.format(name, _patients(len(patients)))
    for (one, a), (other, b) in combinations(sets.items(), 2):
        few = [len(part) for part in (a & b, a - b, b - a) if 0 < len(part) < least]
        if few:
            return _DETAIL.format(f"{other}, beside {one},", _patients(few[0]))
    return _parted_off(study, table_of, least)


def _parted_off(study: Study, table_of: _TableOf, least: int) -> str:
    """Say which two cut-offs of one number have too few patients between them."""
    cuts = list(_cuts(study, table_of))
    for (one, of, a), (other, also_of, b) in combinations(cuts, 2):
        if of == also_of and 0 < (few := len(a ^ b)) < least:
            return _BETWEEN.format(other, one, of, _patients(few))
    return ""


def _patients(n: int) -> str:
    return f"{n} patient{'' if n == 1 else 's'}"


_DETAIL = (
    "{} leaves out {} whose numbers are there: "
    "correct them in the table, or take a range that holds them all or leaves out more"
)


_BETWEEN = "{} and {} cut {} where {} lie between: take one cut-off, or two further apart"


def _cuts(study: Study, table_of: _TableOf) -> Iterator[tuple[str, str, frozenset[str]]]:
    """Give each cut-off formula, the number it cuts, and the patients below."""
    for name, step, table in _tables(study, table_of):
        made = step.columns_from(table, Answer({}))
        for column, formula in step.make.items():
            if isinstance(formula, Below):
                below = table.patients[made[column] == 1]
                yield f"{name}.{column}", formula.of[0], frozenset(below.tolist())


def _left_out(study: Study, table_of: _TableOf) -> Iterator[tuple[str, frozenset[str]]]:
    """Give the patients that each formula makes missing; one that must wait makes nothing."""
    for name, step, table in _tables(study, table_of):
        for made, rows in step.left_out(table).items():
            yield f"{name}.{made}", frozenset(table.patients[rows].tolist())


def _tables(study: Study, table_of: _TableOf) -> Iterator[tuple[str, Derive, Table]]:
    """Give the steps that make columns, with what they read; not one that must wait for it."""
    for name, step in study.bound.items():
        if not isinstance(step, Derive):
            continue
        columns = tuple(dict.fromkeys(step.columns()))
        table = table_of(columns)
        if table.columns.keys() >= set(columns):
            yield name, step, table
