"""z-scores over sites: equal to those of pooled rows."""

import numpy as np
import pytest
from pydantic import ValidationError
from scipy import stats

from common.analyses.runner import Cost, run
from common.analyses.standardise import Standardise
from tests.common.analyses.readings import check_laws, readings
from tests.common.analyses.tables import pooled, split_unevenly

OF = ("age", "marker", "raw", "huge", "tiny")


def test_answer_does_not_depend_on_the_split() -> None:
    analysis = Standardise(of=(*OF, "constant"), folds=3)
    check_laws(analysis, readings(300, seed=1), (2, 5, 17))


def test_z_scores_are_those_of_scipy() -> None:
    tables = split_unevenly(readings(300, seed=2), 4)
    step = Standardise(of=OF)
    answer = run(step, tables)
    made = [step.columns_from(table, answer) for table in tables]
    for name in OF:
        found = np.concatenate([columns[name] for columns in made])
        x = pooled(tables).columns[name]
        expected = stats.zscore(x, ddof=1, nan_policy="omit")
        np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-12)


def test_a_fold_is_standardised_by_the_others_alone() -> None:
    tables = split_unevenly(readings(300, seed=3), 4)
    step = Standardise(of=OF, folds=5)
    answer = run(step, tables)
    rows = pooled(tables)
    columns = step.columns_from(rows, answer)
    for fold in (0, 4):
        kept = rows.folds(5) != fold
        for name in OF:
            x = rows.columns[name]
            z = (x - np.nanmean(x[kept])) / np.nanstd(x[kept], ddof=1)
            np.testing.assert_allclose(columns[f"fold{fold}.{name}"], z, rtol=1e-9)


def test_column_without_spread_becomes_zero_and_missing_stays_missing() -> None:
    table = readings(60, seed=4)
    table.columns["constant"][3] = np.nan
    step = Standardise(of=("constant",))
    z = step.columns_from(table, run(step, split_unevenly(table, 3)))["constant"]
    assert np.flatnonzero(np.isnan(z)).tolist() == [3]
    assert set(z[~np.isnan(z)]) == {0.0}


def test_two_rounds_and_names_of_columns() -> None:
    cost, step = Cost(), Standardise(of=("age", "raw"), folds=2)
    run(step, split_unevenly(readings(100, seed=5), 3), cost=cost)
    assert cost.rounds == 2
    assert list(step.produces()) == [
        "age",
        "raw",
        "fold0.age",
        "fold0.raw",
        "fold1.age",
        "fold1.raw",
    ]


def test_refuses_one_fold_and_categories() -> None:
    with pytest.raises(ValidationError, match="at least 2"):
        Standardise(of=("age",), folds=1)
    with pytest.raises(ValueError, match="got categories"):
        run(Standardise(of=("sex",)), [readings(50, seed=6)])
