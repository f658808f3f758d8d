"""What of a total may be printed (rule R3, with secondary suppression)."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from common.analyses.analysis import Answer, Json

SMALLEST_CELL = 5
FEW_CASES = f"hidden: fewer than {SMALLEST_CELL} cases have the columns it looks at"
NOBODY = "no case is left of those it looks at"
_COUNTS = ("n", "n_patients")
_WORDS = ("a", "b", "by", "old", "kind", "mode", "test", "method", "effect", "correction", "unit")


def without_few(answer: Answer) -> Answer:
    """Return an answer without statistics of one to four cases, wherever they stand.

    A mean of one value is that value. So each entry that says of itself to be of so few,
    in `n` or `n_patients`, keeps its form and loses its numbers, lists and notes: of one
    case or of four, it reads the same. Every answer passes here before it is kept.
    """
    values = {name: _without_few(value) for name, value in answer.values.items()}
    return Answer(_emptied(values) if _is_few(answer.values) else values, answer.arrays)


def _without_few(value: Json) -> Json:
    if isinstance(value, list):
        return [_without_few(one) for one in value]
    if not isinstance(value, dict):
        return value
    if _is_few(value):
        return _emptied(value)
    return {name: _without_few(one) for name, one in value.items()}


def _is_few(entry: Mapping[str, Json]) -> bool:
    sizes = (entry.get(name) for name in _COUNTS)
    return any(isinstance(n, int) and few(n) for n in sizes)


def few(n: int) -> bool:
    """Tell whether so few have it, and yet somebody, that nothing is told of them."""
    return 0 < n < SMALLEST_CELL


def _emptied(entry: Mapping[str, Json]) -> dict[str, Json]:
    told = {name: _nothing(name, of) for name, of in entry.items() if name != "note"}
    return {**told, "note": FEW_CASES}


def _nothing(name: str, value: Json) -> Json:
    """Return the form of a value without what it says."""
    if isinstance(value, dict):
        # What a bare test says beside its p depends on whether it could be done.
        bare = "p" in value and not {"n", "estimate"} & value.keys()
        kept = {"p": None} if bare else value
        return {inner: _nothing(inner, one) for inner, one in kept.items()}
    if isinstance(value, list):
        return []
    return value if name in _WORDS and isinstance(value, str) else None


def shown_counts(counts: Sequence[int], smallest: int = SMALLEST_CELL) -> list[int | None]:
    """Hide cells below `smallest`, and one more where the total would give them away.

    Args:
        counts: patients in the cells of one column; their total is printed too.
        smallest: the smallest count above zero that may be shown.

    Returns:
        The counts, None where hidden. A single hidden cell could be had by subtraction
        from the total, so the next smallest one is hidden with it.
    """
    sizes = np.array(counts, np.int64)
    hidden = with_another((sizes > 0) & (sizes < smallest), sizes, smallest)
    return [None if gone else int(n) for gone, n in zip(hidden, counts, strict=True)]


def with_another(
    hidden: NDArray[np.bool_], sizes: NDArray[np.int64], smallest: int = SMALLEST_CELL
) -> NDArray[np.bool_]:
    """Return the cells to hide, with the smallest other one where they follow from the total.

    Args:
        hidden: cells of one row that are hidden, shape (k,).
        sizes: patients in them.
        smallest: the hidden ones may be told together if they are so many.
    """
    others = np.flatnonzero(~hidden & (sizes > 0))
    together, most = int(sizes[hidden].sum()), smallest - 1
    # So many of k hidden cells is only k times one, or k times the most.
    follows = together in (hidden.sum(), most * hidden.sum())
    if not hidden.any() or not others.size or not (0 < together < smallest or follows):
        return hidden
    more = hidden.copy()
    more[others[np.argmin(sizes[others])]] = True
    return more


def hidden_cells(
    tables: Sequence[NDArray[np.int64]], smallest: int = SMALLEST_CELL
) -> NDArray[np.bool_]:
    """Return the cells of a two-way table to hide, with others where they follow from totals.

    Totals of rows and of columns may be told by a step beside this one. So no row and no
    column with other cases is left with one hidden cell, nor with fewer than `smallest` of a
    kind in its hidden ones together.

    Args:
        tables: cases, and how many of them are of a kind (deaths, survivors), by cell; each
            of shape (rows, columns).
        smallest: the smallest count above zero that may be shown.
    """
    hidden = np.zeros(tables[0].shape, np.bool_)
    for of in tables:
        hidden |= (of > 0) & (of < smallest)
    while (more := _another_cell(tables, hidden, smallest)) is not None:
        hidden[more] = True
    return hidden


def _another_cell(
    tables: Sequence[NDArray[np.int64]], hidden: NDArray[np.bool_], smallest: int
) -> tuple[int, int] | None:
    """Return the smallest cell of a row or column whose hidden ones follow from its total."""
    for turned in (False, True):
        kinds = [of.T if turned else of for of in tables]
        for i, gone in enumerate(hidden.T if turned else hidden):
            others = np.flatnonzero(~gone & (kinds[0][i] > 0))
            few = any(0 < of[i][gone].sum() < smallest for of in kinds)
            if others.size and (few or gone.sum() == 1):
                j = int(others[np.argmin(kinds[0][i][others])])
                return (j, i) if turned else (i, j)
    return None
