"""Table 1 by groups: pandas' groupby over all rows, whatever the split, in four rounds."""

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from common.analyses.analysis import Ask
from common.analyses.describe import Describe
from common.analyses.runner import Cost, exchange, run
from common.cohort import Column
from common.sums import Sums
from common.table import Table
from tests.common.analyses.tables import clinical, split_unevenly
from tests.common.analyses.test_describe import _close

OF = ("age", "marker", "stage", "raw", "died")
ARMS = ("a", "b", "c", "d")
CONTRACT = {
    "arm": Column(type="category", levels=ARMS),
    "stage": Column(type="category", levels=("I", "II", "III")),
    "died": Column(type="integer", range=(0, 1)),
}


def trial(n: int, *, seed: int, smallest_cell: int = 0) -> Table:
    """Return patients in three arms of four, some without an arm, a stage or an end."""
    table = clinical(n, seed=seed, smallest_cell=smallest_cell)
    rng = np.random.default_rng(seed + 100)
    arm = rng.choice([0.0, 1.0, 2.0, np.nan], n, p=[0.5, 0.28, 0.14, 0.08])
    stage = rng.choice([0.0, 1.0, 2.0, np.nan], n, p=[0.3, 0.3, 0.3, 0.1])
    died = rng.choice([0.0, 1.0, np.nan], n, p=[0.5, 0.4, 0.1])
    columns = {**table.columns, "arm": arm, "stage": stage, "died": died}
    return replace(table, columns=columns, contract={**table.contract, **CONTRACT})


def answer_of(table: Table, n_sites: int = 5, **more: Any) -> dict[str, Any]:
    found: Any = run(Describe(of=OF, by="arm", **more), split_unevenly(table, n_sites)).values
    return dict(found)


@pytest.mark.parametrize("n_sites", [2, 5, 17])
def test_answer_does_not_depend_on_the_split(n_sites: int) -> None:
    table = trial(600, seed=3)
    assert answer_of(table, n_sites) == _close(answer_of(table, 1))


def test_answer_is_bit_identical_in_any_order_of_sites() -> None:
    tables, step = split_unevenly(trial(600, seed=3), 5), Describe(of=OF, by="arm")
    assert run(step, tables).values == run(step, tables[::-1]).values


def _checked_number(found: Any, x: "pd.Series[float]") -> None:
    assert (found["n"], found["missing"]) == (x.count(), x.isna().sum())
    assert found["mean"] == pytest.approx(x.mean(), rel=1e-12)
    assert found["sd"] == pytest.approx(x.std(), rel=1e-12)
    for q in found["quantiles"]:
        assert q["low"] < x.quantile(q["at"], interpolation="lower") + 1e-9
        true = np.quantile(x.dropna(), q["at"], method="inverted_cdf")
        assert q["low"] < true <= q["high"]


def _checked_levels(found: Any, x: "pd.Series[float]") -> None:
    assert [*found["levels"].values()] == [int((x == k).sum()) for k in range(len(found["levels"]))]
    assert (found["n"], found["missing"]) == (x.count(), x.isna().sum())


def test_groups_are_those_of_pandas() -> None:
    table = trial(900, seed=4)
    found, frame = answer_of(table), pd.DataFrame(dict(table.columns))
    assert found["lacking"] == frame["arm"].isna().sum()
    there = frame[frame["arm"].notna()]
    groups = [(found, there)]
    groups += [(found["groups"][ARMS[int(g)]], of) for g, of in frame.groupby("arm")]  # type: ignore[call-overload]
    assert len(groups) == 4
    for told, of in groups:
        assert told["n"] == len(of)
        for name in ("age", "marker", "raw", "died"):
            _checked_number(told["columns"][name], of[name])
        for name in ("stage", "died"):
            _checked_levels(told["columns"][name], of[name])
        assert len(told["columns"]["marker"]["quantiles"]) == 3
    assert (found["groups"]["d"]["n"], found["groups"]["d"]["columns"]["age"]["mean"]) == (0, None)


