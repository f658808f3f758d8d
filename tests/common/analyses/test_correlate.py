"""Correlations over sites: equal to the pooled ones, and to scipy."""

import numpy as np
import pytest
from scipy import stats
from scipy.cluster.hierarchy import fcluster, linkage
from scipy.spatial.distance import squareform

from common.analyses.correlate import Correlate
from common.analyses.runner import Cost, run
from common.cohort import Column
from common.errors import Refused
from common.table import Table
from tests.common.analyses.readings import check_laws, readings, with_columns
from tests.common.analyses.tables import split_unevenly

OF = ("age", "marker", "raw", "dice_a", "dice_b", "huge", "tiny", "near")


def complete(table: Table, of: tuple[str, ...] = OF) -> np.ndarray:
    x = table.matrix(of)
    return x[~np.isnan(x).any(axis=1)]


def radiomics(n: int, p: int, seed: int = 0) -> Table:
    """Return heavy-tailed features in blocks that say nearly the same."""
    rng = np.random.default_rng(seed)
    truth = rng.normal(size=(n, p // 4 + 1))
    features = {
        f"f{i}": np.exp(truth[:, i // 4] + rng.normal(0, 0.15 * (i % 4), n)) for i in range(p)
    }
    contract = dict.fromkeys(features, Column(type="number"))
    return with_columns(readings(n, seed=seed), contract, **features)


@pytest.mark.parametrize("method", ["pearson", "spearman"])
@pytest.mark.parametrize("exact_ranks", [False, True])
def test_answer_does_not_depend_on_the_split(method: str, exact_ranks: bool) -> None:
    analysis = Correlate(
        of=(*OF, "constant"),
        method=method,
        exact_ranks=exact_ranks,
        at_most=0.5,
        cluster_at=0.3,
    )
    table = readings(300, seed=3)
    check_laws(analysis, table, (2, 5, 17))


@pytest.mark.parametrize("alone", [False, True])
def test_pearson_is_that_of_numpy_and_scipy(alone: bool) -> None:
    table = readings(300, seed=1, smallest_cell=5 if alone else 0)
    tables = [table] if alone else split_unevenly(table, 5)
    answer = run(Correlate(of=OF, method="pearson", level=0.9), tables, alone=alone)
    x = complete(table)
    np.testing.assert_allclose(answer.arrays["r"], np.corrcoef(x.T), atol=1e-9)
    rows, columns = np.triu_indices(len(OF), 1)
    for found, i, j in zip(answer.values["pairs"], rows, columns, strict=True):
        expected = stats.pearsonr(x[:, i], x[:, j])
        low, high = expected.confidence_interval(0.9)
        assert (found["a"], found["b"]) == (OF[i], OF[j])
        assert found["p"] == pytest.approx(expected.pvalue, rel=1e-7)
        assert (found["ci_low"], found["ci_high"]) == pytest.approx((low, high), abs=1e-9)
    assert answer.values["n"] == len(x) == 300 - answer.values["missing"]


@pytest.mark.parametrize("alone", [False, True])
def test_exact_spearman_is_that_of_scipy(alone: bool) -> None:
    table = readings(300, seed=2, smallest_cell=5 if alone else 0)
    tables = [table] if alone else split_unevenly(table, 5)
    answer = run(Correlate(of=OF, exact_ranks=True), tables, alone=alone)
    expected = stats.spearmanr(complete(table))
    np.testing.assert_allclose(answer.arrays["r"], expected.statistic, atol=1e-14)
    assert answer.values["mode"] == "exact"
    rows, columns = np.triu_indices(len(OF), 1)
    p = [found["p"] for found in answer.values["pairs"]]
    assert p == pytest.approx(list(expected.pvalue[rows, columns]), rel=1e-9)


@pytest.mark.parametrize("seed", range(4))
def test_binned_spearman_lies_within_its_bound(seed: int) -> None:
    table = radiomics(328, 60, seed)
    analysis = Correlate(of=tuple(f"f{i}" for i in range(60)))
    answer = run(analysis, split_unevenly(table, 4))
    expected = stats.spearmanr(table.matrix(analysis.of)).statistic
    error = np.abs(answer.arrays["r"] - expected).max()
    assert answer.values["mode"] == "binned"
    assert 0 < error < 0.006
    assert error <= answer.values["bound"] < 0.05


@pytest.mark.parametrize("keep", ["first", "least_correlated"])
def test_no_two_kept_features_correlate_above_the_limit(keep: str) -> None:
    table = radiomics(200, 40)
    of = tuple(f"f{i}" for i in range(40))
    analysis = Correlate(of=of, exact_ranks=True, at_most=0.9, keep=keep)
    answer = run(analysis, split_unevenly(table, 3)).values
    rho = np.abs(stats.spearmanr(table.matrix(of)).statistic)
    place = {name: i for i, name in enumerate(of)}
    kept = [place[name] for name in answer["kept"]]
    assert rho[np.ix_(kept, kept)][np.triu_indices(len(kept), 1)].max() <= 0.9
    assert kept == sorted(kept)
    assert len(kept) + len(answer["dropped"]) == 40
    for name, reason in answer["dropped"].items():
        assert rho[place[name], place[reason]] > 0.9
        assert keep != "first" or place[reason] < place[name]
    assert answer["n_undecided"] == 0


def test_filter_of_binned_ranks_names_what_it_cannot_decide() -> None:
    table = radiomics(200, 60, seed=3)
    of = tuple(f"f{i}" for i in range(60))
    answer = run(Correlate(of=of, at_most=0.9), split_unevenly(table, 3)).values
    exact = run(Correlate(of=of, at_most=0.9, exact_ranks=True), [table])
    binned = np.abs(run(Correlate(of=of), [table]).arrays["r"]) > 0.9
    wrong = np.argwhere(np.triu(binned != (np.abs(exact.arrays["r"]) > 0.9), 1))
    undecided = {tuple(pair) for pair in answer["undecided"]}
    assert {(of[i], of[j]) for i, j in wrong} <= undecided
    assert 0 < answer["n_undecided"] < 200


def test_clusters_are_those_of_scipy() -> None:
    table = radiomics(200, 40)
    of = tuple(f"f{i}" for i in range(40))
    analysis = Correlate(of=of, exact_ranks=True, cluster_at=0.8)
    found = run(analysis, split_unevenly(table, 3)).values["clusters"]
    distance = 1 - np.abs(stats.spearmanr(table.matrix(of)).statistic)
    np.fill_diagonal(distance, 0)
    tree = linkage(squareform(distance, checks=False), "average")
    labels = fcluster(tree, 0.2, "distance")
    expected = {frozenset(np.array(of)[labels == k]) for k in set(labels)}
    assert {frozenset(cluster) for cluster in found} == expected
    assert 1 < len(found) < 40


def test_ward_of_correlations_is_ward_of_the_cases() -> None:
    table = radiomics(200, 40)
    of = tuple(f"f{i}" for i in range(40))
    analysis = Correlate(of=of, method="pearson", ward_into=7)
    found = run(analysis, split_unevenly(table, 3)).values["ward"]
    labels = fcluster(linkage(stats.zscore(table.matrix(of)).T, "ward"), 7, "maxclust")
    expected = {frozenset(np.array(of)[labels == k]) for k in set(labels)}
    assert {frozenset(group) for group in found} == expected
    assert len(found) == 7


@pytest.mark.parametrize(
    ("method", "of", "rounds"),
    [("pearson", OF, 2), ("spearman", ("age", "died"), 2), ("spearman", OF, 6)],
)
def test_rounds(method: str, of: tuple[str, ...], rounds: int) -> None:
    cost = Cost()
    tables = split_unevenly(readings(300, seed=5), 4)
    run(Correlate(of=of, method=method), tables, cost=cost)
    assert cost.rounds == rounds


def test_thousand_features_fit_the_wire() -> None:
    cost, table = Cost(), radiomics(150, 600)
    of = tuple(f"f{i}" for i in range(600))
    analysis = Correlate(of=("f*",), at_most=0.9).expand(tuple(table.contract))
    assert set(analysis.of) == set(of)
    answer = run(analysis, split_unevenly(table, 3), cost=cost)
    assert cost.rounds <= 4
    assert cost.bytes_up < 8e6
    assert "pairs" not in answer.values


@pytest.mark.parametrize("method", ["pearson", "spearman"])
def test_constant_column_has_no_correlation_and_is_not_kept(method: str) -> None:
    analysis = Correlate(
        of=("constant", "raw", "marker"), method=method, at_most=0.9, cluster_at=0.5
    )
    for tables, alone in (
        (split_unevenly(readings(90, seed=6), 3), False),
        ([readings(90, seed=6, smallest_cell=5)], True),
    ):
        answer = run(analysis, tables, alone=alone).values
        assert answer["constant"] == ["constant"]
        assert answer["kept"] == ["raw", "marker"]
        assert answer["pairs"][0]["estimate"] is None


@pytest.mark.parametrize("method", ["pearson", "spearman"])
@pytest.mark.parametrize("n", [0, 1, 3])
def test_too_few_cases_give_no_p(method: str, n: int) -> None:
    table = readings(50, seed=7).rows(np.arange(50) < n)
    analysis = Correlate(of=("raw", "marker"), method=method)
    answer = run(analysis, [table])
    assert not any(pair["p"] for pair in answer.values["pairs"])
    assert np.isnan(answer.arrays["r"]).all()


@pytest.mark.parametrize("method", ["pearson", "spearman"])
def test_products_of_one_site_never_leave_in_clear(method: str) -> None:
    analysis, table = Correlate(of=OF, method=method), readings(100, seed=8)
    solving = analysis.solve(table.contract)
    ask = next(solving)
    while ask.phase != "products":
        ask = solving.send(analysis.summarise(table, ask))
    assert analysis.schema(ask, table.contract)["products"].alone == "never"
    ask = next(analysis.solve(table.contract, alone=True))
    schema = analysis.schema(ask, table.contract)
    assert all(field.alone != "never" for field in schema.values())


def test_site_alone_refuses_more_columns_than_a_third_of_its_cases() -> None:
    table = readings(20, seed=9, smallest_cell=5)
    with pytest.raises(Refused, match="cohort_too_small"):
        run(Correlate(of=OF), [table], alone=True)
