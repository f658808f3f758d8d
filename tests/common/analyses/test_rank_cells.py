"""Ranks from counts in cells: those of scipy, in few rounds, for columns of any kind."""

import numpy as np
import pytest
from scipy.stats import rankdata

from common.analyses.rank_bounds import lost_share
from common.analyses.rank_cells import (
    Cells,
    Line,
    count_cells,
    cut,
    keys_on,
    pack,
    round_numbers,
    unpack,
    values_on,
)
from common.table import Floats

FREE = Line(whole=False, range=None)
RNG = np.random.default_rng(0)
N = 400
ROUGH = RNG.normal(size=N)
COLUMNS: dict[str, tuple[Line, Floats]] = {
    "narrow": (FREE, 1000 + ROUGH),
    "heavy tails": (FREE, np.sign(ROUGH) * np.exp(6 * np.abs(ROUGH))),
    "a third zeros": (FREE, np.where(RNG.random(N) < 0.3, 0.0, ROUGH)),
    "one decimal": (FREE, np.round(5 + ROUGH, 1)),
    "three decimals": (FREE, np.round(ROUGH, 3)),
    "negative wholes": (FREE, np.rint(20 * ROUGH)),
    "constant": (FREE, np.full(N, 3.3)),
    "ends of a range": (Line(False, (0, 1)), np.clip(0.5 + ROUGH, 0, 1)),
    "ages": (Line(True, (18, 100)), np.clip(np.rint(60 + 10 * ROUGH), 18, 100)),
    "whole without range": (Line(True, None), np.rint(6000 + 1000 * ROUGH)),
    "whole of a long range": (Line(True, (0, 1e5)), np.rint(RNG.uniform(0, 1e5, N))),
    "huge and tiny": (FREE, ROUGH * 10.0 ** RNG.integers(-300, 300, N)),
}


def cells_of(line: Line, values: Floats, share: float, most: int) -> tuple[Cells, int]:
    cutting, codes, rounds = cut([line], share, most), np.zeros(N, np.int64), 0
    edges = next(cutting)
    while True:
        rounds += 1
        assert (np.diff(edges[0]) > 0).all()
        counts = {0: count_cells(values, codes, 1, edges[0])}
        try:
            edges = cutting.send(counts)
        except StopIteration as stop:
            return stop.value[0], rounds


def ranks(cells: Cells, line: Line, values: Floats) -> Floats:
    cell = np.searchsorted(cells.edges(line), values, side="left")
    return cells.doubled_midranks[cell] / 2


@pytest.mark.parametrize("name", COLUMNS)
def test_exact_ranks_are_those_of_scipy_within_six_rounds(name: str) -> None:
    line, values = COLUMNS[name]
    values = values + 0.0
    cells, rounds = cells_of(line, values, 0.0, 40)
    np.testing.assert_array_equal(ranks(cells, line, values), rankdata(values))
    assert not cells.uncertain.any()
    assert rounds <= (12 if name == "huge and tiny" else 6)


@pytest.mark.parametrize("name", COLUMNS)
def test_binned_ranks_lose_no_more_than_certified(name: str) -> None:
    line, values = COLUMNS[name]
    values = values + 0.0
    cells, rounds = cells_of(line, values, 1 / 64, 6)
    exact, binned = rankdata(values), ranks(cells, line, values)
    lost = ((exact - binned) ** 2).mean()
    (certified,) = lost_share([cells])
    assert lost <= certified * (lost + binned.var()) * (1 + 1e-12)
    assert certified < 1e-3
    assert rounds <= 6


def test_keys_keep_the_order_and_the_two_zeros_are_one() -> None:
    values = np.array([-1e308, -1.5, -5e-324, 0.0, 5e-324, 1e-300, 1.0, 1e308])
    keys = keys_on(values, FREE)
    assert (np.diff(keys.astype(object)) > 0).all()
    np.testing.assert_array_equal(values_on(keys, FREE), values)
    assert keys_on(np.array([-0.0]), FREE) == keys_on(np.array([0.0]), FREE)


@pytest.mark.parametrize(
    ("low", "high", "roundest"),
    [(3.27, 3.33, 3.3), (-0.304, -0.296, -0.3), (17.3, 21.9, 20.0), (0.21, 0.22, 0.22)],
)
def test_round_numbers_lie_inside(low: float, high: float, roundest: float) -> None:
    ends = keys_on(np.array([low, high]), FREE)
    found = values_on(round_numbers(ends[:1], ends[1:], FREE), FREE)
    assert ((found > low) & (found <= high)).all()
    assert roundest in found


def test_edges_survive_the_message() -> None:
    edges = {3: np.array([1.0, 2.0]), 7: np.array([0.5])}
    back = unpack(pack(edges))
    assert list(back) == [3, 7]
    for i, values in edges.items():
        np.testing.assert_array_equal(back[i], values)
