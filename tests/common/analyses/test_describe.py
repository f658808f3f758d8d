"""Table 1 over sites: equal to the pooled one, and to numpy."""

from typing import Any

import numpy as np
import pytest

from common.analyses.describe import Describe
from common.analyses.runner import Cost, run
from common.cohort import Column
from common.table import Table
from tests.common.analyses.tables import clinical, pooled, split_unevenly

OF = ("age", "marker", "sex", "raw")


@pytest.mark.parametrize("n_sites", [1, 2, 5, 17])
def test_answer_does_not_depend_on_the_split(n_sites: int) -> None:
    tables = split_unevenly(clinical(400, seed=3), n_sites)
    expected = run(Describe(of=OF), [clinical(400, seed=3)]).values
    assert run(Describe(of=OF), tables).values == _close(expected)


def test_answer_is_bit_identical_in_any_order_of_sites() -> None:
    tables = split_unevenly(clinical(400, seed=3), 5)
    assert run(Describe(of=OF), tables).values == run(Describe(of=OF), tables[::-1]).values


def test_mean_sd_and_quantiles_are_those_of_numpy() -> None:
    table = clinical(400, seed=4)
    answer = run(Describe(of=OF), split_unevenly(table, 4)).values
    for name in ("age", "marker"):
        values = table.columns[name][~np.isnan(table.columns[name])]
        column = answer["columns"][name]
        assert column["n"] == values.size
        assert column["missing"] == table.n - values.size
        assert column["mean"] == pytest.approx(values.mean(), rel=1e-12)
        assert column["sd"] == pytest.approx(values.std(ddof=1), rel=1e-12)
        for q in column["quantiles"]:
            true = np.quantile(values, q["at"], method="inverted_cdf")
            assert q["low"] < true <= q["high"]


def test_quantile_of_whole_numbers_with_ties_is_exact() -> None:
    table = clinical(800, seed=4)
    values = table.columns["age"][~np.isnan(table.columns["age"])]
    (median,) = run(Describe(of=("age",), quantiles=(0.5,)), [table]).values["columns"]["age"][
        "quantiles"
    ]
    assert median["value"] == np.quantile(values, 0.5, method="inverted_cdf")


def test_no_published_window_holds_fewer_than_five_patients() -> None:
    table = clinical(60, seed=5)
    values = table.columns["marker"]
    for q in run(Describe(of=("marker",)), [table]).values["columns"]["marker"]["quantiles"]:
        assert ((values > q["low"]) & (values <= q["high"])).sum() >= 5


def test_small_levels_are_hidden_with_a_second_one() -> None:
    table = clinical(100, seed=6)
    table.columns["sex"][:] = 0.0
    table.columns["sex"][:3] = 1.0
    levels = run(Describe(of=("sex",)), [table]).values["columns"]["sex"]["levels"]
    assert levels == {"f": None, "m": None}


def test_site_alone_sends_no_count_on_a_fine_grid() -> None:
    describe, table = Describe(of=OF), clinical(60, seed=7, smallest_cell=5)
    answer = run(describe, [table], alone=True).values
    assert answer["columns"]["marker"]["quantiles"]
    ask = next(describe.solve(table.contract, alone=True))
    assert all(f.alone != "never" for f in describe.schema(ask, table.contract).values())


def test_site_alone_hides_a_column_with_a_small_cell() -> None:
    table = clinical(60, seed=7, smallest_cell=5)
    table.columns["sex"][:] = 0.0
    table.columns["sex"][:3] = 1.0
    answer = run(Describe(of=("sex",)), [table], alone=True).values
    assert answer["columns"]["sex"]["levels"] == {"f": None, "m": None}


@pytest.mark.parametrize("n", [1, 4])
def test_numbers_of_few_patients_do_not_leave_a_site_alone(n: int) -> None:
    """Else a mean of one patient would be that patient's value."""
    table = clinical(60, seed=7, smallest_cell=5)
    table.columns["marker"][n:] = np.nan
    describe = Describe(of=("marker", "age"))
    ask = next(describe.solve(table.contract, alone=True))
    sums = describe.summarise(table, ask)
    assert (int(sums["valid"][0]), float(sums["sum"][0]), int(sums["few"][0])) == (0, 0.0, 1)
    column = run(describe, [table], alone=True).values["columns"]["marker"]
    assert column["n"] is column["missing"] is column["mean"] is column["sd"] is None
    assert column["quantiles"] == []


