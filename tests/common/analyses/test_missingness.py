"""Missing values over sites: equal to the pooled counts, with no small one shown."""

from typing import Any

import numpy as np
import pytest

from common.analyses.missingness import Missingness
from common.analyses.runner import Cost, run
from common.cohort import Column
from common.table import Table
from tests.common.analyses.readings import check_laws, readings
from tests.common.analyses.tables import split_unevenly

OF = ("age", "marker", "huge", "dice_b")


def gappy(n: int, seed: int, smallest_cell: int = 0) -> Table:
    table = readings(n, seed=seed, smallest_cell=smallest_cell)
    rng = np.random.default_rng(seed)
    both = rng.random(n) < 0.2
    for name in ("marker", "huge"):
        table.columns[name][both] = np.nan
    return table


@pytest.mark.parametrize("by", [None, "sex"])
def test_answer_does_not_depend_on_the_split(by: str | None) -> None:
    check_laws(Missingness(of=OF, by=by), gappy(300, 1), (2, 5, 17))


@pytest.mark.parametrize("alone", [False, True])
def test_counts_are_those_of_the_rows(alone: bool) -> None:
    table = gappy(300, 2, smallest_cell=5 if alone else 0)
    tables = [table] if alone else split_unevenly(table, 4)
    answer = run(Missingness(of=OF, by="sex"), tables, alone=alone).values
    for name in OF:
        for code, level in enumerate(("f", "m")):
            x = table.columns[name][table.columns["sex"] == code]
            missing, found = int(np.isnan(x).sum()), answer["columns"][name][level]
            if 0 < missing < 5:
                assert found == {"n": None, "missing": None, "share": None}
            else:
                assert found == {
                    "n": x.size,
                    "missing": missing,
                    "share": missing / x.size,
                }


@pytest.mark.parametrize("alone", [False, True])
def test_patterns_name_the_columns_and_lose_nobody(alone: bool) -> None:
    table = gappy(400, 3, smallest_cell=5 if alone else 0)
    tables = [table] if alone else split_unevenly(table, 4)
    answer = run(Missingness(of=OF), tables, alone=alone).values
    lacks = np.isnan(table.matrix(OF))
    for pattern in answer["patterns"]:
        wanted = [name in pattern["missing"] for name in OF]
        assert pattern["n"] == (lacks == wanted).all(axis=1).sum() >= 5
    assert sum(p["n"] for p in answer["patterns"]) + answer["other"] == 400
    assert ["marker", "huge"] in [p["missing"] for p in answer["patterns"]]


def test_many_columns_have_no_patterns() -> None:
    table = gappy(100, 4)
    answer = run(Missingness(of=tuple(table.columns)), [table]).values
    assert "patterns" not in answer
    assert len(answer["columns"]) == len(table.columns) > 10


def test_one_round() -> None:
    cost = Cost()
    run(Missingness(of=OF, by="sex"), split_unevenly(gappy(100, 5), 3), cost=cost)
    assert cost.rounds == 1


@pytest.mark.parametrize("by_itself", [False, True])
def test_a_group_of_few_hides_with_what_it_would_follow_from(by_itself: bool) -> None:
    """Sixty in all and 29 and 30 of two groups: one is left for the third."""
    group = np.repeat([0.0, 1.0, 2.0], [29, 30, 1])
    contract = {
        "value": Column(type="number"),
        "group": Column(type="category", levels=("a", "b", "r")),
    }
    patients = np.array([f"p{i}" for i in range(60)])
    columns = {"value": np.linspace(0, 1, 60), "group": group}
    table = Table(columns, contract, patients, 5 if by_itself else 0)
    step = Missingness(of=("value",), by="group")
    found: Any = run(step, [table], alone=by_itself).values["columns"]
    assert [found["value"][level]["n"] for level in "abr"] == [None, 30, None]
