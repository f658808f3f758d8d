"""ComBat over sites: equal to a dense pooled fit, and to the published programs."""

import json
from pathlib import Path

import numpy as np
import pytest
from pydantic import ValidationError

from common.analyses.analysis import Answer
from common.analyses.combat import Combat
from common.analyses.runner import Cost, run
from common.cohort import Column
from common.errors import Refused
from common.sums import conform
from common.table import Table
from tests.common.analyses.tables import pooled, split_unevenly

FEATURES = tuple(f"f{i}" for i in range(30))
CONTRACT = {
    **dict.fromkeys(FEATURES, Column(type="number")),
    "age": Column(type="integer", range=(18, 100)),
    "stage": Column(type="category", levels=("I", "II", "III")),
}


def sites(n: int = 240, n_sites: int = 4, seed: int = 0) -> list[Table]:
    """Return sites of uneven size with a shift and a spread of their own."""
    rng = np.random.default_rng(seed)
    age, stage = np.rint(rng.normal(60, 10, n)), rng.integers(0, 3, n).astype(float)
    scale = 10.0 ** rng.integers(-3, 6, len(FEATURES))
    y = scale * (5 + rng.normal(size=(n, 30)) + 0.03 * age[:, None] + stage[:, None])
    columns = {name: y[:, j] for j, name in enumerate(FEATURES)}
    patients = np.array([f"p{i}" for i in range(n)])
    table = Table({**columns, "age": age, "stage": stage}, CONTRACT, patients, 0, "key")
    tables = split_unevenly(table, n_sites)
    for site in tables:
        for j, name in enumerate(FEATURES):
            noise = rng.normal(1, 0.3), rng.uniform(0.6, 1.6)
            site.columns[name][:] = site.columns[name] * noise[1] + noise[0] * scale[j]
    return tables


def dense(tables: list[Table], combat: Combat) -> np.ndarray:
    """Return harmonised features by regression on a dummy for each site.

    Steps and names of Fortin et al., NeuroImage 161:149 (2017), section 2.2.
    """
    y = np.concatenate([t.matrix(combat.of) for t in tables])
    site = np.repeat(np.arange(len(tables)), [t.n for t in tables])
    batch = np.eye(len(tables))[site]
    age = np.concatenate([t.columns["age"] for t in tables])
    stage = np.concatenate([t.columns["stage"] for t in tables])
    kept = {"age": [age], "stage": [stage == 1, stage == 2]}
    x = np.array([c for name in combat.covariates for c in kept[name]], float).T
    x = x.reshape(len(y), -1)
    design = np.hstack([batch, x])
    b = np.linalg.lstsq(design / abs(design).max(0), y, rcond=None)[0]
    b /= abs(design).max(0)[:, None]
    grand = batch.mean(axis=0) @ b[: len(tables)]
    variance = ((y - design @ b) ** 2).mean(axis=0)
    expected = grand + x @ b[len(tables) :]
    z = (y - expected) / np.sqrt(variance)
    out = np.empty_like(y)
    for s in range(len(tables)):
        g, d = posterior(z[site == s])
        out[site == s] = (z[site == s] - g) / np.sqrt(d)
    return out * np.sqrt(variance) + expected


