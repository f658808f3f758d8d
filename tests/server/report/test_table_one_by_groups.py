"""Table 1 by groups on the page: a column overall and one a level, what is few hidden."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from common.analyses.describe import Describe
from common.analyses.runner import run
from common.table import Table as Rows
from server.report.blocks import Table
from server.report.kinds.derive import sentence
from server.report.record import read_record
from server.report.table_one import tables_one
from server.report.view import StepView, view_of
from tests.common.analyses.tables import split_unevenly
from tests.common.analyses.test_describe_groups import OF, trial
from tests.server.report.folders import NAMES, write_run
from tests.server.report.test_headings import STUDY as DERIVED

STUDY = """
name: trial
cohort:
  columns:
    age: {type: integer, range: [18, 100], unit: years, title: Age}
    marker: {type: number, range: [0, 50]}
    raw: {type: number}
    stage: {type: category, levels: [I, II, III], title: Stage}
    died: {type: integer, range: [0, 1], title: Death}
    arm: {type: category, levels: [a, b, c, d], title: Arm}
steps:
  table_1: {kind: describe, of: [age, marker, stage, raw, died], by: arm}
"""
STEP = Describe(of=OF, by="arm")


def answer(rows: Rows) -> dict[str, Any]:
    return dict(run(STEP, split_unevenly(rows, 4)).values)


def shown(folder: Path, parts: dict[str, dict[str, Any]]) -> list[Table]:
    record = read_record(write_run(folder, [], study=STUDY))
    return [*tables_one(StepView("table_1", STEP, record, parts, {}), OF)]


def cells_of(table: Table) -> dict[str, tuple[str, ...]]:
    """Return the cells of each row below its heading."""
    found, group = {}, ""
    for row in table.rows:
        group = row.head if row.form != "level" else group
        found[f"{group} {row.head}" if row.form == "level" else row.head] = row.cells
    return found


def test_each_level_has_a_column_beside_all(tmp_path: Path) -> None:
    rows = trial(600, seed=3)
    found = answer(rows)
    (table,) = shown(tmp_path, {"development": found})
    assert table.head == ("", "Overall", "Arm: a", "Arm: b", "Arm: c", "Arm: d")
    assert table.caption == "Characteristics of the cases by Arm, Development"
    cells = cells_of(table)
    of_a = rows.columns["arm"] == 0
    assert cells["Cases"][1] == str(of_a.sum())
    ages = rows.columns["age"][of_a]
    mean, sd = np.nanmean(ages), np.nanstd(ages, ddof=1)
    assert cells["Age, years mean (SD)"][1] == f"{mean:.1f} ({sd:.1f})"
    assert cells["Age, years median [IQR]"][1].count(",") == 1
    ones = rows.columns["died"][of_a]
    share = 100 * (ones == 1).sum() / (~np.isnan(ones)).sum()
    told = f"{(ones == 1).sum()} ({share:.1f}\N{NO-BREAK SPACE}%)"
    assert cells["Death, n (%)"][1] == told
    assert cells["Death, n (%) missing"][1] == str(np.isnan(ones).sum())
    assert (
        int(cells["Stage, n (%) II"][1].split(" ")[0]) == (rows.columns["stage"][of_a] == 1).sum()
    )
    assert f"Not in the table: {found['lacking']} cases without Arm" in table.notes[-1]


def test_a_group_of_few_and_one_more_stand_hidden(tmp_path: Path) -> None:
    rows = trial(400, seed=9)
    rows.columns["arm"][:] = np.arange(400) % 3
    rows.columns["arm"][[1, 50, 99]] = 3
    (table,) = shown(tmp_path, {"development": answer(rows)})
    cells = cells_of(table)
    hidden = [i for i, cell in enumerate(cells["Cases"]) if cell == "hidden"]
    assert len(hidden) == 2
    for i in hidden:
        column = {of[i] for of in cells.values() if of}
        assert column == {"hidden"}
    assert any(note.startswith("Hidden: ") for note in table.notes)
    assert not any(note.startswith("A median or quartile is missing") for note in table.notes)


@pytest.mark.parametrize("few", [True, False])
def test_groups_of_parts_that_would_tell_of_few_are_not_shown(tmp_path: Path, *, few: bool) -> None:
    """A site whose groups are hidden would have them from all sites' less the others'."""
    events = [{"event": "session", "session": "s", "sites": list(NAMES)}]
    rows = trial(400, seed=9)
    rows.columns["arm"][:] = np.arange(400) % 2
    small = trial(60, seed=10)
    small.columns["arm"][:] = np.arange(60) % 2
    if few:
        small.columns["arm"][:] = 0.0
        small.columns["arm"][:3] = 1.0
    both = {c: np.concatenate([rows.columns[c], small.columns[c]]) for c in rows.columns}
    whole = Rows(both, rows.contract, np.arange(460).astype(str))
    parts = {"development": answer(whole), "site.east": answer(small), "site.north": answer(rows)}
    record = read_record(write_run(tmp_path, events, study=STUDY))
    view = StepView("table_1", STEP, record, parts, {})
    of = {"development": {"east", "north"}, "site.east": {"east"}, "site.north": {"north"}}
    object.__setattr__(view, "sites", lambda part: frozenset(of[part]))
    tables = dict(zip(parts, tables_one(view, OF), strict=True))
    n_columns = {part: len(table.head) for part, table in tables.items()}
    assert n_columns["development"] == 6
    assert (n_columns["site.north"] == 2) == few
    assert any("The groups are not shown" in note for note in tables["site.north"].notes) == few


def test_a_formula_is_told_in_the_words_of_its_columns(tmp_path: Path) -> None:
    view = view_of(read_record(write_run(tmp_path, [], study=DERIVED)), "bmi")
    assert sentence(view) == "Make bmi.bmi from weight kg, height m, case by case."
