"""Cox models over sites: a stratified model of the pooled rows, statsmodels, R."""

import csv
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from common.analyses.cox import Cox
from common.analyses.runner import Cost, run
from common.cohort import Column
from common.errors import Refused
from common.table import Floats, Table
from tests.common.analyses.regression_tables import assert_same, complete, followed
from tests.common.analyses.tables import pooled, split_unevenly

MODELS = {"clinical": ("age", "stage"), "combined": ("age", "stage", "volume", "adc")}
COX = Cox(time="days", event="died", models=MODELS)


def with_sites(tables: Sequence[Table]) -> Table:
    """Return the rows of all sites with the site as a category."""
    names = tuple(f"site_{i}" for i in range(max(len(tables), 2)))
    column = Column(type="category", levels=names)
    marked = [
        replace(
            t,
            columns={**t.columns, "site": np.full(t.n, float(i))},
            contract={**t.contract, "site": column},
        )
        for i, t in enumerate(tables)
    ]
    return pooled(marked)


def design(table: Table, columns: Sequence[str]) -> tuple[Floats, Floats]:
    """Return the standardised design, and each column's SD."""
    parts = [
        np.column_stack([table.columns[c] == 1, table.columns[c] == 2]) * 1.0
        if c == "stage"
        else table.columns[c][:, None]
        for c in columns
    ]
    x = np.hstack(parts)
    return (x - x.mean(0)) / x.std(0), x.std(0)


def statsmodels_cox(rows: Table, columns: Sequence[str], strata: Floats) -> Any:
    from statsmodels.duration.hazard_regression import PHReg

    x, sd = design(rows, columns)
    model = PHReg(rows.columns["days"], x, rows.columns["died"], strata=strata, ties="efron")
    return model.fit(method="newton", tol=1e-14), sd


def of_terms(terms: dict[str, Any], key: str) -> Floats:
    return np.array([term[key] for term in terms.values()])


def strip(answer: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in answer.items() if key != "strata"}


@pytest.mark.parametrize("n_sites", [1, 2, 5, 17])
def test_answer_is_that_of_pooled_rows_with_the_site_as_stratum(n_sites: int) -> None:
    tables = split_unevenly(followed(400, seed=1), n_sites)
    one = COX.model_copy(update={"strata": ("site",)})
    found, expected = run(COX, tables).values, run(one, [with_sites(tables)]).values
    assert_same(strip(found), strip(expected))


def test_answer_is_bit_identical_in_any_order_of_sites() -> None:
    tables = split_unevenly(followed(300, seed=2), 5)
    assert run(COX, tables).values == run(COX, tables[::-1]).values


def test_hazard_ratios_are_those_of_statsmodels() -> None:
    tables = split_unevenly(followed(328, seed=3), 4)
    answer = run(COX, tables).values
    rows = complete(with_sites(tables), "age", "volume")
    for name, columns in MODELS.items():
        fit, sd = statsmodels_cox(rows, columns, rows.columns["site"])
        terms = answer["models"][name]["terms"]
        near = {"rtol": 1e-9, "atol": 0}
        np.testing.assert_allclose(of_terms(terms, "estimate"), fit.params / sd, **near)
        np.testing.assert_allclose(of_terms(terms, "se"), fit.bse / sd, **near)
        np.testing.assert_allclose(of_terms(terms, "p"), fit.pvalues, rtol=1e-8)
        low, high = fit.conf_int().T / sd
        np.testing.assert_allclose(of_terms(terms, "estimate_low"), low, **near)
        np.testing.assert_allclose(of_terms(terms, "estimate_high"), high, **near)
        value = answer["models"][name]["log_likelihood"]
        assert value == pytest.approx(fit.llf, rel=1e-12)


def test_strata_lie_within_sites() -> None:
    step = Cox(time="days", event="died", models={"m": ("age",)}, strata=("stage",))
    tables = split_unevenly(followed(328, seed=4), 4)
    rows = complete(with_sites(tables), "age")
    both = 3 * rows.columns["site"] + rows.columns["stage"]
    fit, sd = statsmodels_cox(rows, ("age",), both)
    found = run(step, tables).values["models"]["m"]["terms"]["age"]["estimate"]
    assert found == pytest.approx(fit.params[0] / sd[0], rel=1e-10)


def test_models_are_compared_by_likelihood_ratio() -> None:
    tables = split_unevenly(followed(328, seed=3), 4)
    answer = run(COX, tables).values
    (test,) = answer["tests"]
    small, large = (answer["models"][m]["log_likelihood"] for m in MODELS)
    assert (test["df"], test["smaller"]) == (2, "clinical")
    assert test["chi2"] == pytest.approx(2 * (large - small), rel=1e-12)


