"""Arithmetic on small tensors: NumPy on the CPU, torch on a GPU.

Of a torch operation on some hundred values most of the time is the way to it; NumPy takes a third.
Both share the memory of the tensor, and the few names that are used here mean the same in both.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor


def as_array(values: Any) -> Any:
    """Return a CPU tensor as the NumPy array that shares its memory; anything else as it is."""
    return values.numpy() if isinstance(values, Tensor) and not values.is_cuda else values


def module_of(values: Any) -> Any:
    """Return the module with the functions for an array: ``numpy`` or ``torch``."""
    return np if isinstance(values, np.ndarray) else torch
