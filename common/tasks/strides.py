"""How much coarser each level of a network is than the one before, axis by axis."""

from collections.abc import Sequence


def steps_of(
    strides: Sequence[int | tuple[int, ...]] | None, n_levels: int, dimensions: int
) -> list[tuple[int, ...]]:
    """Return the stride of every level for every axis.

    Args:
        strides: of each level, one number or one an axis; nothing: 1, 2, 2, ...
        n_levels: levels of the network.
        dimensions: 2 or 3.

    Raises:
        ValueError: a level has another number of axes.
    """
    steps = [
        (s,) * dimensions if isinstance(s, int) else s
        for s in strides or (1, *(2 for _ in range(n_levels - 1)))
    ]
    odd = [list(step) for step in steps if len(step) != dimensions]
    if odd:
        raise ValueError(f"strides: expected {dimensions} axes, got {odd[0]}")
    return steps
