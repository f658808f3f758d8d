"""Printed tables, attacked by a reader with a pencil."""

from dataclasses import replace

import numpy as np
import pytest

from common.analyses import describe_answer
from common.analyses.describe import Describe
from common.analyses.runner import run
from common.cohort import Column
from common.table import Table
from tests.common.analyses.tables import clinical, split_unevenly

STAGE = Column(type="category", levels=("I", "II", "III"))


def _tables() -> list[Table]:
    """Return four sites, where 3 of 120 patients have stage II."""
    table = clinical(120, seed=5)
    stage = np.where(np.arange(120) < 80, 0.0, 2.0)
    stage[[7, 70, 110]] = 1.0
    columns = {**table.columns, "stage": stage}
    return split_unevenly(replace(table, columns=columns, contract={"stage": STAGE}), 4)


def _hidden(tables: list[Table]) -> int | None:
    """Return the count of stage II, printed or from the total, if it can be told."""
    column = run(Describe(of=("stage",)), tables).values["columns"]["stage"]  # type: ignore[index,call-overload]
    levels = column["levels"]
    unknown = [name for name, n in levels.items() if n is None]
    if not unknown:
        return int(levels["II"])
    rest = column["n"] - sum(n for n in levels.values() if n is not None)
    return int(rest) if unknown == ["II"] else None


def test_without_the_rule_the_cell_stands_in_the_table(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(describe_answer, "shown_counts", list)
    assert _hidden(_tables()) == 3


def test_without_secondary_suppression_the_cell_follows_from_the_total(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def primary(counts: list[int]) -> list[int | None]:
        return [None if 0 < n < 5 else n for n in counts]

    monkeypatch.setattr(describe_answer, "shown_counts", primary)
    assert _hidden(_tables()) == 3


def test_a_small_cell_cannot_be_told_from_the_table() -> None:
    assert _hidden(_tables()) is None