def test_over_all_it_is_the_table_of_those_in_a_group() -> None:
    table = trial(600, seed=5)
    there = table.rows(~np.isnan(table.columns["arm"]))
    plain = run(Describe(of=OF), split_unevenly(there, 4)).values
    assert answer_of(table)["columns"] == _close(plain["columns"])


@pytest.mark.parametrize("n_levels", [2, 12])
def test_rounds_are_four_whatever_the_levels(n_levels: int) -> None:
    table = trial(600, seed=6)
    by = Column(type="category", levels=tuple(f"l{i}" for i in range(n_levels)))
    columns = {**table.columns, "arm": np.arange(600.0) % n_levels}
    table = replace(table, columns=columns, contract={**table.contract, "arm": by})
    cost = Cost()
    run(Describe(of=OF, by="arm"), split_unevenly(table, 4), cost=cost)
    assert cost.rounds == 4


def test_whole_numbers_0_and_1_are_groups_too() -> None:
    found: Any = run(Describe(of=("age",), by="died"), [trial(400, seed=7)]).values
    assert [*found["groups"]] == ["0", "1"]
    assert all(of["columns"]["age"]["mean"] for of in found["groups"].values())


def test_many_levels_and_numbers_are_no_groups() -> None:
    table = trial(50, seed=8)
    with pytest.raises(ValueError, match=r'by "age": expected a category'):
        run(Describe(of=("marker",), by="age"), [table])
    many = Column(type="category", levels=tuple(map(str, range(13))))
    table = replace(table, contract={**table.contract, "arm": many})
    with pytest.raises(ValueError, match="at most 12 levels, got 13"):
        run(Describe(of=("marker",), by="arm"), [table])


def test_a_group_of_three_is_hidden_with_one_more() -> None:
    table = trial(400, seed=9)
    table.columns["arm"][:] = np.arange(400) % 3
    table.columns["arm"][[1, 50, 99]] = 3
    found = answer_of(table)
    hidden = [name for name, of in found["groups"].items() if of["n"] is None]
    assert len(hidden) == 2
    assert "d" in hidden
    for name in hidden:
        told = json.dumps(found["groups"][name])
        assert not any(mark.isdigit() and mark not in "01" for mark in told)
        assert found["groups"][name]["columns"]["age"]["mean"] is None
    assert found["columns"]["age"]["mean"] is not None


def test_a_column_that_three_of_a_group_have_has_no_mean_there_nor_in_one_more() -> None:
    table = trial(400, seed=10)
    of_c = np.flatnonzero(table.columns["arm"] == 2)
    table.columns["raw"][of_c[3:]] = np.nan
    groups = answer_of(table)["groups"]
    means = {name: of["columns"]["raw"]["mean"] for name, of in groups.items()}
    assert means["c"] is means["b"] is None
    assert means["a"] is not None
    assert groups["c"]["columns"]["marker"]["mean"] is not None


def asks_of(tables: list[Table]) -> list[tuple[Ask, Sums]]:
    """Return every ask with its total."""
    found: list[tuple[Ask, Sums]] = []

    def told(step: Any, sites: Any, ask: Ask, cost: Cost) -> Sums:
        found.append((ask, exchange(step, sites, ask, cost)))
        return found[-1][1]

    run(Describe(of=("raw", "marker"), by="arm"), tables, by=told)
    return found


