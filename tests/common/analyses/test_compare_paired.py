"""Paired comparisons over sites: equal to the pooled ones, and to scipy."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from common.analyses.analysis import Ask
from common.analyses.compare_paired import ComparePaired
from common.analyses.runner import Cost, run
from common.cohort import Column
from common.table import Table
from tests.common.analyses.readings import check_laws, readings, with_columns
from tests.common.analyses.tables import split_unevenly

DICE = (("dice_a", "dice_b"),)
PAIRS = (*DICE, ("age", "marker"), ("raw", "huge"), ("near", "nearer"))


def study(n: int, seed: int, smallest_cell: int = 0) -> Table:
    table = readings(n, seed=seed, smallest_cell=smallest_cell)
    rng = np.random.default_rng(seed)
    nearer = table.columns["near"] + rng.normal(0.2, 0.5, n)
    return with_columns(table, {"nearer": Column(type="number")}, nearer=nearer)


def both(table: Table, pair: tuple[str, str]) -> np.ndarray:
    x = table.matrix(pair)
    return x[~np.isnan(x).any(axis=1)].T


def test_answer_does_not_depend_on_the_split() -> None:
    pairs = (*PAIRS, ("dice_a", "dice_a"), ("constant", "raw"))
    check_laws(ComparePaired(pairs=pairs, correction="holm"), study(300, 1), (2, 5, 17))


def test_t_test_is_that_of_scipy() -> None:
    table = study(300, 2)
    answer = run(ComparePaired(pairs=PAIRS, level=0.9), split_unevenly(table, 5))
    for pair, found in zip(PAIRS, answer.values["pairs"], strict=True):
        expected = stats.ttest_rel(*both(table, pair))
        low, high = expected.confidence_interval(0.9)
        rel = 1e-8 if pair[0] == "near" else 1e-12
        test = found["t_test"]
        assert test["statistic"] == pytest.approx(expected.statistic, rel=rel)
        assert test["p"] == pytest.approx(expected.pvalue, rel=rel)
        assert (test["ci_low"], test["ci_high"]) == pytest.approx((low, high), rel=rel)
        assert found["n"] == both(table, pair).shape[1] == table.n - found["missing"]


@pytest.mark.parametrize("resolution", [None, 0.01])
@pytest.mark.parametrize("alone", [False, True])
def test_signed_rank_is_that_of_scipy(resolution: float, alone: bool) -> None:
    table = study(200, 3, smallest_cell=5 if alone else 0)
    analysis = ComparePaired(pairs=DICE, resolution=resolution)
    tables = [table] if alone else split_unevenly(table, 5)
    found = run(analysis, tables, alone=alone).values["pairs"][0]["wilcoxon"]
    a, b = both(table, DICE[0])
    d = np.rint((a - b) / found["resolution"])
    assert found["resolution"] == (resolution or 2e-5)
    expected = stats.wilcoxon(d, method="asymptotic", alternative="greater")
    assert found["rank_sum"] == expected.statistic
    two_sided = stats.wilcoxon(d, method="asymptotic")
    assert found["p"] == pytest.approx(two_sided.pvalue, rel=1e-12)
    assert found["statistic"] == pytest.approx(expected.zstatistic, rel=1e-12)
    assert found["n"] == (d != 0).sum()


def test_limits_of_agreement_are_mean_and_1_96_sd() -> None:
    table = study(150, 4)
    found = run(ComparePaired(pairs=DICE), split_unevenly(table, 3)).values["pairs"][0]
    a, b = both(table, DICE[0])
    d, limits = a - b, found["limits_of_agreement"]
    z = stats.norm.ppf(0.975)
    assert limits["bias"] == pytest.approx(d.mean(), rel=1e-11)
    assert limits["lower"]["estimate"] == pytest.approx(d.mean() - z * d.std(ddof=1))
    assert limits["upper"]["estimate"] == pytest.approx(d.mean() + z * d.std(ddof=1))
    # Width by simulation-free reasoning: var(mean) + z^2 var(sd), normal theory.
    se = d.std(ddof=1) * np.sqrt(1 / len(d) + z**2 / 2 / (len(d) - 1))
    width = 2 * stats.t.ppf(0.975, len(d) - 1) * se
    upper = limits["upper"]
    assert upper["ci_high"] - upper["ci_low"] == pytest.approx(width, rel=1e-10)


def test_concordance_is_lins_and_its_interval_that_of_a_bootstrap() -> None:
    table = study(400, 5)
    found = run(ComparePaired(pairs=DICE), split_unevenly(table, 4)).values["pairs"][0]
    a, b = both(table, DICE[0])

    def lin(a: np.ndarray, b: np.ndarray) -> float:
        return 2 * np.cov(a, b, ddof=0)[0, 1] / (a.var() + b.var() + (a.mean() - b.mean()) ** 2)

    ccc = found["concordance"]
    assert ccc["estimate"] == pytest.approx(lin(a, b), rel=1e-11)
    assert ccc["pearson"] == pytest.approx(stats.pearsonr(a, b).statistic, rel=1e-11)
    rng = np.random.default_rng(0)
    draws = [lin(a[i], b[i]) for i in rng.integers(0, len(a), (1500, len(a)))]
    low, high = np.quantile(draws, [0.025, 0.975])
    width = high - low
    assert ccc["ci_low"] == pytest.approx(low, abs=0.35 * width)
    assert ccc["ci_high"] == pytest.approx(high, abs=0.35 * width)


def test_mean_absolute_difference_and_root_mean_square() -> None:
    table = study(150, 6)
    found = run(ComparePaired(pairs=DICE), split_unevenly(table, 3)).values["pairs"][0]
    a, b = both(table, DICE[0])
    assert found["mean_absolute_difference"] == pytest.approx(np.abs(a - b).mean())
    assert found["root_mean_square"] == pytest.approx(np.sqrt(((a - b) ** 2).mean()))
    assert (found["mean_a"], found["mean_b"]) == pytest.approx((a.mean(), b.mean()))


def test_corrects_each_test_over_the_pairs() -> None:
    table = study(200, 7)
    answer = run(ComparePaired(pairs=PAIRS, correction="bonferroni"), [table]).values
    for found in answer["pairs"]:
        test = found["t_test"]
        assert test["p_adjusted"] == pytest.approx(min(1, len(PAIRS) * test["p"]))


def test_two_rounds() -> None:
    cost = Cost()
    run(ComparePaired(pairs=PAIRS), split_unevenly(study(200, 8), 5), cost=cost)
    assert cost.rounds == 2


def test_equal_columns_have_no_p_and_complete_concordance() -> None:
    analysis = ComparePaired(pairs=(("dice_a", "dice_a"),))
    (found,) = run(analysis, split_unevenly(study(100, 9), 3)).values["pairs"]
    assert found["t_test"]["p"] is None
    assert found["wilcoxon"]["p"] is None
    assert found["concordance"]["estimate"] == pytest.approx(1.0)


@pytest.mark.parametrize("n", [0, 1, 2])
def test_too_few_cases_give_none(n: int) -> None:
    table = study(50, 10)
    for name in DICE[0]:
        table.columns[name][n:] = np.nan
    (found,) = run(ComparePaired(pairs=DICE), [table]).values["pairs"]
    assert (found["n"], found["mean_a"]) == (None if n else 0, None)
    assert found["concordance"] is None
    assert found["limits_of_agreement"] is None


def test_site_alone_sends_no_count_on_a_fine_grid() -> None:
    table, analysis = study(100, 11, smallest_cell=5), ComparePaired(pairs=PAIRS)
    ask = _second(analysis, table, alone=True)
    schema = analysis.schema(ask, table.contract)
    assert all(field.alone != "never" for field in schema.values())
    ask = _second(analysis, table, alone=False)
    schema = analysis.schema(ask, table.contract)
    assert schema["above.0"].alone == "never"


@pytest.mark.parametrize("widest", [0.5, 5.0, 50.0])
def test_ranks_are_as_fine_as_the_differences_ask_for(widest: float) -> None:
    """Areas declared up to 5000 cm2, of which readers differ by a quarter of one."""
    table, rng = study(200, 3), np.random.default_rng(1)
    area = 100 * rng.uniform(0.2, 0.4, table.n)
    made = {"a": area, "b": area + rng.normal(0.1, 0.3, table.n)}
    wide = Column(type="number", range=(0, 100 * widest))
    table = replace(table, columns=made, contract={"a": wide, "b": wide})
    analysis = ComparePaired(pairs=(("a", "b"),))
    found = run(analysis, split_unevenly(table, 4)).values["pairs"][0]["wilcoxon"]  # type: ignore[index,call-overload]
    d = np.rint((made["a"] - made["b"]) / found["resolution"])
    assert found["resolution"] < np.abs(made["a"] - made["b"]).mean() / 20
    assert found["p"] == pytest.approx(stats.wilcoxon(d, method="asymptotic").pvalue, rel=1e-10)
    exact = stats.wilcoxon(made["a"] - made["b"], method="asymptotic").pvalue
    assert found["p"] == pytest.approx(exact, rel=0.05)


def test_a_resolution_coarser_than_the_differences_gives_no_p() -> None:
    table = study(200, 3)
    found = run(ComparePaired(pairs=DICE, resolution=0.5), [table]).values["pairs"][0]
    assert found["wilcoxon"]["p"] is None
    assert "declare a finer one" in found["wilcoxon"]["note"]
    assert found["t_test"]["p"] is not None


def _second(analysis: ComparePaired, table: Table, *, alone: bool) -> Ask:
    solving = analysis.solve(table.contract, alone=alone)
    return solving.send(analysis.summarise(table, next(solving)))


def test_refuses_a_resolution_too_fine_and_categories() -> None:
    table = study(50, 12)
    with pytest.raises(ValueError, match="steps"):
        run(ComparePaired(pairs=DICE, resolution=1e-8), [table])
    with pytest.raises(ValueError, match="got categories"):
        run(ComparePaired(pairs=(("sex", "age"),)), [table])
