"""Thresholds and coefficients as they were asked for, and so that they can be read."""

from pathlib import Path

import pytest

from common.analyses.decision_curve import DecisionCurve
from common.analyses.logistic import Logistic
from server.report.blocks import Table
from tests.server.report.test_kinds import shown


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder for a run."""
    return tmp_path


@pytest.mark.parametrize(
    ("asked", "columns"),
    [
        ((0.2, 0.4, 0.6), ("0.2", "0.4", "0.6")),
        ((0.15, 0.25), ("0.15", "0.25")),
        (tuple(k / 100 for k in range(1, 100)), ("0.1", "0.2", "0.3", "0.4", "0.5")),
        (tuple(k / 20 for k in range(1, 14, 2)), ("0.05", "0.25", "0.35", "0.45", "0.65")),
    ],
)
def test_decision_table_has_columns_of_thresholds_that_were_asked_for(
    folder: Path, asked: tuple[float, ...], columns: tuple[str, ...]
) -> None:
    step = DecisionCurve(outcome="response", scores=("old",), thresholds=asked)
    found = [b for b in shown(folder, step).blocks if isinstance(b, Table)]
    (table,) = (t for t in found if t.caption == "Net benefit")
    assert table.head[1:] == columns


def test_coefficients_of_a_column_of_huge_numbers_can_be_read(folder: Path) -> None:
    term = {"estimate": 2.31e-15, "se": 8.04e-16, "p": 0.004}
    ends = {"odds_ratio": 1.0, "ci_low": 1.0, "ci_high": 1.0}
    values = {"n": 300, "models": {"m": {"terms": {"age": {**term, **ends}}}}}
    step = Logistic(outcome="response", models={"m": ("age",)})
    text = shown(folder, step, {"development": values}).text
    minus = "\N{MINUS SIGN}"
    times = "\N{MULTIPLICATION SIGN}"
    assert f"2.31 {times} 10^{minus}15 (8.04 {times} 10^{minus}16)" in text
    assert "one unit is tiny beside the values of the column" in text
