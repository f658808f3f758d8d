"""How kernels are compiled: by Numba, without the interpreter's lock, kept on disk."""

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba
import numpy as np
import numpy.typing as npt

from client.radiomics import kernel_store

Array = npt.NDArray[Any]
Floats = npt.NDArray[np.float64]
# An index without a sign: Numba then adds no check for "counted from the end".
Place = int | np.unsignedinteger[Any]
F = TypeVar("F", bound=Callable[..., Any])

# May regroup sums; never used where the result decides a grey level.
_REGROUP = {"reassoc", "contract", "nsz", "arcp"}
_ALWAYS: Any = {"cache": True, "nogil": True, "error_model": "numpy"}
# Wrappers nobody calls are half of the time that compiling takes.
_NO_WRAPPERS: Any = {"no_cfunc_wrapper": True, "no_cpython_wrapper": True}


kernel_store.use()


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
