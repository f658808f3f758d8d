"""Columns made by a study's formulas must not leave out a few patients (R2).

A formula makes a number missing where it is no finite one or out of the range that the
study gives it: a selection by another name. Two tables that differ by the patients it
leaves out, subtracted, would tell of them.
"""

from collections.abc import Iterator
from itertools import combinations

from client.cases import Case
from client.site import Site
from client.tables import Source, make_table
from common.analyses.derive import Derive
from common.errors import Reason, Refused
from common.study import Study


def check_left_out(site: Site, study: Study, run: str, cases: tuple[Case, ...]) -> None:
    """Check that formulas leave out nobody, or no fewer than `smallest_cell` patients.

    Neither one column's missing patients nor what they have, or have not, in common with
    those of another column, of any formula of the study whose columns are there by now, may
    be fewer.

    Raises:
        Refused: SELECTION_TOO_SMALL.
    """
    least = site.policy.smallest_cell
    sets = dict(_left_out(Source(site, study, run), cases))
    for name, patients in sets.items():
        if 0 < len(patients) < least:
            raise Refused(Reason.SELECTION_TOO_SMALL, _DETAIL.format(name, len(patients)))
    for (one, a), (other, b) in combinations(sets.items(), 2):
        few = [len(part) for part in (a & b, a - b, b - a) if 0 < len(part) < least]
        if few:
            raise Refused(
                Reason.SELECTION_TOO_SMALL, _DETAIL.format(f"{other}, beside {one},", few[0])
            )


_DETAIL = (
    "{} leaves out {} patients whose numbers are there: "
    "correct them in the table, or take a range that holds them all or leaves out more"
)


def _left_out(source: Source, cases: tuple[Case, ...]) -> Iterator[tuple[str, frozenset[str]]]:
    """Give the patients that each formula makes missing; one that must wait makes nothing."""
    for name, step in source.study.bound.items():
        if not isinstance(step, Derive):
            continue
        columns = tuple(dict.fromkeys(step.columns()))
        table = make_table(source, cases, columns, alone=False)
        if table.columns.keys() >= set(columns):
            for made, rows in step.left_out(table).items():
                yield f"{name}.{made}", frozenset(table.patients[rows].tolist())
