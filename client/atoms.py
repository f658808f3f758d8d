"""Selections, put together, must not tell of a few patients (R2), nor be equal but for a few.

Cases in the same selections are an atom; sums over selections are combinations of sums over
atoms, so what can be put together is a matter of ranks.
"""

from collections.abc import Iterator, Sequence
from itertools import combinations

import numpy as np

from client.selections import Rows
from common.analyses.newton import Bools
from common.errors import Reason, Refused
from common.spans import meet_anew
from common.table import Floats


def check_combinations(
    rows: Rows, wanted: Sequence[Sequence[Bools]], least: int, given: Sequence[Bools]
) -> None:
    """Check the last of several steps against those before that are not refused.

    Args:
        rows: of this site.
        wanted: the rows that each step tells of, in the order of the study.
        least: fewest patients a combination of them may depend on.
        given: rows that are taken as they are.

    Raises:
        Refused: SELECTION_TOO_SMALL or DIFFERENCING.
    """
    if least <= 1:
        return
    taken: list[Bools] = list(given)
    known = {one.tobytes() for one in taken}
    for at, told in enumerate(wanted):
        new = [*{one.tobytes(): one for one in told if one.tobytes() not in known}.values()]
        tries = ((one, [*taken, *new[: i + 1]]) for i, one in enumerate(new))
        few = next((one for one, tried in tries if _tells_of_few(rows, tried, least)), None)
        if few is None:
            taken += new
            known |= {one.tobytes() for one in new}
        elif at == len(wanted) - 1:
            n = rows.count(few)
            small = 0 < n < least
            raise Refused(
                Reason.SELECTION_TOO_SMALL if small else Reason.DIFFERENCING,
                f"{n} patients; with other steps it would tell of fewer than {least}",
            )


def meet_but_for_few(
    rows: Rows, new: Bools, mine: Sequence[Bools], others: Sequence[Bools], least: int
) -> bool:
    """Tell whether, with a new selection, more totals of mine are totals of others but for a few.

    Args:
        rows: of this site.
        new: a selection.
        mine: those before it, over the same sites.
        others: over other sites.
        least: fewest patients that keep two totals apart.
    """
    family, people = _atoms(rows, [new, *mine, *others])
    for few in ((), *_sets_of_few(people, least)):
        first, *rest = np.delete(family, few, axis=1) > 0
        if meet_anew([first], rest[: len(mine)], rest[len(mine) :]):
            return True
    return False


def _tells_of_few(rows: Rows, wanted: Sequence[Bools], least: int) -> bool:
    """Tell whether the last selection makes a combination that few patients stand behind.

    One that needs but a few atoms exists if the selections without those atoms have a
    lower rank.
    """
    weights, people = _atoms(rows, wanted)
    return any(
        _isolates(weights, few) and not _isolates(weights[:-1], few)
        for few in _sets_of_few(people, least)
    )


def _atoms(rows: Rows, wanted: Sequence[Bools]) -> tuple[Floats, list[frozenset[str]]]:
    """Return the selections over the atoms, shape (selections, atoms), and who is in each."""
    atoms, at = np.unique(np.array(wanted), axis=1, return_inverse=True)
    people = [rows.made.who(at == i) for i in range(atoms.shape[1])]
    return atoms.astype(np.float64), people


def _sets_of_few(people: Sequence[frozenset[str]], least: int) -> Iterator[tuple[int, ...]]:
    """Yield the atoms that together are of fewer patients than `least`."""
    few = [i for i, patients in enumerate(people) if len(patients) < least]
    for size in range(1, least):
        for some in combinations(few, size):
            if len(set().union(*(people[i] for i in some))) < least:
                yield some


def _isolates(rows: np.ndarray, atoms: Sequence[int]) -> bool:
    if not rows.size:
        return False
    rank = np.linalg.matrix_rank
    return bool(rank(np.delete(rows, atoms, axis=1)) < rank(rows))
