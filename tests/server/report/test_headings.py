"""Headings over steps: what it is first, then its name."""

from pathlib import Path

import pytest

from common.study import KINDS
from server.report.headings import TITLES, heading_of
from server.report.record import read_record
from server.report.view import StepView, view_of
from tests.server.report.folders import page_of, write_run

STUDY = """
name: plain
cohort:
  columns:
    height_m: {type: number, range: [1, 3]}
    weight_kg: {type: number, range: [10, 300]}
steps:
  bmi: {kind: derive, make: {bmi: {op: product, of: {weight_kg: 1, height_m: -2}}}}
  missingness: {kind: missingness, of: [height_m]}
"""
NAMED_BY_SETTINGS = {"lasso", "predict"}


def test_every_kind_of_step_has_a_title_that_is_no_key() -> None:
    kinds = {kind.model_fields["kind"].default for kind in KINDS}
    assert kinds == TITLES.keys() | NAMED_BY_SETTINGS
    assert all(title[0].isupper() and "_" not in title for title in TITLES.values())


@pytest.mark.parametrize(
    ("step", "heading"),
    [("bmi", "Derived columns: bmi"), ("missingness", "Missing values")],
)
def test_a_heading_says_what_it_is_before_its_name_and_nothing_twice(
    tmp_path: Path, step: str, heading: str
) -> None:
    run = write_run(tmp_path, [], study=STUDY)
    assert heading_of(view_of(read_record(run), step)).text == heading
    assert f"<h3>{heading}</h3>" in page_of(run)


def test_a_forest_of_extra_trees_is_called_so(tmp_path: Path) -> None:
    from common.analyses.forest import Forest

    record = read_record(write_run(tmp_path, [], study=STUDY))
    step = Forest(outcome="x", of=("height_m",), method="extra_trees")
    assert heading_of(StepView("trees", step, record, {}, {})).text == "Extra-trees: trees"
