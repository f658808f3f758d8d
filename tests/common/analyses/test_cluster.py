"""Clusters over sites: scikit-learn's k-means, indices and Ward on the pooled rows."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from common.analyses.cluster import Cluster
from common.analyses.partition import adjusted_rand, ward
from common.analyses.runner import run
from common.cohort import Column
from common.table import Floats, Table
from tests.common.analyses.classified import (
    OF,
    classified,
    only_masked,
    rounds_of,
    rows_of,
)
from tests.common.analyses.readings import check_laws
from tests.common.analyses.tables import pooled, split_unevenly

CLUSTER = Cluster(of=OF, k=(2, 3), against="response")


def groups(n: int, *, seed: int, apart: float = 3.0) -> Table:
    """Return cases of two groups, a third of them in the second one."""
    rng = np.random.default_rng(seed)
    group = (rng.random(n) < 1 / 3).astype(np.float64)
    names = [f"f{j}" for j in range(5)]
    columns = {name: rng.normal(apart * group / np.sqrt(5), 1) for name in names}
    contract = {name: Column(type="number") for name in names}
    contract["group"] = Column(type="category", levels=("a", "b"))
    patients = np.array([f"p{i}" for i in range(n)])
    return Table({**columns, "group": group}, contract, patients)


GROUPS = Cluster(of=("f0", "f1", "f2", "f3", "f4"), against="group")


def scaled(table: Table, of: tuple[str, ...]) -> Floats:
    x = table.matrix(of)
    sd = np.where(np.ptp(x, axis=0) > 0, x.std(axis=0), 1.0)
    return (x - x.mean(axis=0)) / sd


def test_federated_is_pooled() -> None:
    table = classified(260, seed=1)
    check_laws(CLUSTER, table, (2, 5, 17))
    tables = split_unevenly(table, 5)
    answer, whole = run(CLUSTER, tables), run(CLUSTER, [table])
    apart = [CLUSTER.columns_from(t, answer) for t in tables]
    one = CLUSTER.columns_from(pooled(tables), whole)
    for name, labels in one.items():
        np.testing.assert_array_equal(np.concatenate([a[name] for a in apart]), labels)
        gaps = np.isnan(pooled(tables).matrix(OF)).any(axis=1)
        np.testing.assert_array_equal(np.isnan(labels), gaps)


@pytest.mark.parametrize("k", [2, 3])
def test_k_means_of_scikit_learn_does_not_move_the_centres(k: int) -> None:
    from sklearn.cluster import KMeans

    table = classified(300, seed=2)
    answer = run(CLUSTER, split_unevenly(table, 4))
    rows, _, _ = rows_of(table)
    z, about = scaled(rows, OF), answer.values["k"][str(k)]
    start = answer.arrays["centres"][CLUSTER.k.index(k)][:k]
    model = KMeans(k, init=start, n_init=1, tol=0).fit(z)
    np.testing.assert_allclose(model.cluster_centers_, start, atol=1e-10)
    labels = CLUSTER.columns_from(rows, answer)[f"cluster_{k}"]
    np.testing.assert_array_equal(labels, model.labels_)
    assert about["inertia"] == pytest.approx(model.inertia_, rel=1e-10)
    assert list(about["sizes"].values()) == np.bincount(model.labels_).tolist()
    first = rows.columns["volume"][labels == 0].mean()
    assert about["means"]["1"]["volume"] == pytest.approx(first, rel=1e-10)


def test_start_is_the_principal_component_so_two_groups_are_found() -> None:
    from sklearn.cluster import KMeans
    from sklearn.metrics import adjusted_rand_score

    table = groups(300, seed=3)
    made = GROUPS.columns_from(table, run(GROUPS, split_unevenly(table, 4)))["cluster"]
    z = scaled(table, GROUPS.of)
    first = np.linalg.svd(z, full_matrices=False)[2][0]
    start = np.array([z.mean(0) - first, z.mean(0) + first])
    labels = KMeans(2, init=start, n_init=1).fit(z).labels_
    assert adjusted_rand_score(made, labels) == pytest.approx(1)


def test_separation_is_that_of_scikit_learn() -> None:
    from sklearn.metrics import calinski_harabasz_score, davies_bouldin_score

    table = groups(300, seed=4)
    answer = run(GROUPS, split_unevenly(table, 4))
    z, about = scaled(table, GROUPS.of), answer.values["k"]["2"]
    labels = GROUPS.columns_from(table, answer)["cluster"].astype(int)
    near = {"rel": 1e-10}
    assert about["calinski_harabasz"] == pytest.approx(calinski_harabasz_score(z, labels), **near)
    assert about["davies_bouldin"] == pytest.approx(davies_bouldin_score(z, labels), **near)
    assert about["explained"] == pytest.approx(1 - about["inertia"] / (z**2).sum(), **near)
    means = np.array([z[labels == c].mean(0) for c in (0, 1)])
    d = np.sort(np.linalg.norm(z[:, None] - means, axis=2), axis=1)
    assert about["silhouette"] == pytest.approx(np.mean(1 - d[:, 0] / d[:, 1]), **near)


def test_clusters_are_compared_with_a_column() -> None:
    from scipy.stats import chi2_contingency, fisher_exact
    from sklearn.metrics import adjusted_rand_score

    table = groups(300, seed=5)
    answer = run(GROUPS, split_unevenly(table, 4))
    against = answer.values["k"]["2"]["against"]
    labels = GROUPS.columns_from(table, answer)["cluster"]
    group = table.columns["group"]
    counts = np.array([[np.sum((labels == i) & (group == j)) for j in (0, 1)] for i in (0, 1)])
    near = {"rel": 1e-10}
    assert against["adjusted_rand"] == pytest.approx(adjusted_rand_score(labels, group), **near)
    expected = chi2_contingency(counts, correction=False)
    assert against["chi_square"]["p"] == pytest.approx(expected.pvalue, **near)
    assert against["fisher"]["p"] == pytest.approx(fisher_exact(counts).pvalue, **near)


def test_ward_on_micro_clusters_agrees_where_groups_are_apart() -> None:
    from sklearn.cluster import AgglomerativeClustering
    from sklearn.metrics import adjusted_rand_score

    table = groups(400, seed=6, apart=6.0)
    answer = run(GROUPS, split_unevenly(table, 4))
    found = answer.values["k"]["2"]["ward"]
    labels = GROUPS.columns_from(table, answer)["cluster"]
    rows = AgglomerativeClustering(2).fit(scaled(table, GROUPS.of)).labels_
    assert found["micro_clusters"] > 5
    assert found["adjusted_rand"] == pytest.approx(adjusted_rand_score(labels, rows), abs=0.15)
    assert found["adjusted_rand"] > 0.8


def test_ward_of_weighted_points_is_that_of_repeated_ones() -> None:
    from scipy.cluster.hierarchy import fcluster, linkage
    from sklearn.metrics import adjusted_rand_score

    rng = np.random.default_rng(7)
    centres, n = rng.normal(size=(12, 3)), rng.integers(1, 9, 12)
    tree = linkage(np.repeat(centres, n, axis=0), "ward")
    for k in (2, 3, 5):
        expected = fcluster(tree, k, "maxclust")
        mine = np.repeat(ward(centres, n, k), n)
        assert adjusted_rand_score(expected, mine) == pytest.approx(1)


def test_adjusted_rand_of_one_group_or_nobody() -> None:
    assert adjusted_rand(np.array([[7], [0]])) == 1
    assert adjusted_rand(np.array([[1, 0]])) is None


def test_rounds() -> None:
    table = groups(300, seed=8)
    cost = rounds_of(GROUPS, table)
    assert cost.rounds <= 5 + 25
    several = GROUPS.model_copy(update={"k": (2, 3, 4)})
    assert rounds_of(several, table).rounds <= 5 + 50


def test_small_clusters_are_dissolved() -> None:
    table = groups(120, seed=9)
    for name in GROUPS.of:
        table.columns[name][:3] = 40.0
    about = run(GROUPS.model_copy(update={"k": (2, 4)}), split_unevenly(table, 3)).values["k"]
    for k in ("2", "4"):
        assert min(about[k]["sizes"].values()) >= 5
    assert about["2"]["clusters"] == 1
    assert about["2"]["silhouette"] is None


def test_a_site_alone_lets_no_sum_of_a_round_out() -> None:
    never = only_masked(CLUSTER, classified(200, seed=10))
    assert {"sketch", "cluster", "off", "inertia", "distance", "micro"} <= never


def test_says_why_there_are_no_clusters() -> None:
    table = groups(60, seed=11)
    few = table.rows(np.arange(60) < 8)
    assert run(GROUPS, [few]).values["note"] == "fewer than ten complete cases"
    constant = replace(table, columns={name: np.full(60, 2.5) for name in table.columns})
    answer = run(Cluster(of=GROUPS.of), [constant])
    assert answer.values["note"] == "all columns are constant"
    assert np.isnan(Cluster(of=GROUPS.of).columns_from(constant, answer)["cluster"]).all()


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"of": ("a", "a")}, "distinct values"),
        ({"of": ("a",), "k": (2, 2)}, "distinct values"),
        ({"of": ("a",), "micro": 2}, "more than k"),
        ({"of": ("a",), "against": "a"}, "among the columns"),
        ({"of": ("a",), "k": (1,)}, "greater than or equal to 2"),
    ],
)
def test_impossible_settings_are_refused(setting: Any, message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        Cluster(**setting)


def test_seed_and_micro_touch_only_the_sensitivity_analysis() -> None:
    table = groups(300, seed=12, apart=1.0)
    first, other = (run(GROUPS.model_copy(update={"seed": s}), [table]).values for s in (0, 1))
    assert first["k"]["2"]["sizes"] == other["k"]["2"]["sizes"]
    assert first["k"]["2"]["ward"] != other["k"]["2"]["ward"]
    assert "ward" not in run(GROUPS.model_copy(update={"micro": 0}), [table]).values["k"]["2"]
