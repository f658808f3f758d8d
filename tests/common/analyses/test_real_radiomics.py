"""Comparisons on real radiomic features of 14 hospitals, against pooled programs.

358 FLAIR features of gliomas, sums from 0.2 to 3e14, strong site effects, missing values.
"""

import csv
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from common.analyses.combat import Combat
from common.analyses.compare_groups import CompareGroups
from common.analyses.correlate import Correlate
from common.analyses.moments import Moments
from common.analyses.runner import run
from common.cohort import Column
from common.table import Table
from tests.common.analyses.readings import groups_of
from tests.common.analyses.tables import pooled

pytestmark = pytest.mark.realdata


@pytest.fixture(scope="module")
def hospitals(shared_data: Path) -> list[Table]:
    path = shared_data / "tabular" / "glioma_radiomics" / "glioma_flair_radiomics.csv"
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    names = [name for name in rows[0] if name.startswith("flair_")]
    columns = {
        f"f{j}": np.array([float(row[name] or "nan") for row in rows])
        for j, name in enumerate(names)
    }
    columns["idh"] = np.array([float(row["idh_mutant"] or "nan") for row in rows])
    contract = dict.fromkeys(columns, Column(type="number"))
    contract["idh"] = Column(type="integer", range=(0, 1))
    table = Table(columns, contract, np.array([row["patient"] for row in rows]))
    centre = np.array([row["centre"] for row in rows])
    return [table.rows(centre == c) for c in sorted(set(centre))]


@pytest.fixture(scope="module")
def features(hospitals: list[Table]) -> tuple[str, ...]:
    """Return the features that every patient has."""
    table = pooled(hospitals)
    names = [name for name in table.columns if name != "idh"]
    return tuple(n for n in names if not np.isnan(table.columns[n]).any())


def test_correlations_are_those_of_scipy(hospitals: list[Table], features: tuple[str, ...]) -> None:
    x = pooled(hospitals).matrix(features)
    x = x[:, x.std(axis=0) > 0]
    expected = stats.spearmanr(x).statistic
    exact = run(Correlate(of=features, exact_ranks=True), hospitals).arrays["r"]
    varies = ~np.isnan(np.diag(exact))
    found = exact[np.ix_(varies, varies)]
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-13)
    answer = run(Correlate(of=features, at_most=0.95), hospitals)
    off = np.abs(np.nan_to_num(answer.arrays["r"] - exact)).max()
    assert off <= answer.values["bound"] < 0.1
    assert off < 0.01


@pytest.mark.parametrize("test", ["mann_whitney", "welch", "brown_forsythe"])
def test_group_tests_are_those_of_scipy(hospitals: list[Table], test: str) -> None:
    table = pooled(hospitals)
    of = tuple(name for name in table.columns if name != "idh")
    analysis = CompareGroups(of=of, by="idh", test=test, exact_ranks=True)
    answer = run(analysis, hospitals).values["columns"]
    for name in of:
        wild, mutant = groups_of(table, name, "idh", 2)
        if min(np.ptp(wild), np.ptp(mutant)) == 0:
            continue
        expected = {
            "mann_whitney": lambda m=mutant, w=wild: stats.mannwhitneyu(m, w, method="asymptotic"),
            "welch": lambda m=mutant, w=wild: stats.ttest_ind(m, w, equal_var=False),
            "brown_forsythe": lambda m=mutant, w=wild: stats.levene(m, w),
        }[test]()
        assert answer[name]["p"] == pytest.approx(expected.pvalue, rel=1e-8), name


def test_moments_are_those_of_scipy(hospitals: list[Table], features: tuple[str, ...]) -> None:
    table = pooled(hospitals)
    columns = run(Moments(of=features), hospitals).values["columns"]
    for name in features:
        x = table.columns[name]
        if columns[name]["sd"]:
            skew, kurtosis = columns[name]["skewness"], columns[name]["excess_kurtosis"]
            assert skew == pytest.approx(stats.skew(x), rel=1e-8, abs=1e-10)
            assert kurtosis == pytest.approx(stats.kurtosis(x), rel=1e-8, abs=1e-10)


def test_combat_takes_the_hospitals_out(hospitals: list[Table], features: tuple[str, ...]) -> None:
    combat = Combat(of=features, fewest=15)
    answer = run(combat, hospitals)
    taking_part = [t for t in hospitals if t.n >= 15]
    assert answer.values["n_batches"] == len(taking_part) >= 4
    made = [combat.columns_from(table, answer) for table in taking_part]

    def share_of_sites(parts: list[np.ndarray]) -> float:
        p = stats.kruskal(*parts).pvalue
        return float(p < 0.001)

    varies = [n for n in features if n not in answer.values["constant"]]
    before = [share_of_sites([t.columns[n] for t in taking_part]) for n in varies]
    after = [share_of_sites([columns[n] for columns in made]) for n in varies]
    assert np.mean(before) > 0.5
    assert np.mean(after) < 0.05
