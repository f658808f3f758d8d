"""A site's table: the cohort's columns, and those that steps of a run have made."""

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from client.cases import Case
from client.cohorts import fold_in
from client.files import write_atomically
from client.site import Site
from common.by_site import refit_without
from common.errors import Reason, Refused
from common.nested import AT
from common.step import HELD_OUT, LEFT_OUT
from common.study import Study
from common.table import Floats, Table

_CASES = "case_id"


@dataclass(frozen=True)
class Source:
    """Where a table is taken from: a site, a study, a run."""

    site: Site
    study: Study
    run: str


def make_table(
    source: Source, cases: Sequence[Case], wanted: Sequence[str], *, alone: bool
) -> Table:
    """Return the wanted columns of these cases.

    A column that no step has made is not there; one not filled for a case is NaN.
    """
    study = source.study
    columns = {
        name: np.array([case.values.get(name, np.nan) for case in cases])
        for name in wanted
        if name in study.cohort.columns
    }
    made = [name for name in wanted if name not in columns]
    plain = [name for name in made if HELD_OUT not in name and LEFT_OUT not in name]
    for step in dict.fromkeys(name.split(".")[0] for name in plain):
        mine = [name for name in plain if name.split(".")[0] == step]
        columns |= _made(source, step, mine, [case.case_id for case in cases])
    for name in made:
        if HELD_OUT in name:
            columns |= _held_out(source, name, cases)
        elif LEFT_OUT in name:
            columns |= _left_out(source, name, cases)
    patients = np.array([case.patient_id for case in cases], dtype=np.str_)
    smallest = source.site.policy.smallest_cell if alone else 0
    drawing = cases[0].drawing if cases else None
    return Table(columns, study.contract(), patients, smallest, study.name, drawing=drawing)


def with_columns(site: Site, study: Study, run: str, cases: Sequence[Case]) -> tuple[Case, ...]:
    """Return the cases with those columns that steps have made of them so far."""
    wanted = [name for name in study.contract() if "." in name]
    made = make_table(Source(site, study, run), cases, wanted, alone=False).columns
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
    # One array: a file of a thousand columns takes a second to open otherwise.
    values = np.stack([*columns.values()]) if columns else np.zeros((0, len(case_ids)))
    names = np.array([*columns], dtype=np.str_)
    np.savez(buffer, cases=np.array(case_ids, dtype=np.str_), names=names, values=values)
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
        sheet.writerow([case_id, *("" if v != v else f"{v:.15g}" for v in values)])
    return text.getvalue()


def require(table: Table, columns: Sequence[str]) -> None:
    """Check that the table has the columns an analysis reads.

    Raises:
        Refused: NOT_MADE: a column is of a step that has not run at this site.
    """
    missing = [c for c in columns if c not in table.columns]
    if missing:
        raise Refused(Reason.NOT_MADE, f"columns not made yet: {missing}")


def _made(
    source: Source, step: str, wanted: Sequence[str], case_ids: Sequence[str]
) -> dict[str, Floats]:
    path = source.site.room("runs", source.run, "columns") / f"{step}.npz"
    if not path.exists():
        return {}
    cases, columns = read_kept(path)
    row = {case_id: i for i, case_id in enumerate(cases)}
    index = np.array([row.get(c, -1) for c in case_ids], np.int64)
    found = {f"{step}.{name}": values for name, values in columns.items()}
    return {name: np.append(found[name], np.nan)[index] for name in wanted if name in found}


def read_kept(path: Path) -> tuple[list[str], dict[str, Floats]]:
    """Return the cases and columns of a file that `keep_columns` wrote."""
    with np.load(path, allow_pickle=False) as kept:
        names, values = kept["names"].tolist(), kept["values"]
        return kept["cases"].tolist(), dict(zip(names, values, strict=True))


def _held_out(source: Source, name: str, cases: Sequence[Case]) -> dict[str, Floats]:
    """Return a column of each case's own refit, the one without its patient's fold."""
    nested, (step, column) = source.study.nested, name.split(HELD_OUT)
    if nested is None:
        return {}
    folds = [fold_in(source.study, case, nested.folds, outer=True) for case in cases]
    ids, values = [case.case_id for case in cases], np.full(len(cases), np.nan)
    for fold in range(nested.folds):
        refit = f"{step}{AT}{fold}"
        made = _made(source, refit, [f"{refit}.{column}"], ids)
        if not made:
            return {}
        mine = np.array(folds) == fold
        values[mine] = made[f"{refit}.{column}"][mine]
    return {name: values}


def _left_out(source: Source, name: str, cases: Sequence[Case]) -> dict[str, Floats]:
    """Return a column of the refit without this site; missing where this site is in none."""
    by_site, (step, column) = source.study.by_site, name.split(LEFT_OUT)
    if by_site is None or source.site.name not in by_site.sites:
        return {name: np.full(len(cases), np.nan)}
    refit = refit_without(step, source.site.name)
    made = _made(source, refit, [f"{refit}.{column}"], [case.case_id for case in cases])
    return {name: made[f"{refit}.{column}"]} if made else {}
