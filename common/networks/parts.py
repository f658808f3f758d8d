"""Parts of a network by name: its normalisation layers, its head, or a pattern."""

from fnmatch import fnmatchcase

from torch import nn

_NORMS = (nn.GroupNorm, nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.LayerNorm)
_HEADS = ("head.", "heads.", "last.")


def names_of(network: nn.Module, parts: tuple[str, ...]) -> frozenset[str]:
    """Return the names of the weights that belong to any of these parts.

    Args:
        network: as the task builds it.
        parts: "norm" (normalisation layers with their running means), "head" (what turns
            features into the output), or patterns such as "down.0.*".

    Raises:
        ValueError: a part is no part of the network; lists some names it could be.
    """
    floating = [n for n, value in network.state_dict().items() if value.is_floating_point()]
    norms = {f"{name}." for name, m in network.named_modules() if isinstance(m, _NORMS)}
    found: set[str] = set()
    for part in parts:
        fits = {name for name in floating if _belongs(name, part, norms)}
        if not fits:
            some = ", ".join(floating[:6])
            raise ValueError(
                f'the network has no "{part}": expected norm, head or one of {some}, ...'
            )
        found |= fits
    return frozenset(found)


def _belongs(name: str, part: str, norms: set[str]) -> bool:
    if part == "norm":
        return any(name.startswith(norm) for norm in norms)
    if part == "head":
        return name.startswith(_HEADS)
    return fnmatchcase(name, part)
