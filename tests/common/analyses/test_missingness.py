"""Missing values over sites: equal to the pooled counts, with no small one shown."""

import numpy as np
import pytest

from common.analyses.missingness import Missingness
from common.analyses.runner import Cost, run
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
