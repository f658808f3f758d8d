"""A site alone: every comparison's sums pass the rules for a reply in clear."""

import numpy as np
import pytest

from client.disclosure import check_sums
from common.analyses.agreement_of_categories import AgreementOfCategories
from common.analyses.analysis import Analysis
from common.analyses.compare_groups import CompareGroups
from common.analyses.compare_paired import ComparePaired
from common.analyses.correlate import Correlate
from common.analyses.cross_tabulate import CrossTabulate
from common.analyses.histogram import Histogram
from common.analyses.icc import Icc
from common.analyses.missingness import Missingness
from common.analyses.moments import Moments
from common.analyses.standardise import Standardise
from common.errors import Refused
from common.sites import PolicySettings
from common.sums import conform
from common.table import Table
from tests.common.analyses.readings import readings

NUMBERS = ("age", "marker", "raw", "dice_a")
ANALYSES = [
    *(
        CompareGroups(of=NUMBERS, by="sex", test=test)
        for test in ("t", "anova", "levene", "brown_forsythe", "mann_whitney")
    ),
    ComparePaired(pairs=(("dice_a", "dice_b"), ("raw", "huge"))),
    Correlate(of=NUMBERS, method="pearson"),
    Correlate(of=NUMBERS, method="spearman"),
    CrossTabulate(of=("sex", "stage"), by="died"),
    AgreementOfCategories(pairs=(("stage", "stage_b"),)),
    Histogram(of=("age", "marker"), by="sex"),
    Icc(raters=(("dice_a",), ("dice_b",))),
    Missingness(of=("age", "huge"), by="stage"),
    Moments(of=NUMBERS),
    Standardise(of=NUMBERS, folds=3),
]


def check_alone(analysis: Analysis, table: Table) -> None:
    policy = PolicySettings(per_site=True, smallest_cell=table.smallest_cell)
    solving = analysis.solve(table.contract, alone=True)
    ask = next(solving)
    while True:
        sums, schema = analysis.summarise(table, ask), analysis.schema(ask, table.contract)
        conform(sums, schema)
        check_sums(policy, sums, schema, alone=True)
        try:
            ask = solving.send(sums)
        except StopIteration:
            return


@pytest.mark.parametrize("analysis", ANALYSES, ids=lambda a: f"{a.kind}")
def test_sums_of_one_site_may_leave(analysis: Analysis) -> None:
    check_alone(analysis, readings(120, seed=1, smallest_cell=5))


@pytest.mark.parametrize("analysis", ANALYSES, ids=lambda a: f"{a.kind}")
def test_a_column_that_three_patients_have_is_hidden_or_refused(
    analysis: Analysis,
) -> None:
    table = readings(120, seed=2, smallest_cell=5)
    for column in ("age", "dice_a", "raw", "stage", "sex"):
        table.columns[column][3:] = float("nan")
    hides = (
        *("cross_tabulate", "agreement_of_categories", "histogram", "missingness"),
        *("compare_groups", "compare_paired", "icc", "moments", "standardise"),
    )
    if getattr(analysis, "kind", "") in hides:
        check_alone(analysis, table)
        return
    with pytest.raises(Refused, match=r"cell_too_small|cohort_too_small"):
        check_alone(analysis, table)


@pytest.mark.parametrize(
    "analysis", [Moments(of=NUMBERS), Standardise(of=NUMBERS)], ids=lambda a: f"{a.kind}"
)
def test_a_column_that_three_patients_have_counts_as_one_that_nobody_has(
    analysis: Analysis,
) -> None:
    few, nobody = (readings(120, seed=2, smallest_cell=5) for _ in range(2))
    for column in ("age", "dice_a", "raw"):
        few.columns[column][3:] = float("nan")
        nobody.columns[column][:] = float("nan")
    ask = next(analysis.solve(few.contract, alone=True))
    sums, blank = analysis.summarise(few, ask), analysis.summarise(nobody, ask)
    assert sums.keys() == blank.keys()
    assert all(np.array_equal(sums[name], blank[name]) for name in sums)
