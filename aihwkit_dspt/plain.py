"""Plain Python values for NumPy's: what a checkpoint can hold and a message can print."""

from __future__ import annotations

from copy import copy
from dataclasses import dataclass, is_dataclass
from numbers import Real
from typing import Any, Callable

import numpy as np
import torch
from torch import Tensor


@dataclass
class SavedArray:
    """A NumPy array in a checkpoint, which can hold tensors only."""

    values: Tensor


def plain(value: Any) -> Any:
    """Return a setting of a configuration with plain numbers.

    NumPy's scalars, fractions, arrays and tensors without dimensions become Python numbers, other
    arrays and tensors lists. They are looked for in lists, tuples and dicts, too, and in the fields
    of dataclasses, which are changed in place.
    """
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, Real) and not isinstance(value, (int, float)):
        return _as_float(value)
    if isinstance(value, (np.ndarray, Tensor)):
        return value.tolist()
    if is_dataclass(value) and not isinstance(value, type):
        fields = vars(value)
        for name, item in list(fields.items()):
            # Past checks of assignments: a number that gets plain keeps its value.
            fields[name] = plain(item)
        return value
    return with_items(value, plain)


def _as_float(value: Real) -> Any:
    """Return a fraction as a number; one that is too large stays, and checks refuse it."""
    try:
        return float(value)
    except OverflowError:
        return value


def storable(value: Any) -> Any:
    """Return a value of a checkpoint with plain numbers, and :class:`SavedArray` for arrays.

    What has no plain form is returned as it is; tensors stay tensors.
    """
    if isinstance(value, np.generic) or (isinstance(value, np.ndarray) and value.ndim == 0):
        return value.item()
    if type(value) is np.ndarray:
        native = value.dtype.newbyteorder("=")  # torch has no other order
        try:
            return SavedArray(torch.from_numpy(np.array(value, native, order="C")))
        except TypeError:  # an array of strings or objects
            return value
    return with_items(value, storable)


def restored(value: Any) -> Any:
    """Return a value of a checkpoint with its NumPy arrays, see :func:`storable`."""
    if isinstance(value, SavedArray):
        return value.values.cpu().numpy()
    return with_items(value, restored)


def with_items(value: Any, function: Callable[[object], object]) -> object:
    """Return a container with changed items (and keys), the same one if none changes.

    Other values are returned as they are.
    """
    if isinstance(value, dict):
        items = [(function(key), function(item)) for key, item in value.items()]
        if all(a is c and b is d for (a, b), (c, d) in zip(items, value.items())):
            return value
        changed = copy(value)  # keeps the attributes that torch gives to state dicts
        changed.clear()
        for key, item in items:
            changed[key] = item
        return changed
    if type(value) in (list, tuple, set):
        new = [function(item) for item in value]
        return value if all(a is b for a, b in zip(new, value)) else type(value)(new)
    return value