def test_a_total_of_few_patients_is_not_printed() -> None:
    tables = split_unevenly(clinical(60, seed=7), 3)
    for table in tables:
        table.columns["marker"][1:] = np.nan
    column = run(Describe(of=("marker",)), tables).values["columns"]["marker"]
    assert column["n"] is column["mean"] is None


def test_three_rounds() -> None:
    cost = Cost()
    run(Describe(of=OF), split_unevenly(clinical(400, seed=3), 4), cost=cost)
    assert cost.rounds == 3


def test_everything_missing_gives_no_mean() -> None:
    table = clinical(50, seed=8)
    table.columns["raw"][:] = np.nan
    column = run(Describe(of=("raw",)), [table]).values["columns"]["raw"]
    assert (column["n"], column["missing"], column["mean"]) == (0, 50, None)


def _close(expected: object) -> object:
    """Compare nested numbers to 1e-10, everything else exactly."""
    if isinstance(expected, dict):
        return {key: _close(value) for key, value in expected.items()}
    if isinstance(expected, list):
        return [_close(value) for value in expected]
    if isinstance(expected, float):
        return pytest.approx(expected, rel=1e-10, abs=1e-10)
    return expected


def test_pooling_loses_nobody() -> None:
    tables = split_unevenly(clinical(123, seed=9), 5)
    assert pooled(tables).n == 123


CRP = Column(type="number", range=(0, 500))
LAB = Column(type="number", range=(0, 1e15))
DAYS = Column(type="integer", range=(0, 1_000_000))


def _skewed(column: Column, n: int, seed: int) -> Table:
    """Return patients who lie in a few parts of a wide declared range."""
    values = np.random.default_rng(seed).lognormal(0, 0.5, n)
    values = {CRP: 2.75, LAB: 5e13, DAYS: 60}[column] * values
    if column is not LAB:
        values = np.round(values, 0 if column is DAYS else 1)
    return Table({"v": values}, {"v": column}, np.arange(n).astype(str), smallest_cell=5)


@pytest.mark.parametrize("alone", [True, False])
@pytest.mark.parametrize("n", [22, 40, 400])
@pytest.mark.parametrize("column", [CRP, LAB, DAYS], ids=["crp", "lab", "days"])
def test_quartiles_close_in_where_the_declared_range_is_wide(
    column: Column, n: int, *, alone: bool
) -> None:
    """Truth: numpy's inverted_cdf. The window never ends beyond the fifth from either end."""
    table = _skewed(column, n, seed=n)
    values = np.sort(table.columns["v"])
    tables = [table] if alone else split_unevenly(table, 3)
    found = run(Describe(of=("v",)), tables, alone=alone).values["columns"]["v"]["quantiles"]
    assert 0.5 in [q["at"] for q in found]
    assert len(found) == 3 or n == 22
    for q in found:
        true = np.quantile(values, q["at"], method="inverted_cdf")
        assert q["low"] < true <= q["high"]
        assert values[4] <= q["low"]
        assert q["high"] < values[-5]
        apart = np.sort(np.abs(values - true))[9] + 0.01 * true  # ten nearest patients
        assert abs(q["value"] - true) <= apart


@pytest.mark.parametrize("alone", [True, False])
def test_a_window_that_stayed_wide_is_no_value_of_a_site_alone_either(*, alone: bool) -> None:
    """Twelve patients: five cannot lie below, in and above any window."""
    table = _skewed(CRP, 12, seed=1)
    column = run(Describe(of=("v",)), [table], alone=alone).values["columns"]["v"]
    assert column["mean"] == pytest.approx(table.columns["v"].mean())
    assert column["quantiles"] == []


@pytest.mark.parametrize("by", [None, "arm"])
@pytest.mark.parametrize("alone", [False, True])
def test_no_quantiles_are_found_where_none_are_wanted(by: str | None, alone: bool) -> None:
    rng = np.random.default_rng(2)
    contract = {
        "age": Column(type="integer", range=(0, 100)),
        "arm": Column(type="category", levels=("a", "b")),
    }
    values = {"age": rng.integers(20, 90, 80).astype(float), "arm": rng.integers(0, 2, 80) * 1.0}
    rows = Table(values, contract, np.array([f"p{i}" for i in range(80)]))
    found: Any = run(Describe(of=("age",), by=by, quantiles=()), [rows], alone=alone).values
    assert found["columns"]["age"]["quantiles"] == []
    assert found["columns"]["age"]["mean"] == pytest.approx(values["age"].mean())