def test_concordance_is_lifelines_over_pairs_of_a_site() -> None:
    from lifelines.utils import concordance_index

    table = followed(300, seed=5)
    table.columns["days"] += np.arange(300) * 1e-4  # lifelines leaves out equal days
    tables = split_unevenly(table, 3)
    model = run(COX, tables).values["models"]["clinical"]
    b = of_terms(model["terms"], "estimate")
    right = pairs = 0.0
    for table in tables:
        rows = complete(table, "age", "volume")
        stage = rows.columns["stage"]
        score = np.column_stack([rows.columns["age"], stage == 1, stage == 2]) @ b
        days, died = rows.columns["days"], rows.columns["died"]
        n = sum(((days > d) | ((days == d) & (died == 0))).sum() for d in days[died == 1])
        right += concordance_index(days, -score, died) * n
        pairs += n
    assert model["comparable_pairs"] == pairs
    assert model["concordance"] == pytest.approx(right / pairs, abs=1e-12)


def test_concordance_across_sites_is_within_its_bound() -> None:
    from lifelines.utils import concordance_index

    table = complete(followed(400, seed=5), "age", "volume")
    model = run(COX, split_unevenly(table, 4)).values["models"]["clinical"]
    b, stage = of_terms(model["terms"], "estimate"), table.columns["stage"]
    score = np.column_stack([table.columns["age"], stage == 1, stage == 2]) @ b
    days, died = table.columns["days"], table.columns["died"]
    found = model["concordance_across_sites"]
    off = abs(found["estimate"] - concordance_index(days, -score, died))
    assert off <= found["bound"] < 0.1
    assert off < 0.01


def test_a_site_alone_sends_no_grid() -> None:
    table = followed(200, seed=5, smallest_cell=5)
    model = run(COX, [table], alone=True).values["models"]["clinical"]
    assert "concordance_across_sites" not in model


def test_eight_rounds() -> None:
    cost = Cost()
    run(COX, split_unevenly(followed(328, seed=3), 4), cost=cost)
    assert cost.rounds <= 8


def test_a_likelihood_that_rises_for_ever_is_said_clearly() -> None:
    table = followed(200, seed=6)
    table.columns["adc"][:] = table.columns["died"]
    step = Cox(time="days", event="died", models={"m": ("adc",), "other": ("age",)})
    models = run(step, split_unevenly(table, 3)).values["models"]
    assert "separated" in models["m"]["note"]
    assert models["other"]["converged"]


def test_constant_and_collinear_columns_are_left_out_by_name() -> None:
    step = Cox(time="days", event="died", models={"m": ("age", "same", "twice_age")})
    model = run(step, split_unevenly(followed(200, seed=7), 3)).values["models"]["m"]
    assert model["note"].endswith(": same, twice_age")
    assert model["terms"]["same"]["hazard_ratio"] is None


def test_a_site_without_events_and_an_empty_one_take_part() -> None:
    table = followed(300, seed=8)
    last = (table.columns["died"] == 0) & (np.arange(table.n) > 200)
    none = table.rows(np.zeros(table.n, bool))
    tables = [table.rows(~last), table.rows(last), none]
    found, expected = run(COX, tables).values, run(COX, tables[:1]).values
    same = {m: t["log_likelihood"] for m, t in expected["models"].items()}
    assert {m: t["log_likelihood"] for m, t in found["models"].items()} == same


def test_no_events_is_said_clearly() -> None:
    table = followed(100, seed=9)
    table.columns["died"][:] = 0.0
    answer = run(COX, split_unevenly(table, 3)).values
    assert answer["models"]["clinical"]["note"] == "there are no events"


def test_a_site_in_clear_refuses_more_coefficients_than_its_cases_bear() -> None:
    with pytest.raises(Refused, match="coefficients from"):
        run(COX, [followed(12, seed=10, smallest_cell=5)], alone=True)


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"models": {"m": ("days",)}}, "is the outcome"),
        ({"models": {"m": ()}}, "distinct columns"),
        ({"models": {"m": ("stage",)}, "strata": ("stage",)}, "is a stratum"),
    ],
)
def test_impossible_settings_are_refused(setting: Any, message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        Cox(time="days", event="died", **setting)


def lung(folder: Path) -> Table:
    """Return the NCCTG lung data of R's survival package."""
    with (folder / "tabular" / "lung_ncctg" / "lung_ncctg.csv").open() as file:
        rows = list(csv.DictReader(file))
    names = ("days", "event", "age", "sex", "ph_ecog")
    columns = {c: np.array([float(r[c] or "nan") for r in rows]) for c in names}
    contract = {c: Column(type="number") for c in names}
    contract["event"] = Column(type="integer", range=(0, 1))
    patients = np.array([row["patient"] for row in rows])
    return Table(columns, contract, patients)


@pytest.mark.realdata
def test_lung_data_give_the_coefficients_of_the_survival_manual(
    shared_data: Path,
) -> None:
    # coxph(Surv(time, status) ~ age + sex + ph.ecog, lung): manual of R's survival.
    models = {"m": ("age", "sex", "ph_ecog")}
    table = lung(shared_data)
    answer = run(Cox(time="days", event="event", models=models), [table]).values
    estimates = of_terms(answer["models"]["m"]["terms"], "estimate")
    np.testing.assert_allclose(estimates, [0.011067, -0.552612, 0.463728], atol=5e-7)
    assert (answer["n"], answer["events"]) == (227, 164)
