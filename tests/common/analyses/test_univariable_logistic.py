"""Many columns, one model each: as statsmodels fits them one after the other."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from common.analyses.runner import Cost, run
from common.analyses.univariable_logistic import UnivariableLogistic
from common.cohort import Column
from common.table import Floats, Table
from tests.common.analyses.regression_tables import assert_same, followed
from tests.common.analyses.tables import pooled, split_unevenly

OF = ("age", "volume", "adc", "same", "died")
STEP = UnivariableLogistic(outcome="response", of=OF)


def radiomics(n: int, p: int, *, seed: int) -> Table:
    """Return cases with p features of very different scales, the first ones telling."""
    table, rng = followed(n, seed=seed), np.random.default_rng(seed)
    x = rng.normal(size=(n, p)) * 10.0 ** rng.integers(-4, 6, p)
    x[:, : p // 10] += table.columns["response"][:, None] * x[:, : p // 10].std(0) / 2
    names = [f"f{j}" for j in range(p)]
    columns = dict(table.columns) | {c: x[:, j] for j, c in enumerate(names)}
    contract = dict(table.contract) | {c: Column(type="number") for c in names}
    return replace(table, columns=columns, contract=contract)


def statsmodels_fit(table: Table, column: str, adjust: tuple[str, ...] = ()) -> Any:
    """Return statsmodels' fit of the standardised column, its SD, and the cases."""
    import statsmodels.api as sm

    values = np.column_stack([table.columns[c] for c in (column, *adjust)])
    has = ~np.isnan(values).any(1)
    x, y = values[has], table.columns["response"][has]
    z = (x - x.mean(0)) / x.std(0, ddof=1)
    design = np.column_stack([np.ones(len(z)), z])
    fit = sm.Logit(y, design).fit(disp=0, method="newton", tol=1e-14)
    return fit, x[:, 0].std(ddof=1), has.sum()


@pytest.mark.parametrize("n_sites", [1, 2, 5, 17])
def test_answer_does_not_depend_on_the_split(n_sites: int) -> None:
    step = STEP.model_copy(update={"adjust": ("stage",)})
    table = followed(400, seed=1)
    assert_same(run(step, split_unevenly(table, n_sites)).values, run(step, [table]).values)


def test_answer_is_bit_identical_in_any_order_of_sites() -> None:
    tables = split_unevenly(followed(300, seed=2), 5)
    assert run(STEP, tables).values == run(STEP, tables[::-1]).values


@pytest.mark.parametrize("adjust", [(), ("died",)])
def test_odds_ratios_are_those_of_statsmodels(adjust: tuple[str, ...]) -> None:
    table, of = followed(328, seed=3), ("age", "volume", "adc")
    step = UnivariableLogistic(outcome="response", of=of, adjust=adjust)
    columns = run(step, split_unevenly(table, 4)).values["columns"]
    for name in of:
        fit, sd, n = statsmodels_fit(table, name, adjust)
        mine = columns[name]
        assert mine["n"] == n
        assert mine["sd"] == pytest.approx(sd, rel=1e-11)
        assert mine["estimate"] == pytest.approx(fit.params[1] / sd, rel=1e-11)
        assert mine["se"] == pytest.approx(fit.bse[1] / sd, rel=1e-11)
        assert mine["p"] == pytest.approx(fit.pvalues[1], rel=1e-9)
        low, high = np.exp(fit.conf_int()[1])
        assert mine["odds_ratio_per_sd"] == pytest.approx(np.exp(fit.params[1]))
        assert mine["ci_low_per_sd"] == pytest.approx(low, rel=1e-11)
        assert mine["ci_high_per_sd"] == pytest.approx(high, rel=1e-11)


def test_two_thousand_columns_take_nine_rounds() -> None:
    table = radiomics(328, 2000, seed=4)
    of = tuple(f"f{j}" for j in range(2000))
    cost, step = Cost(), UnivariableLogistic(outcome="response", of=of)
    answer = run(step, split_unevenly(table, 4), cost=cost).values
    assert cost.rounds <= 9
    assert answer["n_tests"] == 2000
    for name in ("f0", "f777"):
        fit, sd, _ = statsmodels_fit(table, name)
        found = answer["columns"][name]["estimate"]
        assert found == pytest.approx(fit.params[1] / sd, rel=1e-9)


def test_p_values_are_corrected_for_their_number() -> None:
    from statsmodels.stats.multitest import multipletests

    table = radiomics(200, 40, seed=5)
    step = UnivariableLogistic(outcome="response", of=("f*", "same"))
    step = step.expand(tuple(table.columns))
    columns = run(step, split_unevenly(table, 3)).values["columns"]
    assert columns.pop("same")["p_adjusted"] is None
    p = [c["p"] for c in columns.values()]
    found = [c["p_adjusted"] for c in columns.values()]
    np.testing.assert_allclose(found, multipletests(p, method="fdr_bh")[1], rtol=1e-12)


def test_a_constant_column_and_one_of_a_single_class_are_said_clearly() -> None:
    table = followed(200, seed=6)
    table.columns["volume"][table.columns["response"] == 1] = np.nan
    columns = run(STEP, split_unevenly(table, 3)).values["columns"]
    assert "constant" in columns["same"]["note"]
    assert "one class" in columns["volume"]["note"]
    assert columns["volume"]["odds_ratio"] is None
    assert columns["age"]["note"] is None


def test_a_separated_column_gets_firths_estimate() -> None:
    table = followed(200, seed=7)
    table.columns["died"][:] = table.columns["response"]
    table.columns["died"][:80] = 0
    step = UnivariableLogistic(outcome="response", of=("age", "died"))
    columns = run(step, split_unevenly(table, 4)).values["columns"]
    assert columns["age"]["method"] == "maximum likelihood"
    expected = firth(table.columns["died"], table.columns["response"])
    assert columns["died"]["method"] == "Firth"
    assert columns["died"]["estimate"] == pytest.approx(expected.coef_[0], rel=1e-7)
    p = expected.lrt_pvalues_[0]
    assert columns["died"]["p"] == pytest.approx(p, rel=1e-6)


def firth(x: Floats, y: Floats) -> Any:
    import firthmodels

    fit = firthmodels.FirthLogisticRegression(backend="numpy", gtol=1e-7, xtol=1e-7)
    return fit.fit(x[:, None], y).lrt()


def test_without_firth_a_separated_column_has_no_odds_ratio() -> None:
    table = followed(200, seed=7)
    table.columns["adc"][:] = table.columns["response"]
    step = UnivariableLogistic(outcome="response", of=("adc", "age"), firth="never")
    column = run(step, split_unevenly(table, 4)).values["columns"]["adc"]
    assert column["odds_ratio"] is None
    assert "separated" in column["note"]


def test_a_site_of_one_class_takes_part() -> None:
    table = followed(300, seed=10)
    last = (table.columns["response"] == 1) & (np.arange(table.n) > 250)
    tables = [table.rows(~last), table.rows(last)]
    assert_same(run(STEP, tables).values, run(STEP, [pooled(tables)]).values)


def test_more_than_two_levels_need_a_model_of_their_own() -> None:
    step = UnivariableLogistic(outcome="response", of=("stage",))
    with pytest.raises(ValueError, match="kind logistic"):
        run(step, [followed(100, seed=8)])


def test_the_outcome_cannot_be_tested() -> None:
    with pytest.raises(ValidationError, match="is the outcome"):
        UnivariableLogistic(outcome="response", of=("response",))
