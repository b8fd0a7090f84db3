"""Loops over cells as machine code, by Numba."""

from __future__ import annotations

from contextlib import suppress
from typing import Any, Callable, TypeVar
from warnings import warn

from numba import njit
from numba.core.caching import FunctionCache

Function = TypeVar("Function", bound=Callable[..., Any])


def compiled(function: Function) -> Function:
    """Return a function on NumPy arrays that is compiled at its first call.

    The machine code is kept on disk, by Numba's rules (beside the package, else in the user's cache
    directory or that of the environment variable ``NUMBA_CACHE_DIR``), so that later processes need
    not compile. Roundings are those of NumPy: no fast math, no fused multiply-add.
    """
    return _compiled(function)


def compiled_inside(function: Function) -> Function:
    """Return a compiled function that becomes a part of the loops that call it.

    For the inside of loops over cells, where a call with arrays takes longer than what it does.
    """
    return _compiled(function, forceinline=True)


def compiled_sums(function: Function) -> Function:
    """Return a compiled function whose sums may be taken in any order, with fused multiply-adds.

    For matrix products, which every library sums in an order of its own.
    """
    return _compiled(function, fastmath={"reassoc", "contract", "nsz"})


class _ForgivingCache(FunctionCache):
    """Numba's files of machine code; everything works without them, too."""

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        """Return the machine code for a signature, ``None`` if there is none or it is damaged."""
        try:
            return super().load_overload(sig, target_context)
        except Exception as exception:  # whatever damaged files raise
            self._give_up("read", exception)
            return None

    def save_overload(self, sig: Any, data: Any) -> None:
        """Keep machine code, if there is a place for it."""
        try:
            super().save_overload(sig, data)
        except Exception as exception:  # a full disk, or a damaged index
            self._give_up("write", exception)

    def _give_up(self, what: str, exception: Exception) -> None:
        """Warn, and start the files anew where that is possible."""
        warn(
            f"Numba cannot {what} its files in {self.cache_path} ({type(exception).__name__}: "
            f"{exception}): functions are compiled in each process until that works. Make room "
            "there, or set NUMBA_CACHE_DIR to another folder",
            RuntimeWarning,
            stacklevel=2,
        )
        with suppress(OSError):
            self.flush()


def _compiled(function: Function, **options: Any) -> Function:
    faster: Any = njit(**options)(function)
    with suppress(RuntimeError):  # there is no place to write to
        faster._cache = _ForgivingCache(function)
    result: Function = faster
    return result
