"""Intraclass correlation over sites: equal to the pooled one, and to pingouin."""

import numpy as np
import pandas as pd
import pingouin
import pytest
from pydantic import ValidationError

from common.analyses.icc import Icc
from common.analyses.runner import Cost, run
from common.cohort import Column
from common.table import Table
from tests.common.analyses.readings import check_laws, readings, with_columns
from tests.common.analyses.tables import split_unevenly

FORMS = ("ICC1", "ICC2", "ICC3")
FEATURES = ("plain", "shifted", "noisy", "huge", "near", "gaps")


def read_by(k: int, n: int = 90, seed: int = 0) -> Table:
    """Return features of growing trouble, `<feature>@<reader>`."""
    rng = np.random.default_rng(seed)
    truth = rng.normal(10, 2, n)
    columns = {}
    for j in range(k):
        noise = rng.normal(0, 1, (len(FEATURES), n))
        columns |= {
            f"plain@{j}": truth + 0.5 * noise[0],
            f"shifted@{j}": truth + j + 0.1 * noise[1],
            f"noisy@{j}": noise[2],
            f"huge@{j}": 1e12 * np.exp(truth + 0.2 * noise[3]),
            f"near@{j}": 1e6 + truth + 0.5 * noise[4],
            f"gaps@{j}": np.where(rng.random(n) < 0.1, np.nan, truth + noise[5]),
            f"same@{j}": truth,
            f"constant@{j}": np.full(n, 0.1),
        }
    contract = dict.fromkeys(columns, Column(type="number"))
    return with_columns(readings(n, seed=seed), contract, **columns)


def raters(k: int, *names: str) -> tuple[tuple[str, ...], ...]:
    return tuple(tuple(f"{name}@{j}" for name in names) for j in range(k))


def pingouins(table: Table, name: str, k: int) -> pd.DataFrame:
    x = table.matrix([f"{name}@{j}" for j in range(k)])
    x = x[~np.isnan(x).any(axis=1)]
    case, rater = np.indices(x.shape)
    long = pd.DataFrame({"c": case.ravel(), "r": rater.ravel(), "x": x.ravel()})
    before = pingouin.options["round.column.CI95"]
    pingouin.options["round.column.CI95"] = None
    try:
        found = pingouin.intraclass_corr(long, targets="c", raters="r", ratings="x")
    finally:
        pingouin.options["round.column.CI95"] = before
    return found


def test_answer_does_not_depend_on_the_split() -> None:
    names = (*FEATURES, "same", "constant")
    analysis = Icc(raters=raters(3, *names), forms=FORMS, select=0.75)
    check_laws(analysis, read_by(3), (2, 5, 17))


@pytest.mark.parametrize("k", [2, 3])
def test_estimate_interval_and_p_are_those_of_pingouin(k: int) -> None:
    table = read_by(k, seed=k)
    analysis = Icc(raters=raters(k, *FEATURES), forms=FORMS)
    answer = run(analysis, split_unevenly(table, 4)).values["features"]
    for name in FEATURES:
        expected = pingouins(table, name, k)
        rel = 1e-8 if name == "near" else 1e-12
        for row, form in enumerate(FORMS):
            found, reference = answer[f"{name}@0"][form], expected.iloc[row]
            low, high = reference["CI95"]
            assert found["estimate"] == pytest.approx(reference["ICC"], rel=rel)
            assert found["ci_low"] == pytest.approx(low, rel=10 * rel)
            assert found["ci_high"] == pytest.approx(high, rel=10 * rel)
            assert found["p"] == pytest.approx(reference["pval"], rel=1e-8)


def test_level_widens_the_interval() -> None:
    table = read_by(2)
    width = {}
    for level in (0.8, 0.95):
        answer = run(Icc(raters=raters(2, "plain"), level=level), [table])
        found = answer.values["features"]["plain@0"]["ICC2"]
        width[level] = found["ci_high"] - found["ci_low"]
    assert 0 < width[0.8] < width[0.95]


def test_selects_by_estimate_or_by_lower_bound() -> None:
    table, of = read_by(2), raters(2, *FEATURES)
    features = run(Icc(raters=of), [table]).values["features"]
    for by in ("estimate", "ci_low"):
        answer = run(Icc(raters=of, select=0.93, select_by=by), [table]).values
        expected = [n for n, f in features.items() if f["ICC2"][by] >= 0.93]
        assert answer["selected"] == expected
        assert 0 < len(expected) < len(FEATURES)


def test_first_form_selects_and_grades() -> None:
    table, of = read_by(2), raters(2, "shifted", "noisy")
    consistent = run(Icc(raters=of, forms=("ICC3",), select=0.9), [table]).values
    absolute = run(Icc(raters=of, forms=("ICC2",), select=0.9), [table]).values
    assert consistent["selected"] == ["shifted@0"]
    assert absolute["selected"] == []
    assert consistent["grades"] == {"poor": 1, "moderate": 0, "good": 0, "excellent": 1}


def test_complete_agreement_is_one_and_a_constant_has_none() -> None:
    analysis = Icc(raters=raters(2, "same", "constant"), forms=FORMS, select=0.5)
    answer = run(analysis, split_unevenly(read_by(2), 5)).values
    for form in FORMS:
        assert answer["features"]["same@0"][form] == {
            "estimate": 1.0,
            "ci_low": 1.0,
            "ci_high": 1.0,
            "p": 0.0,
        }
        assert set(answer["features"]["constant@0"][form].values()) == {None}
    assert answer["selected"] == ["same@0"]


def test_cases_are_those_that_every_reader_measured() -> None:
    table = read_by(2)
    answer = run(Icc(raters=raters(2, "plain", "gaps")), split_unevenly(table, 3)).values
    both = ~np.isnan(table.matrix(["gaps@0", "gaps@1"])).any(axis=1)
    assert answer["features"]["gaps@0"]["n"] == both.sum() < 90
    assert answer["features"]["plain@0"]["n"] == 90


@pytest.mark.parametrize("n", [0, 1, 2])
def test_too_few_cases_give_none(n: int) -> None:
    table = read_by(2).rows(np.arange(90) < n)
    found = run(Icc(raters=raters(2, "plain")), [table]).values["features"]["plain@0"]
    assert (found["n"], found["ICC2"]["estimate"]) == (None if n else 0, None)


def test_two_rounds_for_two_thousand_features() -> None:
    rng = np.random.default_rng(1)
    names = [f"f{i}@{j}" for j in (0, 1) for i in range(2000)]
    columns = {name: rng.lognormal(0, 1, 60) for name in names}
    contract = dict.fromkeys(names, Column(type="number"))
    table = with_columns(readings(60, seed=0), contract, **columns)
    analysis = Icc(raters=(("f*@0",), ("f*@1",))).expand(tuple(table.contract))
    cost = Cost()
    answer = run(analysis, split_unevenly(table, 3), cost=cost).values
    assert (cost.rounds, answer["n_features"]) == (2, 2000)
    assert cost.bytes_up < 400_000


def test_refuses_readers_of_different_features() -> None:
    with pytest.raises(ValidationError, match="as many columns of each"):
        Icc(raters=(("plain@0", "noisy@0"), ("plain@1",)))
