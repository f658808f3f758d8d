"""Parts of a network by name: its normalisation layers, its head, or a pattern."""

from fnmatch import fnmatchcase

from torch import nn

from common.patterns import nearest_patterns
from common.settings import closest

_NORMS = (nn.GroupNorm, nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.LayerNorm)
_WORDS = {"norm": "normalisation layers", "head": "layer of that name"}
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
    found: set[str] = set()
    for part in parts:
        fits = _fitting(network, part)
        if not fits:
            raise ValueError(no_such_part(network, part))
        found |= fits
    return frozenset(found)


def no_such_part(network: nn.Module, part: str) -> str:
    """Return in words that a network has no such part, and what is near; "" where it has."""
    if _fitting(network, part):
        return ""
    if part in _WORDS:
        return f'the network has no "{part}": no {_WORDS[part]}'
    near = closest(part, [*_WORDS])
    if near:
        return f'the network has no "{part}" (did you mean "{near}"?)'
    names = [name for name, value in network.state_dict().items() if value.is_floating_point()]
    near_names = nearest_patterns(part if "*" in part else f"{part}*", names)
    return f'the network has no "{part}": expected norm, head or a pattern ({near_names})'


def all_local(network: nn.Module, parts: tuple[str, ...]) -> bool:
    """Tell whether parts are all weights that are trained."""
    kept = {name for part in parts for name in _fitting(network, part)}
    return bool(parts) and kept.issuperset(name for name, _ in network.named_parameters())


def _fitting(network: nn.Module, part: str) -> set[str]:
    floating = [n for n, value in network.state_dict().items() if value.is_floating_point()]
    norms = {f"{name}." for name, m in network.named_modules() if isinstance(m, _NORMS)}
    return {name for name in floating if _belongs(name, part, norms)}


def _belongs(name: str, part: str, norms: set[str]) -> bool:
    if part == "norm":
        return any(name.startswith(norm) for norm in norms)
    if part == "head":
        return name.startswith(_HEADS)
    return fnmatchcase(name, part)
