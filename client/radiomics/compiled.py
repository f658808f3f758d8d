"""How kernels are compiled: by Numba, without the interpreter's lock, kept on disk.

The folder they are kept in carries a digest of this package's sources, because Numba
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
# May regroup sums; never used where the result decides a grey level.
_REGROUP = {"reassoc", "contract", "nsz", "arcp"}


def cache_folder() -> Path:
    """Return the folder of this version's compiled kernels."""
    digest = hashlib.sha256()
    for path in sorted(_HERE.glob("*.py")):
        digest.update(path.read_bytes())
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
    compiled: Any = numba.njit(cache=True, nogil=True, error_model="numpy")(function)
    return cast(F, compiled)


def regrouping_kernel(function: F) -> F:
    """Compile a function whose sums may be taken in any order."""
    compiled: Any = numba.njit(cache=True, nogil=True, error_model="numpy", fastmath=_REGROUP)(
        function
    )
    return cast(F, compiled)
