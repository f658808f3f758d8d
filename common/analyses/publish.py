"""What of the counts in a total may be printed (rule R3, with secondary suppression)."""

from collections.abc import Sequence

SMALLEST_CELL = 5


def shown_counts(counts: Sequence[int], smallest: int = SMALLEST_CELL) -> list[int | None]:
    """Hide cells below `smallest`, and one more where the total would give them away.

    Args:
        counts: patients in the cells of one column; their total is printed too.
        smallest: the smallest count above zero that may be shown.

    Returns:
        The counts, None where hidden. A single hidden cell could be had by subtraction
        from the total, so the next smallest one is hidden with it.
    """
    hidden = {i for i, n in enumerate(counts) if 0 < n < smallest}
    others = [i for i, n in enumerate(counts) if i not in hidden and n > 0]
    if others and 0 < sum(counts[i] for i in hidden) < smallest:
        hidden.add(min(others, key=lambda i: counts[i]))
    return [None if i in hidden else int(n) for i, n in enumerate(counts)]
