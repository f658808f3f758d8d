"""Code that a process has loaded already, and whether it is the code that a hospital has signed.

A fork may go on with the modules its parent has loaded only where each is, byte for byte, the
one of the bundle whose signature was checked. Else all of ours is forgotten and loaded from the
bundle. What is loaded later comes from the bundle in either case.
"""

import hashlib
import sys
from collections.abc import Mapping
from pathlib import Path

_OURS = frozenset({"client", "common", "server"})


def loaded() -> dict[str, str]:
    """Return the sha256 of the source of every module of ours that is loaded, by its name."""
    sources = {name: getattr(sys.modules[name], "__file__", None) for name in _names()}
    return {name: _digest(Path(file or "")) for name, file in sources.items()}


def keep_what_is_signed(bundle: Path, before: Mapping[str, str]) -> bool:
    """Keep the loaded modules where all are those of a bundle, else forget all of them.

    Args:
        bundle: folder into which Flower has unpacked a bundle that it has verified.
        before: what was loaded, as `loaded` said right after.

    Returns:
        Whether they were kept.
    """
    names = _names()
    same = all(before.get(name) == _digest(_file(bundle, name)) for name in names)
    for name in names:
        if not same:
            del sys.modules[name]
        elif hasattr(sys.modules[name], "__path__"):
            sys.modules[name].__path__ = [str(bundle.joinpath(*name.split(".")))]
    return same


def _names() -> list[str]:
    return [name for name in sys.modules if name.partition(".")[0] in _OURS]


def _file(bundle: Path, name: str) -> Path:
    path = bundle.joinpath(*name.split("."))
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")


def _digest(path: Path) -> str:
    """Return the sha256 of a file; of none, what no other file has."""
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError:
        return f"no {path}"
