"""What a table with a hidden cell tells beside it: never so much that one table is left.

A reader who knows both margins tries all tables that would be printed alike. So what is told
is cut until, of these, none stands alone: whichever of them it was, another would have been
told in the same words.
"""

import json
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from itertools import combinations, permutations
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from common.analyses.analysis import Json
from common.analyses.publish import SMALLEST_CELL

Counts: TypeAlias = NDArray[np.int64]
Told: TypeAlias = dict[str, Json]
LEVELS = ((0.001, 0.05), (0.05,), ())
"""Below which of these p lies, in fewer and fewer words."""
_MOST_TABLES = 40
_LONGEST = 3  # cases that move at once


def has_small(counts: Counts) -> bool:
    """Tell whether a table has a cell of one to four."""
    return bool(((counts > 0) & (counts < SMALLEST_CELL)).any())


def hidden_cells(counts: Counts) -> NDArray[np.bool_]:
    """Return the cells not to print.

    Counts of one to four are hidden, and with them others, so that no row and no column
    has a single hidden cell that its total would give away.
    """
    hidden = (counts > 0) & (counts < SMALLEST_CELL)
    while True:
        more = _partner(counts, hidden)
        if more is None:
            return hidden
        hidden[more] = True


def _partner(counts: Counts, hidden: NDArray[np.bool_]) -> tuple[int, int] | None:
    """Return a cell to hide beside one that is hidden alone in its row or column."""
    for transposed in (False, True):
        c, h = (counts.T, hidden.T) if transposed else (counts, hidden)
        for i in np.flatnonzero(h.sum(axis=1) == 1).tolist():
            # Other patients first: a hidden zero protects nobody.
            open_cells = np.flatnonzero(~h[i])
            order = sorted(open_cells.tolist(), key=lambda j: (c[i, j] == 0, c[i, j]))
            if order:
                return (order[0], i) if transposed else (i, order[0])
    return None


def alike(counts: Counts) -> list[Counts]:
    """Return tables of the same margins that are printed like this one, itself the first.

    All of two by two and of three by three; of larger ones the nearest forty.
    """
    hidden = hidden_cells(counts)
    found, moves = [counts], list[Counts]()
    for n in range(2, min(_LONGEST, *counts.shape) + 1):
        moves += _moves(hidden, n)
        found = _reached(counts, hidden, moves)
        if len(found) == _MOST_TABLES:
            break
    return found


def _reached(counts: Counts, hidden: NDArray[np.bool_], moves: Sequence[Counts]) -> list[Counts]:
    """Return the tables that moves lead to from one, and from those; the nearest first."""
    found, known = [counts], {counts.tobytes()}
    for table in found:
        for other in (table + way * move for move in moves for way in (1, -1)):
            if len(found) == _MOST_TABLES:
                return found
            if other.min() < 0 or other.tobytes() in known:
                continue
            if np.array_equal(hidden_cells(other), hidden):
                known.add(other.tobytes())
                found.append(other)
    return found


def _moves(hidden: NDArray[np.bool_], n: int) -> Iterator[Counts]:
    """Give the ways in which one case in each of n rows can change its column, all hidden.

    Two cases change places where four hidden cells are the corners of a rectangle. Around an
    open diagonal there is none; there three cases move on in a ring.
    """
    for rows in combinations(np.flatnonzero(hidden.sum(axis=1) > 1).tolist(), n):
        of_two = np.flatnonzero(hidden[list(rows)].sum(axis=0) > 1)
        for columns in combinations(of_two.tolist(), n):
            for ring in permutations(rows[1:]):
                for turn in permutations(columns):
                    if turn[0] < turn[1] or n > 2:
                        yield from _ring(hidden, (rows[0], *ring), turn)


def _ring(
    hidden: NDArray[np.bool_], rows: Sequence[int], columns: Sequence[int]
) -> Iterator[Counts]:
    """Give the move from each row's column to the next one, where all cells are hidden."""
    onward = (*columns[1:], columns[0])
    if hidden[rows, columns].all() and hidden[rows, onward].all():
        move = np.zeros(hidden.shape, np.int64)
        move[rows, columns], move[rows, onward] = -1, 1
        yield move


def told_alike(counts: Counts, tellings: Sequence[Callable[[Counts], Told]]) -> Told:
    """Return what is told of a table, so that another of the same margins is told alike.

    Which telling a table gets must not give it away either: so all tables that are printed
    alike are looked at, and those that a telling leaves alone share the next.

    Args:
        counts: a table with a hidden cell.
        tellings: what to say of a table, in fewer and fewer words; the last says nothing
            that depends on a hidden cell.
    """
    tables = alike(counts)
    words = [[json.dumps(telling(table)) for table in tables] for telling in tellings[:-1]]
    for first in range(len(words)):
        left, mine = set(range(len(tables))), len(tellings) - 1
        for k in range(first, len(words)):
            same = Counter(words[k][t] for t in left)
            told = {t for t in left if same[words[k][t]] > 1}
            mine = k if 0 in told else mine
            left -= told
        if len(left) != 1:
            return tellings[mine](counts)
    return tellings[-1](counts)


def below(p: Json, levels: Sequence[float]) -> float | None:
    """Return the lowest usual level that p lies below; None where it lies below none."""
    return min((x for x in levels if isinstance(p, float) and p < x), default=None)
