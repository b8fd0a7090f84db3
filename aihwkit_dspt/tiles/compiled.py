"""Loops over cells as machine code, by Numba."""

from __future__ import annotations

from typing import Any, Callable, TypeVar

from numba import njit

Function = TypeVar("Function", bound=Callable[..., Any])


def compiled(function: Function) -> Function:
    """Return a function on NumPy arrays that is compiled at its first call.

    The machine code is kept on disk, by Numba's rules (beside the package, else in the user's cache
    directory or that of the environment variable ``NUMBA_CACHE_DIR``), so that later processes need
    not compile. Roundings are those of NumPy: no fast math, no fused multiply-add.
    """
    return _compiled(function)


def compiled_sums(function: Function) -> Function:
    """Return a compiled function whose sums may be taken in any order, with fused multiply-adds.

    For matrix products, which every library sums in an order of its own.
    """
    return _compiled(function, fastmath={"reassoc", "contract", "nsz"})


def _compiled(function: Function, **options: Any) -> Function:
    faster: Function
    try:
        faster = njit(cache=True, **options)(function)
    except RuntimeError:  # there is no place to write to
        faster = njit(**options)(function)
    return faster
