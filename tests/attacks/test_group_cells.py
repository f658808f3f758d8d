"""Table 1 by groups, attacked with all that it prints: by subtraction, and by the ranges left."""

from typing import Any

import numpy as np
import pytest
from scipy.optimize import linprog

from common.analyses import describe_groups, group_cells
from common.analyses.describe import Describe
from common.analyses.group_cells import closed_groups, hidden_in_groups
from common.analyses.publish import shown_counts
from common.analyses.runner import run
from common.table import Table
from tests.common.analyses.tables import split_unevenly
from tests.common.analyses.test_describe_groups import trial


def _lines(counts: np.ndarray, shown: tuple[np.ndarray, ...]) -> tuple[np.ndarray, np.ndarray]:
    """Return equations for the cells of a table: those shown, and totals that are."""
    hidden, closed, gone = shown
    places = np.eye(counts.size).reshape(*counts.shape, counts.size)
    lines = [*places[~hidden], *places.sum(axis=1)[~gone], *places.sum(axis=0)[~closed]]
    lines.append(places.sum(axis=(0, 1)))
    return np.array(lines), np.array(lines) @ counts.ravel()


def told(counts: np.ndarray, shown: tuple[np.ndarray, ...]) -> bool:
    """Tell whether a cell, level or group of one to four is known, or known to be so few."""
    a, b = _lines(counts, shown)
    places = np.eye(counts.size).reshape(*counts.shape, counts.size)
    few = [*places[(counts > 0) & (counts < 5)]]
    few += [places[i].sum(axis=0) for i in range(len(counts)) if 0 < counts[i].sum() < 5]
    few += [places[:, j].sum(axis=0) for j in range(counts.shape[1]) if 0 < counts[:, j].sum() < 5]
    for target in few:
        low, high = (sign * linprog(sign * target, A_eq=a, b_eq=b).fun for sign in (1, -1))
        if high - low < 0.5 or high < 4.5:
            return True
    return False


def _tables(seed: int, n: int) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    found = []
    for _ in range(n):
        shape = rng.integers(2, 6), rng.integers(2, 5)
        by_level, by_group = rng.choice([1, 4, 15, 60], shape[0]), rng.choice([0.3, 1, 2], shape[1])
        found.append(rng.poisson(np.outer(by_level, by_group)).astype(np.int64))
    return [counts for counts in found if counts.sum() >= 10]


def _shown(counts: np.ndarray) -> tuple[np.ndarray, ...]:
    closed = closed_groups(counts.sum(axis=0))
    gone = np.array([n is None for n in shown_counts(counts.sum(axis=1).tolist())])
    return hidden_in_groups(counts, closed, gone), closed, gone


def _left_by_margins(counts: np.ndarray, shown: tuple[np.ndarray, ...]) -> bool:
    """Tell whether the sizes of groups and of levels alone tell it, with no cell shown."""
    return told(counts, (np.ones_like(shown[0]), *shown[1:]))


def test_no_cell_of_few_is_told_by_all_that_is_printed() -> None:
    tables = _tables(1, 70)
    for counts in tables:
        shown = _shown(counts)
        assert not told(counts, shown) or _left_by_margins(counts, shown)
    assert sum(_left_by_margins(counts, _shown(counts)) for counts in tables) <= 1
    assert np.mean([_shown(counts)[0].mean() for counts in tables]) < 0.75


@pytest.mark.parametrize("rule", ["_another", "_tells_of_few"])
def test_without_a_rule_cells_of_few_follow(monkeypatch: pytest.MonkeyPatch, rule: str) -> None:
    monkeypatch.setattr(group_cells, "_tells_of_few", lambda *_: False)
    if rule == "_another":
        monkeypatch.setattr(group_cells, "_another", lambda *_: None)
    assert any(told(counts, _shown(counts)) for counts in _tables(1, 70))


def _three_in_d() -> list[Table]:
    """Return sites of 400 patients, three of whom are in group d."""
    table = trial(400, seed=9)
    table.columns["arm"][:] = np.arange(400) % 3
    table.columns["arm"][[1, 50, 99]] = 3
    return split_unevenly(table, 4)


def _mean_of_d(tables: list[Table]) -> float | None:
    """Return the marker's mean in d: that of all less the other groups'."""
    found: Any = run(Describe(of=("marker",), by="arm"), tables).values
    others = [found["groups"][name] for name in "abc"]
    told = [(of["n"], of["columns"]["marker"]["mean"]) for of in others]
    if any(None in of for of in told):
        return None
    rest = found["n"] * found["columns"]["marker"]["mean"] - sum(n * mean for n, mean in told)
    return float(rest / (found["n"] - sum(n for n, _ in told)))


def test_a_group_of_three_has_no_mean_by_subtraction(monkeypatch: pytest.MonkeyPatch) -> None:
    assert _mean_of_d(_three_in_d()) is None
    nothing = lambda first, *_: np.zeros(len(first), np.bool_)  # noqa: E731
    monkeypatch.setattr(describe_groups, "closed_groups", nothing)
    monkeypatch.setattr(describe_groups, "closed_values", nothing)
    tables = _three_in_d()
    values = np.concatenate([t.columns["marker"][t.columns["arm"] == 3] for t in tables])
    assert _mean_of_d(tables) == pytest.approx(values.mean(), rel=1e-6)
