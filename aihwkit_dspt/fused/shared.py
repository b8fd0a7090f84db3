"""Tensors as NumPy arrays for compiled loops."""

from __future__ import annotations

from operator import is_
from typing import Any, Optional, Tuple

from torch import Tensor


class SharedArrays:
    """The arrays of tensors on the CPU, in the same memory.

    They are kept: to make one takes as long as a loop over a line.
    """

    def __init__(self) -> None:
        self._tensors: Tuple[Optional[Tensor], ...] = ()
        self._arrays: Tuple[object, ...] = ()

    def __call__(self, *tensors: Tensor) -> Tuple[Any, ...]:
        """Return the arrays of tensors, which may be others than last time."""
        if len(tensors) != len(self._tensors) or not all(map(is_, tensors, self._tensors)):
            # The key comes last: an interrupt in between leaves the arrays to be made again.
            self._arrays = tuple(values.numpy() for values in tensors)
            self._tensors = tensors
        return self._arrays
