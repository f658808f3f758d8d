"""A site's table: the cohort's columns, and those that steps of a run have made."""

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from client.cases import Case
from client.files import write_atomically
from client.site import Site
from common.errors import Reason, Refused
from common.study import Study
from common.table import Floats, Table

_CASES = "case_id"


def make_table(site: Site, study: Study, cases: Sequence[Case], run: str, *, alone: bool) -> Table:
    """Return the table of these cases; a column a step has not filled for a case is NaN."""
    columns = {
        name: np.array([case.values.get(name, np.nan) for case in cases])
        for name in study.cohort.columns
    }
    for step in study.bound:
        columns |= _made(site, run, step, [case.case_id for case in cases])
    patients = np.array([case.patient_id for case in cases], dtype=np.str_)
    smallest = site.policy.smallest_cell if alone else 0
    return Table(columns, study.contract(), patients, smallest, fold_key=study.name)


def with_columns(site: Site, study: Study, run: str, cases: Sequence[Case]) -> tuple[Case, ...]:
    """Return the cases with those columns that steps have made of them so far."""
    made: dict[str, Floats] = {}
    for step in study.bound:
        made |= _made(site, run, step, [case.case_id for case in cases])
    return tuple(
        replace(case, values={**case.values, **{name: float(v[i]) for name, v in made.items()}})
        for i, case in enumerate(cases)
    )


def keep_columns(
    site: Site, run: str, step: str, case_ids: Sequence[str], columns: Mapping[str, Floats]
) -> None:
    """Keep the columns a step has made, replacing those of an earlier try.

    The `.csv` beside them is for the site's own people; nothing reads it.
    """
    buffer = io.BytesIO()
    kept: dict[str, Any] = {_CASES: np.array(case_ids, dtype=np.str_), **columns}
    np.savez_compressed(buffer, **kept)
    folder = site.room("runs", run, "columns")
    write_atomically(folder / f"{step}.csv", _as_csv(case_ids, columns).encode())
    write_atomically(folder / f"{step}.npz", buffer.getvalue())


def _as_csv(case_ids: Sequence[str], columns: Mapping[str, Floats]) -> str:
    """Return the columns for people of the site, a row a case; empty where missing."""
    text = io.StringIO()
    sheet = csv.writer(text, lineterminator="\n")
    sheet.writerow([_CASES, *columns])
    for row, case_id in enumerate(case_ids):
        values = [float(column[row]) for column in columns.values()]
        sheet.writerow([case_id, *("" if v != v else f"{v:.6g}" for v in values)])
    return text.getvalue()


def require(table: Table, columns: Sequence[str]) -> None:
    """Check that the table has the columns an analysis reads.

    Raises:
        Refused: UNKNOWN_STEP: a column is of a step that has not run at this site.
    """
    missing = [c for c in columns if c not in table.columns]
    if missing:
        raise Refused(Reason.UNKNOWN_STEP, f"columns not made yet: {missing}")


def _made(site: Site, run: str, step: str, case_ids: Sequence[str]) -> dict[str, Floats]:
    path = site.room("runs", run, "columns") / f"{step}.npz"
    if not path.exists():
        return {}
    with np.load(path, allow_pickle=False) as kept:
        row = {case_id: i for i, case_id in enumerate(kept[_CASES])}
        index = np.array([row.get(c, -1) for c in case_ids], np.int64)
        named = {f"{step}.{name}": kept[name] for name in kept.files if name != _CASES}
    padded = {name: np.append(values, np.nan) for name, values in named.items()}
    return {name: values[index] for name, values in padded.items()}
