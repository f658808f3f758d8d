"""Corrected p values: those of statsmodels."""

import pytest
from statsmodels.stats.multitest import multipletests

from common.analyses.correction import Correction, adjusted

P = (0.01, 0.04, 0.03, 0.005, 0.2, 0.04)


@pytest.mark.parametrize("how", ["bonferroni", "holm", "fdr_bh"])
def test_corrected_p_is_that_of_statsmodels(how: Correction) -> None:
    assert adjusted(P, how) == pytest.approx(multipletests(P, method=how)[1], abs=1e-15)


def test_a_test_not_done_does_not_count() -> None:
    assert adjusted((0.01, None, 0.02), "bonferroni") == [0.02, None, 0.04]
    assert adjusted((None,), "holm") == [None]


def test_none_leaves_p_alone() -> None:
    assert adjusted(P, "none") == list(P)
