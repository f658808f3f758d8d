"""How kernels are compiled: by Numba, without the interpreter's lock, kept on disk.

The folder they are kept in carries a digest of the files that hold kernels, because Numba
itself does not notice that a function called from another file has changed.
"""

import hashlib
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar, cast

import numba
import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
Floats = npt.NDArray[np.float64]
# An index without a sign: Numba then adds no check for "counted from the end".
Place = int | np.unsignedinteger[Any]
F = TypeVar("F", bound=Callable[..., Any])

_HERE = Path(__file__).parent
_MARKS = (b"@kernel", b"@inner", b"@regrouping")
# May regroup sums; never used where the result decides a grey level.
_REGROUP = {"reassoc", "contract", "nsz", "arcp"}
_ALWAYS: Any = {"cache": True, "nogil": True, "error_model": "numpy"}
# Wrappers nobody calls are half of the time that compiling takes.
_NO_WRAPPERS: Any = {"no_cfunc_wrapper": True, "no_cpython_wrapper": True}


def cache_folder() -> Path:
    """Return the folder of this version's compiled kernels."""
    digest = hashlib.sha256(numba.__version__.encode())
    for path in sorted(_HERE.glob("*.py")):
        text = path.read_bytes()
        if any(mark in text for mark in _MARKS):
            digest.update(text)
    return _writable_folder() / f"kernels-{digest.hexdigest()[:16]}"


def _writable_folder() -> Path:
    """Return the first place that can be written: beside the code, the user's, a temporary one."""
    user = Path(os.environ.get("XDG_CACHE_HOME", "") or Path("~/.cache").expanduser())
    for folder in (_HERE / "__pycache__", user / "consortium"):
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError:
            continue
        if os.access(folder, os.W_OK):
            return folder
    return Path(tempfile.gettempdir()) / f"consortium-{os.getuid()}"


if "NUMBA_CACHE_DIR" not in os.environ:
    config: Any = numba.config
    config.CACHE_DIR = str(cache_folder())


def kernel(function: F) -> F:
    """Compile a function that keeps the order of floating-point operations as written."""
    options: dict[str, Any] = {**_ALWAYS, "no_cfunc_wrapper": True}
    compiled: Any = numba.njit(**options)(function)
    return cast(F, compiled)


def inner(function: F) -> F:
    """Compile the same for other kernels only: without a way in from Python."""
    compiled: Any = numba.njit(**_ALWAYS, **_NO_WRAPPERS)(function)
    return cast(F, compiled)


def regrouping(function: F) -> F:
    """Compile for other kernels a function whose sums may be taken in any order."""
    compiled: Any = numba.njit(**_ALWAYS, **_NO_WRAPPERS, fastmath=_REGROUP)(function)
    return cast(F, compiled)
