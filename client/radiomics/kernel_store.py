"""Where compiled kernels are kept: found wherever the code lies, and on a read-only disk.

A bundle's code lies in a folder of its own, an image's disk is read-only, and an image may
run on another processor than the one that built it. So the folder is named by what the
machine code depends on, never by a path: sources, Numba, processor. It lies in the virtual
environment, where set-up and the build of an image put it; where that cannot be written it
is copied to the first place that can, as Numba keeps nothing beside what it cannot extend.
"""

import hashlib
import os
import re
import shutil
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import llvmlite.binding
import numba
from numba.core.caching import UserProvidedCacheLocator

_HERE = Path(__file__).parent
_HAS_KERNELS = re.compile(rb"^@(kernel|inner|regrouping)\b", re.MULTILINE)
_HOW = _HERE / "compiled.py"


class ByName(UserProvidedCacheLocator):
    """Tell Numba to keep our kernels by the name of their file, wherever that lies."""

    @classmethod
    def from_function(cls, py_func: Any, py_file: str) -> Any:
        """Return the place of one of our kernels; None for a function of somebody else."""
        if Path(py_file).parent != _HERE:
            return None
        found: Any = super()
        return found.from_function(py_func, py_file)

    @classmethod
    def get_suitable_cache_subpath(cls, py_file: str) -> str:
        """Return the folder below that of all kernels."""
        return Path(py_file).stem


def use() -> None:
    """Have Numba keep and look for kernels here; before the first is declared."""
    config: Any = numba.config
    config.CACHE_DIR = str(folder_in(places(), name()))
    config.CACHE_LOCATOR_CLASSES = f"{__name__}.{ByName.__name__},UserProvidedCacheLocator"


def name() -> str:
    """Return the name of the folder: the same for the same sources, Numba and processor."""
    processor = llvmlite.binding.get_host_cpu_features().flatten()
    words = (numba.__version__, llvmlite.binding.get_host_cpu_name(), processor)
    digest = hashlib.sha256("\n".join(words).encode())
    # Numba itself does not notice that a function called from another file has changed.
    for path in sorted(_HERE.glob("*.py")):
        text = path.read_bytes()
        if path == _HOW or _HAS_KERNELS.search(text):
            digest.update(text)
    return f"kernels-{digest.hexdigest()[:16]}"


def places() -> tuple[Path, ...]:
    """Return where kernels may lie: a named place, this environment, the user's, a temporary."""
    named = os.environ.get("NUMBA_CACHE_DIR", "")
    user = Path(os.environ.get("XDG_CACHE_HOME", "") or Path("~/.cache").expanduser())
    return (
        *((Path(named),) if named else ()),
        Path(sys.prefix) / "share" / "consortium",
        user / "consortium",
        *_last(),
    )


def folder_in(where: Sequence[Path], folder: str) -> Path:
    """Return the folder of kernels in the first place that can be written.

    Those that lie in another place are copied into it, where it has none.

    Raises:
        OSError: none of the places can be written.
    """
    place = next((one for one in where if _can_be_written(one)), None)
    if place is None:
        raise OSError(f"expected a place for compiled kernels, can write none of {list(where)}")
    found = place / folder
    there = next((one / folder for one in where if (one / folder).is_dir()), found)
    if there != found and not found.exists():
        _copy(there, found)
    return found


def _last() -> tuple[Path, ...]:
    """Return a folder where everybody may make one, if it is ours: kernels are code."""
    last = Path(tempfile.gettempdir()) / f"consortium-{os.getuid()}"
    try:
        last.mkdir(mode=0o700, exist_ok=True)
        ours = last.lstat().st_uid == os.getuid() and not last.is_symlink()
    except OSError:
        return ()
    return (last,) if ours else ()


def _can_be_written(place: Path) -> bool:
    try:
        place.mkdir(parents=True, exist_ok=True)
    except OSError:
        return False
    return os.access(place, os.W_OK)


def _copy(there: Path, found: Path) -> None:
    """Copy a folder so that another process sees either none of it or all."""
    part = Path(tempfile.mkdtemp(prefix=".kernels-", dir=found.parent))
    try:
        shutil.copytree(there, part / found.name)
        (part / found.name).rename(found)
    except OSError:
        if not found.is_dir():  # else another process was faster
            raise
    finally:
        shutil.rmtree(part, ignore_errors=True)
