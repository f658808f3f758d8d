"""Cases of descriptions, tests, agreement and harmonisation."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from scipy import stats
from sklearn.metrics import cohen_kappa_score
from statsmodels.stats.contingency_tables import Table2x2, mcnemar
from statsmodels.stats.inter_rater import cohens_kappa

from common.analyses.agreement_of_categories import AgreementOfCategories
from common.analyses.analysis import Analysis, Answer, Solve
from common.analyses.combat import Combat
from common.analyses.compare_groups import CompareGroups
from common.analyses.compare_paired import ComparePaired
from common.analyses.correlate import Correlate
from common.analyses.cross_tabulate import CrossTabulate
from common.analyses.describe import Describe
from common.analyses.histogram import Histogram
from common.analyses.icc import Icc
from common.analyses.missingness import Missingness
from common.analyses.moments import Moments
from common.analyses.site_shapes import distances
from common.analyses.standardise import Standardise
from common.table import Table
from scripts.parity_case import Case, Pairs
from tests.common.analyses import (
    test_agreement_of_categories,
    test_combat,
    test_compare_groups,
    test_compare_paired,
    test_correlate,
    test_cross_tabulate,
    test_derive,
    test_icc,
    test_missingness,
)
from tests.common.analyses.readings import STAGES, groups_of, readings
from tests.common.analyses.tables import pooled, split_unevenly

OF = ("age", "marker", "raw", "huge", "tiny", "near", "constant")
VARYING = OF[:-1]
DESCRIBED = tuple(name for name in OF if name != "huge")  # a sum of it is out of bound
LEVELS = ("f", "m")


def cases() -> Iterator[Case]:
    """Yield the cases."""
    table = readings(400, seed=4)
    yield _case("describe", Describe(of=DESCRIBED), table, "numpy", lambda a: _described(a, table))
    step = Describe(of=DESCRIBED, by="stage")
    yield _case("describe by groups", step, table, "numpy", lambda a: _by_stage(a, table))
    gappy = test_missingness.gappy(400, 2)
    step = Missingness(of=test_missingness.OF, by="sex")
    yield _case("missingness", step, gappy, "numpy", lambda a: _missing(a, gappy))
    yield _case("moments", Moments(of=OF), table, "scipy", lambda a: _moments(a, table))
    step = Histogram(of=("marker",), by="sex", bins=30)
    yield _case("histogram", step, table, "numpy", lambda a: _bars(a, table))
    yield from _comparisons(table)
    yield _cross(table)
    yield _agreement(table)
    yield _paired()
    yield _icc()
    yield from _correlations(table)
    yield _standardised(table)
    yield _combat()
    yield _derived(table)
    yield _site_distances(table)


def with_nobody(tables: list[Table]) -> list[Table]:
    """Return the sites, and one without any case."""
    return [*tables, tables[0].rows(np.zeros(tables[0].n, bool))]


def _case(name: str, step: Analysis, table: Table, reference: str, pairs: object) -> Case:
    tables = with_nobody(split_unevenly(table, 5))
    return Case(name, step, tables, reference, pairs, (step, table))  # type: ignore[arg-type]


def _values(table: Table, name: str) -> np.ndarray:
    x = table.columns[name]
    return x[~np.isnan(x)]


def _near_zero(name: str, x: np.ndarray) -> np.ndarray:
    """Return values for a reference; of `near` without its 1e6, a difference that is exact.

    Means of numbers near 1e6, which differ by 1, lose six digits in the references.
    """
    return x - 1e6 if name == "near" else x


def _described(answer: Answer, table: Table) -> Pairs:
    yield from _columns(answer.values["columns"], table)


def _by_stage(answer: Answer, table: Table) -> Pairs:
    for code, level in enumerate(STAGES):
        group = answer.values["groups"][level]  # type: ignore[index,call-overload]
        yield from _columns(group["columns"], table.rows(table.columns["stage"] == code))


def _columns(columns: Any, table: Table) -> Pairs:
    for name in DESCRIBED:
        found, x = columns[name], _values(table, name)
        if found["n"] is not None:
            yield found["n"], x.size
        yield found["mean"], x.mean()
        sd = 0.0 if name == "constant" else _near_zero(name, x).std(ddof=1)
        yield found["sd"], sd  # numpy's own of equal numbers is 1e-16
        for q in found["quantiles"]:
            true = np.quantile(x, q["at"], method="inverted_cdf")
            yield float(q["low"] < true <= q["high"]), 1.0


def _missing(answer: Answer, table: Table) -> Pairs:
    for name in test_missingness.OF:
        for code, level in enumerate(LEVELS):
            x = table.columns[name][table.columns["sex"] == code]
            found = answer.values["columns"][name][level]  # type: ignore[index,call-overload]
            if found["n"] is not None:
                yield (found["n"], found["missing"]), (x.size, np.isnan(x).sum())


def _moments(answer: Answer, table: Table) -> Pairs:
    for name in VARYING:
        found, x = answer.values["columns"][name], _values(table, name)  # type: ignore[index,call-overload]
        yield found["mean"], x.mean()
        x = _near_zero(name, x)
        yield found["skewness"], stats.skew(x)
        yield found["excess_kurtosis"], stats.kurtosis(x)
        test = stats.normaltest(x)
        yield (found["k_squared"], found["p"]), (test.statistic, test.pvalue)


def _bars(answer: Answer, table: Table) -> Pairs:
    found = answer.values["columns"]["marker"]  # type: ignore[index,call-overload]
    for code, level in enumerate(LEVELS):
        x = table.columns["marker"][table.columns["sex"] == code]
        yield found["counts"][level], np.histogram(x[~np.isnan(x)], found["edges"])[0]


def _comparisons(table: Table) -> Iterator[Case]:
    for test in (*test_compare_groups.TWO, *test_compare_groups.MANY):
        by, k = test_compare_groups.grouping(test)
        step = CompareGroups(of=OF, by=by, test=test, exact_ranks=True)

        def pairs(answer: Answer, test: str = test, by: str = by, k: int = k) -> Pairs:
            for name in VARYING:
                found = answer.values["columns"][name]  # type: ignore[index,call-overload]
                parts = [_near_zero(name, x) for x in groups_of(table, name, by, k)]
                yield (found["statistic"], found["p"]), test_compare_groups.scipys(test, parts)

        yield _case(f"compare_groups {test}", step, table, "scipy", pairs)


def _cross(table: Table) -> Case:
    def pairs(answer: Answer) -> Pairs:
        for name in ("sex", "stage"):
            counts = test_cross_tabulate.crossed(table, name, "died")
            found = answer.values["columns"][name]  # type: ignore[index,call-overload]
            expected = stats.chi2_contingency(counts, correction=False)
            yield (found["statistic"], found["p"]), (expected.statistic, expected.pvalue)
            yield found["cramers_v"], stats.contingency.association(counts, method="cramer")
        ratio = answer.values["columns"]["sex"]["odds_ratio"]  # type: ignore[index,call-overload]
        theirs = Table2x2(test_cross_tabulate.crossed(table, "sex", "died").astype(float))
        yield ratio["estimate"], theirs.oddsratio
        yield (ratio["ci_low"], ratio["ci_high"]), theirs.oddsratio_confint()

    step = CrossTabulate(of=("sex", "stage"), by="died")
    return _case("cross_tabulate", step, table, "scipy, statsmodels", pairs)


def _agreement(table: Table) -> Case:
    both = test_agreement_of_categories.PAIRS

    def pairs(answer: Answer) -> Pairs:
        for pair, found in zip(both, answer.values["pairs"], strict=True):  # type: ignore[arg-type]
            codes = test_agreement_of_categories.both(table, pair)
            yield found["kappa"]["estimate"], cohen_kappa_score(*codes, weights="quadratic")
            counts = test_agreement_of_categories.crossed(table, pair)
            yield found["kappa"]["se"], cohens_kappa(counts, wt="quadratic").std_kappa
        yield found["symmetry"]["p"], mcnemar(counts, exact=True).pvalue

    step = AgreementOfCategories(pairs=both, weights="quadratic")
    return _case("agreement_of_categories", step, table, "scikit-learn, statsmodels", pairs)


def _paired() -> Case:
    table = test_compare_paired.study(400, 2)
    columns = test_compare_paired.PAIRS[:3]

    def pairs(answer: Answer) -> Pairs:
        for pair, found in zip(columns, answer.values["pairs"], strict=True):  # type: ignore[arg-type]
            a, b = test_compare_paired.both(table, pair)
            test = stats.ttest_rel(a, b)
            yield (
                (found["t_test"]["statistic"], found["t_test"]["p"]),
                (test.statistic, test.pvalue),
            )
        ranks = answer.values["pairs"][0]["wilcoxon"]  # type: ignore[index,call-overload]
        a, b = test_compare_paired.both(table, columns[0])
        yield (
            ranks["p"],
            stats.wilcoxon(np.rint((a - b) / ranks["resolution"]), method="asymptotic").pvalue,
        )

    return _case("compare_paired", ComparePaired(pairs=columns), table, "scipy", pairs)


def _icc() -> Case:
    table = test_icc.read_by(3, seed=3)
    features = tuple(name for name in test_icc.FEATURES if name != "near")

    def pairs(answer: Answer) -> Pairs:
        for name in features:
            expected = test_icc.pingouins(table, name, 3)
            for row, form in enumerate(test_icc.FORMS):
                found = answer.values["features"][f"{name}@0"][form]  # type: ignore[index,call-overload]
                yield found["estimate"], expected.iloc[row]["ICC"]
                yield (found["ci_low"], found["ci_high"]), expected.iloc[row]["CI95"]

    step = Icc(raters=test_icc.raters(3, *features, "constant"), forms=test_icc.FORMS)
    return _case("icc", step, table, "pingouin", pairs)


def _correlations(table: Table) -> Iterator[Case]:
    of = test_correlate.OF
    rows = test_correlate.complete(table)
    for method, expected in (
        ("spearman", stats.spearmanr(rows).statistic),
        ("pearson", np.corrcoef(rows.T)),
    ):
        step = Correlate(of=of, method=method, exact_ranks=method == "spearman")

        def pairs(answer: Answer, expected: np.ndarray = expected) -> Pairs:
            yield answer.arrays["r"], expected

        yield _case(f"correlate {method}", step, table, "scipy, numpy", pairs)


def _standardised(table: Table) -> Case:
    step = Standardise(of=OF)

    def pairs(answer: Answer) -> Pairs:
        made = step.columns_from(table, answer)
        for name in VARYING[:-1]:
            yield made[name], stats.zscore(table.columns[name], ddof=1, nan_policy="omit")

    return _case("standardise", step, table, "scipy", pairs)


def _combat() -> Case:
    tables = test_combat.sites(n_sites=5)
    step = Combat(of=test_combat.FEATURES, covariates=("age", "stage"), fewest=10)

    def pairs(answer: Answer) -> Pairs:
        yield test_combat.harmonised(tables, step, answer), _neuro_combat(tables, step)

    return Case("combat", step, tables, "neuroCombat", pairs, _by_batch(tables, step))


def _neuro_combat(tables: list[Table], step: Combat) -> np.ndarray:
    """Return what neuroCombat makes of the pooled rows."""
    import contextlib
    import io

    import pandas as pd
    from neuroCombat import neuroCombat

    rows = pooled(tables)
    about = {name: rows.columns[name] for name in step.covariates}
    about["site"] = np.repeat(np.arange(len(tables)), [t.n for t in tables])
    with contextlib.redirect_stdout(io.StringIO()):
        found = neuroCombat(
            dat=rows.matrix(step.of).T,
            covars=pd.DataFrame(about),
            batch_col="site",
            categorical_cols=["stage"],
            continuous_cols=["age"],
        )
    harmonised: np.ndarray = found["data"].T
    return harmonised


def _derived(table: Table) -> Case:
    step = test_derive.derived()

    def pairs(answer: Answer) -> Pairs:
        made, t = step.columns_from(table, answer), table.columns
        index = 10 * t["raw"] / t["age"] ** 2
        yield made["index"], np.where(np.abs(index) <= 1e4, index, np.nan)
        yield made["gap"], 5 + t["age"] - 2 * t["marker"]
        yield made["log2"], np.log2(t["marker"])

    return _case("derive", step, table, "numpy", pairs)


class _Distances:
    """`site_distances` without what is expected by chance, which noise makes another each time."""

    def __init__(self, counts: np.ndarray) -> None:
        self.counts = counts

    def solve(self, contract: object, *, alone: bool = False) -> Solve:
        """Compare the first two sites' histograms without asking anybody."""
        yield from ()
        return Answer({}, {"distances": distances(*self.counts)})


def _site_distances(table: Table) -> Case:
    bins = 10
    counts = np.random.default_rng(0).integers(0, 20, (2, 4, bins))
    at = np.arange(bins) * 5.0 / (bins - 2)  # 5 SD between the outer edges

    def pairs(answer: Answer) -> Pairs:
        for found, a, b in zip(answer.arrays["distances"], *counts, strict=True):
            yield float(found), stats.wasserstein_distance(at, at, a, b)

    step: Any = _Distances(counts)
    return _case("site_distances", step, table, "scipy", pairs)


def _by_batch(tables: list[Table], step: Combat) -> tuple[Combat, Table]:
    """Return the step for one site whose batches are the sites."""
    from dataclasses import replace

    from common.cohort import Column

    names = tuple(f"s{i}" for i in range(len(tables)))
    rows = pooled(tables)
    site = np.repeat(np.arange(len(tables)), [t.n for t in tables]).astype(float)
    contract = {**rows.contract, "site": Column(type="category", levels=names)}
    table = replace(rows, columns={**rows.columns, "site": site}, contract=contract)
    return step.model_copy(update={"batch": "site"}), table
