"""Histograms over sites: equal to the pooled ones, and to numpy, with no small bar."""

import numpy as np
import pytest
from pydantic import ValidationError

from common.analyses.histogram import Histogram
from common.analyses.runner import Cost, run
from tests.common.analyses.readings import check_laws, readings
from tests.common.analyses.tables import split_unevenly

OF = ("age", "marker", "dice_a")


@pytest.mark.parametrize("by", [None, "sex"])
def test_answer_does_not_depend_on_the_split(by: str | None) -> None:
    check_laws(Histogram(of=OF, by=by), readings(300, seed=1), (2, 5, 17))


@pytest.mark.parametrize("alone", [False, True])
@pytest.mark.parametrize("name", OF)
def test_bars_are_those_of_numpy_between_the_printed_edges(name: str, alone: bool) -> None:
    table = readings(400, seed=2, smallest_cell=5 if alone else 0)
    tables = [table] if alone else split_unevenly(table, 5)
    found = run(Histogram(of=(name,), by="sex", bins=30), tables, alone=alone)
    column = found.values["columns"][name]
    for code, level in enumerate(("f", "m")):
        x = table.columns[name][table.columns["sex"] == code]
        expected = np.histogram(x[~np.isnan(x)], column["edges"])[0].tolist()
        assert column["counts"][level] == expected
        assert all(n == 0 or n >= 5 for n in expected)
    assert 4 < len(column["edges"]) <= 31
    assert column["n"] == (~np.isnan(table.columns[name])).sum()


def test_edges_may_be_given_and_ends_take_what_lies_beyond() -> None:
    table = readings(200, seed=3)
    analysis = Histogram(of=("raw",), edges=(2e4, 3e4, 4e4))
    column = run(analysis, split_unevenly(table, 3)).values["columns"]["raw"]
    below = int((table.columns["raw"] < 3e4).sum())
    assert column["counts"]["all"] == [below, 200 - below]


def test_whole_numbers_keep_whole_bins() -> None:
    answer = run(Histogram(of=("age",), bins=12), [readings(300, seed=4)]).values
    assert all(edge % 1 == 0.5 for edge in answer["columns"]["age"]["edges"])


def test_one_round() -> None:
    cost = Cost()
    tables = split_unevenly(readings(200, seed=5), 4)
    run(Histogram(of=OF), tables, cost=cost)
    assert cost.rounds == 1


@pytest.mark.parametrize("alone", [False, True])
def test_four_patients_make_no_histogram(alone: bool) -> None:
    table = readings(40, seed=6, smallest_cell=5 if alone else 0)
    table.columns["marker"][4:] = np.nan
    column = run(Histogram(of=("marker",)), [table], alone=alone).values["columns"]
    assert column["marker"] == {"n": None, "edges": None, "counts": None}


def test_refuses_columns_without_range_and_edges_that_fall() -> None:
    with pytest.raises(ValueError, match="declared range"):
        run(Histogram(of=("raw",)), [readings(50, seed=7)])
    with pytest.raises(ValueError, match="got a category"):
        run(Histogram(of=("sex",)), [readings(50, seed=7)])
    with pytest.raises(ValidationError, match="increasing"):
        Histogram(of=("age",), edges=(1.0, 0.5))