def test_of_a_group_that_is_not_told_no_sum_is_asked_for() -> None:
    table = trial(400, seed=10)
    of_c = np.flatnonzero(table.columns["arm"] == 2)
    table.columns["raw"][of_c[3:]] = np.nan
    table.columns["marker"][of_c[4:]] = np.nan
    asks = asks_of(split_unevenly(table, 4))
    for ask, total in asks:
        names = [name for name in ask.arrays if name.startswith("edges.marker|")]
        assert not names or names == ["edges.marker|0"]  # b is hidden with c
        if "by.d" in total:
            np.testing.assert_array_equal(np.asarray(total["by.d"]) != 0, [[1, 1], *[[0, 0]] * 3])
    assert sum("by.d" in total for _, total in asks) == 1
    assert not any(name.startswith("by.sum") for _, total in asks for name in total)


def test_groups_far_apart_keep_their_spread() -> None:
    table = trial(400, seed=15)
    arm = table.columns["arm"]
    table.columns["raw"][:] = np.nan_to_num(arm) * 1e8 + np.random.default_rng(0).normal(0, 1, 400)
    found = answer_of(table)["groups"]
    for g, name in enumerate("abc"):
        true = table.columns["raw"][arm == g]
        assert found[name]["columns"]["raw"]["sd"] == pytest.approx(true.std(ddof=1), rel=1e-8)
    near = [ask for ask, total in asks_of(split_unevenly(table, 4)) if "by.d" in total]
    assert len(near) == 2


def test_a_column_that_three_have_is_told_of_no_group() -> None:
    table = trial(400, seed=10)
    table.columns["raw"][3:] = np.nan
    for of in answer_of(table)["groups"].values():
        told = of["columns"]["raw"]
        assert told["n"] is told["mean"] is told["missing"] is None


def test_a_site_alone_tells_of_all_its_groups_or_of_none() -> None:
    step, table = Describe(of=OF, by="arm"), trial(400, seed=11, smallest_cell=5)
    ask = next(step.solve(table.contract, alone=True))
    assert all(f.alone != "never" for f in step.schema(ask, table.contract).values())
    cost = Cost()
    found: Any = run(step, [table], alone=True, cost=cost).values
    assert cost.rounds == 2
    assert found == _close(run(step, [replace(table, smallest_cell=0)]).values)
    table.columns["arm"][:] = np.arange(400) % 2
    table.columns["arm"][:3] = 2
    sums = step.summarise(table, ask)
    for name in ("sizes", "valid", "levels.stage"):
        assert not np.any(sums[f"by.{name}"])
    found = run(step, [table], alone=True).values
    assert all(of["n"] is None for of in found["groups"].values())
    assert found["columns"]["age"]["mean"] is not None


def test_a_site_without_a_case_in_a_group_adds_nothing() -> None:
    table = trial(300, seed=12)
    empty = table.rows(np.zeros(300, np.bool_))
    step = Describe(of=OF, by="arm")
    assert run(step, [table, empty]).values == run(step, [table]).values
    counts = run(Describe(of=("stage",), by="arm"), [table, empty]).values
    assert counts["groups"]


def test_the_column_of_groups_may_be_described_too() -> None:
    found: Any = run(Describe(of=("arm", "age"), by="arm"), [trial(400, seed=13)]).values
    assert found["groups"]["a"]["columns"]["arm"]["levels"]["a"] == found["groups"]["a"]["n"]


def test_zeros_and_ones_are_counted_as_a_category_is() -> None:
    table = trial(200, seed=14)
    values = table.columns["died"]
    values[:] = np.arange(200) % 2
    values[:20] = np.nan
    found: Any = run(Describe(of=("died",)), split_unevenly(table, 3)).values["columns"]["died"]  # type: ignore[index,call-overload]
    assert (found["levels"], found["n"], found["missing"]) == ({"0": 90, "1": 90}, 180, 20)
    assert found["mean"] == pytest.approx(0.5)
    values[:] = np.arange(200) % 2
    values[:3] = np.nan
    found = run(Describe(of=("died",)), split_unevenly(table, 3)).values["columns"]["died"]  # type: ignore[index,call-overload]
    assert found["missing"] is found["n"] is found["mean"] is None
    assert sorted(map(str, found["levels"].values())) == ["99", "None"]