def posterior(z: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    n, gamma, delta = len(z), z.mean(0), z.var(0, ddof=1)
    t2, m, s2 = gamma.var(ddof=1), delta.mean(), delta.var(ddof=1)
    a, b = 2 + m**2 / s2, m + m**3 / s2
    g, d, change = gamma, delta, 1.0
    while change > 1e-4:
        g_new = (t2 * n * gamma + d * gamma.mean()) / (t2 * n + d)
        d_new = (((z - g_new) ** 2).sum(0) / 2 + b) / (n / 2 + a - 1)
        change = max(max(abs(g_new - g) / g), max(abs(d_new - d) / d))
        g, d = g_new, d_new
    return g, d


def harmonised(tables: list[Table], combat: Combat, answer: Answer) -> np.ndarray:
    parts = [combat.columns_from(table, answer) for table in tables]
    return np.concatenate([np.stack([p[n] for n in combat.of], axis=1) for p in parts])


@pytest.mark.parametrize("covariates", [(), ("age",), ("age", "stage")])
@pytest.mark.parametrize("n_sites", [2, 4])
def test_equals_a_dense_fit_of_pooled_rows(covariates: tuple[str, ...], n_sites: int) -> None:
    tables = sites(n_sites=n_sites)
    combat = Combat(of=FEATURES, covariates=covariates)
    found = harmonised(tables, combat, run(combat, tables))
    np.testing.assert_allclose(found, dense(tables, combat), rtol=1e-10)


def test_same_bits_in_any_order_of_sites() -> None:
    tables, combat = sites(), Combat(of=FEATURES, covariates=("age",), folds=3)
    forth, back = run(combat, tables), run(combat, tables[::-1])
    assert forth.values == back.values
    for name, array in forth.arrays.items():
        np.testing.assert_array_equal(array, back.arrays[name])


def test_takes_away_the_sites_and_keeps_the_covariate() -> None:
    tables = sites(600, 3)
    combat = Combat(of=FEATURES, covariates=("age", "stage"), shrink="none")
    answer = run(combat, tables)
    found = harmonised(tables, combat, answer)
    grand, slope = answer.arrays["grand"][0], answer.arrays["beta"][0]
    start = 0
    for table in tables:
        rows = found[start : start + table.n]
        stage = table.columns["stage"]
        x = np.stack([table.columns["age"], stage == 1, stage == 2], axis=1)
        left = (rows - grand - x @ slope) / answer.arrays["sd"][0]
        np.testing.assert_allclose(left.mean(axis=0), 0, atol=1e-9)
        np.testing.assert_allclose(left.var(axis=0, ddof=1), 1, rtol=1e-9)
        start += table.n


def test_a_fold_is_harmonised_by_the_others_alone() -> None:
    tables = sites()
    combat = Combat(of=FEATURES, covariates=("age",), folds=4)
    answer = run(combat, tables)
    for fold in (0, 3):
        others = [t.rows(t.folds(4) != fold) for t in tables]
        plain = Combat(of=FEATURES, covariates=("age",), fewest=3)
        expected = harmonised(others, plain, run(plain, others))
        found = [combat.columns_from(t, answer) for t in tables]
        kept = [t.folds(4) != fold for t in tables]
        for j, name in enumerate(FEATURES):
            column = [p[f"fold{fold}.{name}"][k] for p, k in zip(found, kept, strict=True)]
            np.testing.assert_allclose(np.concatenate(column), expected[:, j], rtol=1e-9)
            assert not np.isnan(found[0][f"fold{fold}.{name}"]).any()


def test_new_site_leaves_the_model_as_it_is() -> None:
    *tables, new = sites()
    combat = Combat(of=FEATURES, covariates=("age",), fewest=10)
    answer = run(combat, tables)
    before = harmonised(tables, combat, answer)
    found = harmonised([new], combat, answer)
    raw = np.abs(np.stack([new.columns[n].mean() for n in FEATURES]) / before.mean(0) - 1)
    assert np.median(np.abs(found.mean(0) / before.mean(0) - 1)) < np.median(raw) / 3
    np.testing.assert_array_equal(harmonised(tables, combat, answer), before)


def test_two_rounds_for_two_thousand_features_and_folds() -> None:
    rng = np.random.default_rng(0)
    names = tuple(f"g{i}" for i in range(2000))
    contract = {**dict.fromkeys(names, Column(type="number")), "age": CONTRACT["age"]}
    tables = [
        Table(
            {n: rng.normal(k, 1, 30) for n in (*names, "age")},
            contract,
            np.array([f"{k}-{i}" for i in range(30)]),
        )
        for k in range(3)
    ]
    cost = Cost()
    run(Combat(of=names, covariates=("age",), folds=2), tables, cost=cost)
    assert cost.rounds == 2


def test_small_site_takes_no_part() -> None:
    tables = sites()
    tables[3] = tables[3].rows(np.arange(tables[3].n) < 8)
    combat = Combat(of=FEATURES, covariates=("age",), fewest=10)
    with_it, without = run(combat, tables), run(combat, tables[:3])
    np.testing.assert_array_equal(with_it.arrays["beta"], without.arrays["beta"])
    assert with_it.values["n_batches"] == 3
    assert np.isnan(harmonised(tables[3:], combat, with_it)).all()


def test_scanners_of_a_site_are_batches_of_their_own() -> None:
    parts = sites(n_sites=4)
    contract = {**CONTRACT, "scanner": Column(type="category", levels=("a", "b", "c"))}
    scanner = [np.full(t.n, code, float) for t, code in zip(parts, (0, 1, 0, 2), strict=True)]
    tables = [
        Table({**t.columns, "scanner": s}, contract, t.patients)
        for t, s in zip(parts, scanner, strict=True)
    ]
    # The first two batches are scanners of one hospital.
    hospitals = [pooled(tables[:2]), *tables[2:]]
    combat = Combat(of=FEATURES, covariates=("age",), batch="scanner")
    answer = run(combat, hospitals)
    assert answer.values["n_batches"] == 4
    found = harmonised(hospitals, combat, answer)
    np.testing.assert_allclose(found, dense(parts, combat), rtol=1e-10)


def test_incomplete_cases_take_no_part_and_get_no_values() -> None:
    tables = sites()
    tables[0].columns["f3"][5] = np.nan
    tables[1].columns["age"][7] = np.nan
    combat = Combat(of=FEATURES, covariates=("age",))
    answer = run(combat, tables)
    whole = [t.rows(~np.isnan(t.matrix(combat.columns())).any(axis=1)) for t in tables]
    assert answer.values["n_fitted"] == sum(t.n for t in whole) == answer.values["n"] - 2
    np.testing.assert_array_equal(answer.arrays["beta"], run(combat, whole).arrays["beta"])
    columns = combat.columns_from(tables[0], answer)
    assert np.flatnonzero(np.isnan(columns["f0"])).tolist() == [5]


@pytest.mark.parametrize("shrink", ["parametric", "nonparametric", "mean_only", "none"])
def test_constant_features_stay_as_they_are(shrink: str) -> None:
    tables = sites()
    for table in tables:
        table.columns["f0"][:] = 3.3
    tables[1].columns["f1"][:] = 7.0  # at one site only
    combat = Combat(of=FEATURES, covariates=("age",), shrink=shrink)
    answer = run(combat, tables)
    assert answer.values["constant"] == ["f0"]
    for table in tables:
        columns = combat.columns_from(table, answer)
        np.testing.assert_array_equal(columns["f0"], 3.3)
        assert np.isfinite(columns["f1"]).all()


@pytest.mark.parametrize(
    ("change", "note"),
    [
        (lambda t: t[:1], "fewer than two batches have enough complete cases: 20 or more"),
        (lambda t: [_set(x, "age", 60.0 + i) for i, x in enumerate(t)], "does not vary"),
        (lambda t: [_set(x, "stage", x.columns["age"] > 60) for x in t], "does not vary"),
    ],
)
def test_says_why_there_is_no_model(change: object, note: str) -> None:
    tables = change(sites())  # type: ignore[operator]
    combat = Combat(of=FEATURES, covariates=("age", "stage"))
    answer = run(combat, tables)
    assert note in answer.values["note"]
    assert np.isnan(harmonised(tables, combat, answer)).all()


def _set(table: Table, name: str, values: object) -> Table:
    table.columns[name][:] = values
    return table


def test_covariates_that_tell_the_same_are_noticed() -> None:
    tables = sites()
    contract = {**CONTRACT, "months": Column(type="number")}
    tables = [
        Table({**t.columns, "months": 12 * t.columns["age"]}, contract, t.patients) for t in tables
    ]
    answer = run(Combat(of=FEATURES, covariates=("age", "months")), tables)
    assert "tell the same" in answer.values["note"]


def test_products_of_one_site_never_leave_in_clear() -> None:
    combat, table = Combat(of=FEATURES, covariates=("age",)), sites()[0]
    ask = next(combat.solve(CONTRACT))
    schema = combat.schema(ask, CONTRACT)
    conform(combat.summarise(table, ask), schema)
    assert {n for n, f in schema.items() if f.alone == "never"} == {"cc", "cy", "cy_high"}
    answer = run(combat, [table], alone=True)
    assert "a site alone" in answer.values["note"]


def test_refuses_what_cannot_be_meant() -> None:
    with pytest.raises(ValidationError, match="in two roles"):
        Combat(of=("f0", "age"), covariates=("age",))
    with pytest.raises(ValidationError, match="a site alone"):
        Combat(of=FEATURES, over=("each",))
    with pytest.raises(ValidationError, match="at least 2"):
        Combat(of=FEATURES, folds=1)


def test_names_its_columns() -> None:
    made = Combat(of=("f0", "f1"), folds=2).produces()
    assert list(made) == ["f0", "f1", "fold0.f0", "fold0.f1", "fold1.f0", "fold1.f1"]


def test_features_of_any_scale() -> None:
    tables = sites()
    for table in tables:
        table.columns["f0"] *= 1e16
        table.columns["f1"] *= 1e-9
    combat = Combat(of=FEATURES, covariates=("age",))
    try:
        found = harmonised(tables, combat, run(combat, tables))
    except Refused as refused:
        pytest.fail(str(refused))
    np.testing.assert_allclose(found, dense(tables, combat), rtol=1e-9)


@pytest.mark.realdata
@pytest.mark.parametrize(
    ("file", "tolerance"),
    [
        ("parametric_adjusted_python", 1e-13),
        ("parametric_adjusted_r", 1e-13),
        ("parametric_unadjusted_python", 1e-13),
        ("parametric_adjusted_noeb_python", 1e-13),
        ("parametric_adjusted_meanonly_python", 1e-13),
        ("nonparametric_adjusted_python", 1e-13),
        ("parametric_adjusted_matlab", 3e-4),  # stops its iteration elsewhere
    ],
)
def test_equals_the_published_programs(shared_data: Path, file: str, tolerance: float) -> None:
    folder = shared_data / "reference" / "combat"
    design = json.loads((folder / "design.json").read_text("utf-8"))
    batch, sex = np.array(design["batch"]), np.array(design["gender"])
    x = read(folder / "testdata.csv")
    names = tuple(f"f{i}" for i in range(len(x)))
    contract = {**dict.fromkeys(names, Column(type="number")), "sex": CONTRACT["age"]}
    tables = [
        Table(
            {**{n: x[i, batch == s] for i, n in enumerate(names)}, "sex": sex[batch == s]},
            contract,
            np.array([f"{s}-{i}" for i in range((batch == s).sum())]),
        )
        for s in (1, 2)
    ]
    kinds = {"noeb": "none", "meanonly": "mean_only", "nonparametric": "nonparametric"}
    shrink = next((kinds[k] for k in kinds if k in file), "parametric")
    kept = () if "unadjusted" in file else ("sex",)
    combat = Combat(of=names, covariates=kept, shrink=shrink, fewest=3)
    found = harmonised(tables, combat, run(combat, tables))
    expected = read(folder / "expected" / f"{file}.csv").T
    assert abs(found - expected).max() < tolerance


def read(path: Path) -> np.ndarray:
    lines = path.read_text("utf-8").split()
    return np.array([[float(v) for v in x.split(",")] for x in lines if "V1" not in x])
