"""Concordance of a column with survival, within sites and across them."""

from dataclasses import replace

import numpy as np
import pytest
from lifelines.utils import concordance_index

from common.analyses.concordance import Concordance
from common.analyses.cox import Cox
from common.analyses.runner import Cost, run
from common.cohort import Column
from common.table import Table
from tests.common.analyses.tables import clinical, pooled, split_unevenly

STEP = Concordance(time="days", event="died", scores=("risk", "noise"))


def survival_sites(n: int = 300, seed: int = 3) -> list[Table]:
    rng = np.random.default_rng(seed)
    risk = rng.normal(size=n)
    days = np.ceil(rng.exponential(300 * np.exp(-risk)))
    end = np.rint(rng.uniform(50, 900, n))
    columns = {
        "risk": 1e3 + 50 * risk,  # of any magnitude
        "noise": rng.normal(size=n),
        "days": np.minimum(days, end),
        "died": (days <= end).astype(float),
    }
    number = Column(type="number")
    contract = {
        "risk": number,
        "noise": number,
        "days": Column(type="integer", range=(0, 900)),
        "died": Column(type="integer", range=(0, 1)),
    }
    return split_unevenly(replace(clinical(n, seed=1), columns=columns, contract=contract), 4)


def _theirs(table: Table, score: str) -> float:
    of = table.columns
    return float(concordance_index(of["days"], -of[score], of["died"]))


def test_across_sites_is_that_of_lifelines_within_its_bound() -> None:
    tables = survival_sites()
    cost = Cost()
    scores = run(STEP, tables, cost=cost).values["scores"]
    assert cost.rounds == 2
    for name in STEP.scores:
        across = scores[name]["across_sites"]  # type: ignore[index,call-overload]
        off = abs(across["estimate"] - _theirs(pooled(tables), name))
        assert off <= across["bound"] < 0.02
        assert off < 0.003
        assert across["ci_low"] < across["estimate"] < across["ci_high"]


def test_within_sites_is_exact() -> None:
    (table,) = survival_sites()[:1]
    scores = run(STEP, [table], alone=True).values["scores"]
    found = scores["risk"]["within_sites"]["estimate"]  # type: ignore[index,call-overload]
    assert found == pytest.approx(_theirs(table, "risk"), abs=1e-15)
    assert "across_sites" not in scores["risk"]  # type: ignore[index,operator,call-overload]


def test_few_events_give_no_index() -> None:
    tables = survival_sites(120)
    for table in tables:
        table.columns["died"][:] = 0.0
    tables[0].columns["died"][:3] = 1.0
    answer = run(STEP, tables).values
    assert (answer["events"], answer["scores"]) == (None, {})


def test_a_time_without_a_range_is_a_mistake() -> None:
    tables = [
        replace(t, contract={**t.contract, "days": Column(type="number")}) for t in survival_sites()
    ]
    with pytest.raises(ValueError, match="a range from 0"):
        run(STEP, tables)


def test_cox_makes_the_column_it_reads() -> None:
    tables = survival_sites()
    cox = Cox(time="days", event="died", models={"one": ("risk",), "two": ("risk", "noise")})
    answer = run(cox, tables)
    made = cox.columns_from(tables[0], answer)
    assert list(made) == list(cox.produces()) == ["one_linear_predictor", "two_linear_predictor"]
    terms = answer.values["models"]["two"]["terms"]  # type: ignore[index,call-overload]
    slopes = [terms[name]["estimate"] for name in ("risk", "noise")]
    expected = tables[0].matrix(("risk", "noise")) @ slopes
    off = made["two_linear_predictor"] - expected
    assert np.ptp(off) < 1e-9  # but a constant
