"""Tables for tests of classifiers and clusters, and the laws every classifier obeys."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from common.analyses.analysis import Answer
from common.analyses.runner import Cost, run
from common.cohort import Column
from common.table import Floats, Table
from tests.common.analyses.readings import check_laws
from tests.common.analyses.tables import pooled, split_unevenly

OF = ("grey", "volume", "count", "noise", "flat", "energy")
CONTRACT = {
    "grey": Column(type="number", range=(-10, 10)),
    "volume": Column(type="number"),
    "count": Column(type="integer", range=(0, 12)),
    "noise": Column(type="number"),
    "flat": Column(type="number"),
    "energy": Column(type="number"),
    "response": Column(type="category", levels=("no", "yes")),
}


def classified(n: int, *, seed: int, missing: float = 0.02, per_patient: int = 1) -> Table:
    """Return n cases: ties, a constant, a huge and a heavy-tailed column, gaps."""
    rng = np.random.default_rng(seed)
    y = (rng.random(n) < 0.4).astype(np.float64)
    columns = {
        "grey": np.clip(np.round(rng.normal(1.6 * y - 0.7, 1), 2), -10, 10),
        "volume": rng.lognormal(9 + 0.8 * y, 1),
        "count": rng.binomial(12, 0.4 + 0.15 * y).astype(np.float64),
        "noise": rng.normal(size=n) * 1e-6,
        "flat": np.full(n, 7.3),
        "energy": rng.lognormal(35, 0.7, n),
        "response": y,
    }
    for name in ("grey", "volume"):
        columns[name][rng.random(n) < missing] = np.nan
    patients = np.array([f"p{i // per_patient:04d}" for i in range(n)])
    return Table(columns, CONTRACT, patients, fold_key="key")


def rows_of(table: Table, of: Sequence[str] = OF) -> tuple[Table, Floats, Floats]:
    """Return the complete rows, their columns and the outcome."""
    whole = table.rows(~np.isnan(table.matrix(of)).any(axis=1))
    return whole, whole.matrix(of), whole.columns["response"]


def auc(y: Floats, p: Floats) -> float:
    from sklearn.metrics import roc_auc_score

    return float(roc_auc_score(y, p))


def oof_auc(step: Any, table: Table, n_sites: int = 4) -> float:
    """Return the AUC of the out-of-fold probabilities."""
    answer = run(step, split_unevenly(table, n_sites))
    p = step.columns_from(table, answer)["probability_oof"]
    there = ~np.isnan(p)
    return auc(table.columns["response"][there], p[there])


def sklearn_oof_auc(model: Any, table: Table, folds: int) -> float:
    """Return the same of an outside classifier on the same folds."""
    from sklearn.preprocessing import StandardScaler
    from threadpoolctl import threadpool_limits

    rows, x, y = rows_of(table)
    fold, p = rows.folds(folds), np.empty(len(y))
    with threadpool_limits(1):
        for k in range(folds):
            scaler = StandardScaler().fit(x[fold != k])
            fit = model.fit(scaler.transform(x[fold != k]), y[fold != k])
            p[fold == k] = fit.predict_proba(scaler.transform(x[fold == k]))[:, 1]
    return auc(y, p)


def assert_bit_identical(step: Any, table: Table) -> Answer:
    """Assert: any split over sites gives the bits of the pooled answer; return it."""
    whole = run(step, [table])
    for n_sites in (2, 5, 17):
        tables = split_unevenly(table, n_sites)
        found = run(step, [tables[0].rows(np.zeros(tables[0].n, bool)), *tables])
        assert found.values == whole.values
        for name, array in whole.arrays.items():
            np.testing.assert_array_equal(found.arrays[name], array)
    return whole


def assert_classifier_laws(step: Any, table: Table, *, exact: bool = False) -> None:
    """Assert what holds for every classifier, whatever its kind."""
    if exact:
        assert_bit_identical(step, table)
    else:
        check_laws(step, table, (2, 5, 17))
    tables = split_unevenly(table, 4)
    answer = run(step, tables)
    assert answer.values["converged"], answer.values["note"]
    made = [step.columns_from(t, answer) for t in tables]
    assert made[0].keys() == step.produces().keys()
    one = step.columns_from(pooled(tables), answer)
    for name, values in one.items():
        apart = np.concatenate([m[name] for m in made])
        np.testing.assert_allclose(apart, values, rtol=1e-12)
        gaps = np.isnan(pooled(tables).matrix(step.of)).any(axis=1)
        np.testing.assert_array_equal(np.isnan(values), gaps)
        assert ((values >= 0) & (values <= 1))[~gaps].all()
    _assert_sites_of_one_class_take_part(step, table)
    _assert_says_why_it_cannot(step, table)


def _assert_sites_of_one_class_take_part(step: Any, table: Table) -> None:
    last = table.columns["response"] == 1
    last[: table.n // 2] = False
    tables = [table.rows(~last), table.rows(last)]
    whole = run(step, [pooled(tables)])
    for name, array in run(step, tables).arrays.items():
        np.testing.assert_allclose(array, whole.arrays[name], rtol=1e-9, atol=1e-9)


def _assert_says_why_it_cannot(step: Any, table: Table) -> None:
    only = table.rows(table.columns["response"] == 0)
    answer = run(step, [only])
    assert answer.values["note"] == "the outcome has one class only: no case has the event"
    assert not answer.values["converged"]
    for values in step.columns_from(only, answer).values():
        assert np.isnan(values).all()


def rounds_of(step: Any, table: Table) -> Cost:
    cost = Cost()
    run(step, split_unevenly(table, 4), cost=cost)
    return cost


def only_masked(step: Any, table: Table) -> set[str]:
    """Return the arrays of a step that a site alone would never let out."""
    never: set[str] = set()
    solving = step.solve(table.contract, alone=True)
    ask = next(solving)
    try:
        while True:
            schema = step.schema(ask, table.contract)
            never |= {name for name, field in schema.items() if field.alone == "never"}
            sums = step.summarise(table, ask)
            ask = solving.send({name: np.asarray(value) for name, value in sums.items()})
    except StopIteration:
        return never
