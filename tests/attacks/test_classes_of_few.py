"""The row of one who is a class of the outcome alone, in the sums of a classifier or LASSO."""

from typing import Any

import numpy as np
import pytest

from common.analyses import lasso, naive_bayes, prototypes, svm
from common.analyses.analysis import Ask
from common.analyses.lasso import Lasso
from common.analyses.naive_bayes import NaiveBayes
from common.analyses.prototypes import Prototypes
from common.analyses.runner import Cost, exchange, run
from common.analyses.svm import Svm
from common.sums import Sums
from common.table import Floats
from tests.common.analyses.classified import classified
from tests.common.analyses.tables import split_unevenly

OF = ("grey", "volume")
SETTING: dict[str, Any] = {"outcome": "response", "of": OF}
STEPS = {
    "naive_bayes": (NaiveBayes(**SETTING), naive_bayes, "too_few"),
    "prototypes": (Prototypes(**SETTING, rounds=2), prototypes, "too_few"),
    "svm": (Svm(**SETTING, folds=0), svm, "too_few"),
    "lasso": (Lasso(**SETTING, folds=3, lambdas=3), lasso, "lacks_classes"),
}


def _read(ask: Ask, total: Sums, n_events: int) -> list[Floats]:
    """Return what a total says of sums of the columns, of shape (..., columns)."""
    centre, spread = (np.asarray(ask.arrays.get(c, 0.0)) for c in ("centre", "spread"))
    found = [np.asarray(total[name]) for name in ("sum", "sum_high") if name in total]
    if "d" in total and "valid" in total:
        found.append(total["d"] * ask.arrays["scale"] + total["valid"] * centre)
    if "dy" in total:
        found.append(total["dy"].sum(axis=0) * spread + n_events * centre)
    return found


def _seen(kind: str, n_events: int) -> bool:
    """Tell whether a total that the coordinator sees is the sum of the few events."""
    table = classified(200, seed=5, missing=0)
    table.columns["response"][:] = 0.0
    table.columns["response"][[7, 77, 177][:n_events]] = 1.0
    theirs = table.matrix(OF)[table.columns["response"] == 1].sum(axis=0)
    seen: list[bool] = []

    def watching(analysis: Any, tables: Any, ask: Ask, cost: Cost) -> Sums:
        total = exchange(analysis, tables, ask, cost)
        for sums in _read(ask, total, n_events):
            rows = np.atleast_2d(sums)
            # LASSO sums the outcome as one more column.
            columns = rows[:, : len(OF)]
            seen.append(bool(np.isclose(columns, theirs, rtol=1e-9).all(axis=1).any()))
        return total

    run(STEPS[kind][0], split_unevenly(table, 3), by=watching)
    assert seen
    return any(seen)


@pytest.mark.parametrize("n_events", [1, 3])
@pytest.mark.parametrize("kind", STEPS)
def test_no_total_is_the_sum_of_a_class_of_few(kind: str, n_events: int) -> None:
    assert not _seen(kind, n_events)


@pytest.mark.parametrize("n_events", [1, 3])
@pytest.mark.parametrize("kind", STEPS)
def test_without_the_rule_it_is(kind: str, n_events: int, monkeypatch: pytest.MonkeyPatch) -> None:
    _, module, rule = STEPS[kind]
    monkeypatch.setattr(module, rule, lambda *_: None)
    assert _seen(kind, n_events)
