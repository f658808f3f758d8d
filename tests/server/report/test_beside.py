"""What one table hides does not follow from another of the same levels on the page."""

from pathlib import Path
from typing import Any

import pytest

from server.report.beside import told_by_others
from server.report.record import read_record
from server.report.table_one import HIDDEN, tables_one
from server.report.view import view_of
from tests.server.report.folders import journal, write_run

STUDY = """
name: women
cohort:
  columns:
    sex: {type: category, levels: [f, m]}
    stage: {type: category, levels: [I, II, III, IV]}
    days: {type: integer, range: [0, 2000]}
    died: {type: category, levels: ["0", "1"]}
steps:
  women: {kind: describe, of: [stage], cases: {where: {sex: [f]}}, over: OVER}
  curves: {kind: kaplan_meier, time: days, event: died, positive: "1", group: stage, WHERE}
  compared: {kind: compare_groups, of: [days], by: stage, test: anova, cases: {where: {sex: [m]}}}
"""
WHERE = "cases: {where: {sex: [f]}}"
TEST = {"chi2": 3.0, "df": 3, "p": 0.08}


def described(*counts: int | None) -> dict[str, Any]:
    n = None if None in counts else sum(c for c in counts if c is not None)
    stage = {"levels": dict(zip(("I", "II", "III", "IV"), counts, strict=True)), "n": n}
    return {"n": n or 63, "n_patients": n or 63, "columns": {"stage": {**stage, "missing": 0}}}


def curves(*counts: int | None) -> dict[str, Any]:
    names = ("I", "II", "III", "IV")
    groups = {name: {"n": n, "events": None} for name, n in zip(names, counts, strict=True)}
    one = {"groups": groups, "log_rank": TEST, "log_rank_by_site": TEST, "pairs": []}
    return {"n": 165, "strata": {"all": one}}


DEVELOPMENT, ALL = (31, 60, 58, 16), (54, 76, 78, 20)
EXTERNAL = (None, None, None, None)
PARTS = {
    "development": described(*DEVELOPMENT),
    "external": described(*EXTERNAL),
    "all": described(*ALL),
}


def stages(
    folder: Path, parts: dict[str, Any], drawn: dict[str, Any], where: str = WHERE
) -> dict[str, list[str]]:
    """Return what the table prints of the four stages, by part."""
    study = STUDY.replace("OVER", f"[{', '.join(parts)}]").replace("WHERE", where)
    run = write_run(folder, journal({"women": parts, "curves": drawn}), study=study)
    (table,) = tables_one(view_of(read_record(run), "women"), ["stage"])
    rows = [row.cells for row in table.rows if row.head in ("I", "II", "III", "IV")]
    return {part: [c.partition(" ")[0] for c in cells] for part, cells in _columns(parts, rows)}


def _columns(parts: dict[str, Any], rows: list[tuple[str, ...]]) -> list[tuple[str, list[str]]]:
    return [(part, [row[i] for row in rows]) for i, part in enumerate(parts)]


def test_a_table_prints_the_part_that_a_curve_prints_and_hides_the_other(tmp_path: Path) -> None:
    shown = stages(tmp_path, PARTS, {"development": curves(*DEVELOPMENT)})
    assert shown["development"] == [str(n) for n in DEVELOPMENT]
    assert shown["external"] == shown["all"] == [HIDDEN] * 4


def test_curves_of_other_cases_change_nothing(tmp_path: Path) -> None:
    other = "cases: {where: {sex: [m]}}"
    shown = stages(tmp_path, PARTS, {"development": curves(*DEVELOPMENT)}, other)
    assert shown["all"] == [str(n) for n in ALL]
    assert shown["development"] == [HIDDEN] * 4


def test_a_part_that_only_the_curves_have_counts_too(tmp_path: Path) -> None:
    parts = {part: PARTS[part] for part in ("external", "all")}
    shown = stages(tmp_path, parts, {"development": curves(*DEVELOPMENT)})
    assert shown["all"] == [HIDDEN] * 4


@pytest.mark.parametrize(("n", "told"), [(30, {"development"}), (None, set())])
def test_groups_that_are_compared_are_counted_too(
    tmp_path: Path, n: int | None, told: set[str]
) -> None:
    study = STUDY.replace("OVER", "[development]").replace("WHERE", WHERE)
    study = study.replace("sex: [m]", "sex: [f]")
    groups = {stage: {"n": n} for stage in ("I", "II", "III", "IV")}
    parts = {"development": {"n": 165, "columns": {"days": {"groups": groups}}}}
    run = write_run(tmp_path, journal({"compared": parts}), study=study)
    assert {*told_by_others(view_of(read_record(run), "women"), "stage")} == told
