"""Construction-time checks that name the field, its value and what to pass instead."""

from __future__ import annotations

import math
import os
from dataclasses import fields
from difflib import get_close_matches
from enum import Enum
from inspect import isabstract
from numbers import Integral, Real
from pathlib import Path
from typing import Any, Callable, Iterable, Optional, Sequence, Type, TypeGuard, TypeVar

from aihwkit.exceptions import ArgumentError, ConfigError
from torch.nn import Module

from aihwkit_dspt.plain import plain

T = TypeVar("T")


def suggestion(name: str, known: Iterable[str]) -> str:
    """Return ``"; did you mean 'x'?"`` for the known name nearest to ``name``, or nothing."""
    close = get_close_matches(name, list(known), n=1)
    return f"; did you mean '{close[0]}'?" if close else ""


def strict_fields(cls: Type[T]) -> Type[T]:
    """Class decorator: an unknown field of a dataclass raises ``ConfigError``.

    It guards the constructor and later assignments, because aihwkit's own configs accept a
    misspelled attribute silently until the tile is built. NumPy's numbers become plain ones, see
    :func:`~aihwkit_dspt.plain.plain`: with them a configuration could be saved but not loaded.
    A method ``_guard(field, value)`` of the class may refuse more.
    """
    names = {item.name for item in fields(cls)}  # type: ignore[arg-type]
    plain_init: Callable[..., None] = cls.__init__

    def __init__(self: Any, *args: Any, **kwargs: Any) -> None:
        for key in kwargs:
            if key not in names:
                raise ConfigError(f"{cls.__name__} has no field '{key}'{suggestion(key, names)}")
        plain_init(self, *args, **kwargs)

    def __setattr__(self: Any, key: str, value: object) -> None:
        # A subclass may add fields of its own; dunder-like names are left to Python.
        if key not in self.__dataclass_fields__ and not key.startswith("_"):
            raise ConfigError(
                f"{type(self).__name__} has no field '{key}'"
                f"{suggestion(key, self.__dataclass_fields__)}"
            )
        guard = getattr(self, "_guard", None)
        if guard is not None:
            guard(key, value)
        object.__setattr__(self, key, plain(value))

    cls.__init__ = __init__  # type: ignore[method-assign]
    cls.__setattr__ = __setattr__  # type: ignore[method-assign]
    return cls


def require(condition: bool, field: str, value: object, remedy: str) -> None:
    """Raise ``ConfigError``, which names field, value and remedy, unless ``condition`` holds."""
    if not condition:
        raise ConfigError(f"{field}={value!r} is not valid: {remedy}")


def require_argument(
    name: str,
    value: object,
    low: float = -math.inf,
    high: float = math.inf,
    low_open: bool = False,
) -> float:
    """Return a number that was passed to a function as a plain ``float``.

    NumPy's numbers are numbers; tensors and arrays are not. ``low_open`` bars ``low`` itself.

    Raises:
        ArgumentError: if the value is of another type, not finite or out of range.
    """
    number = _as_float(value)
    if not _is_within(number, low, high, low_open):
        bracket = "(" if low_open or low == -math.inf else "["
        closing = ")" if high == math.inf else "]"
        raise ArgumentError(
            f"{name}={shown(value)} is not valid: pass a number in "
            f"{bracket}{low:g}, {high:g}{closing}"
        )
    return number


def _as_float(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, Real):
        return math.nan
    try:
        return float(value)
    except OverflowError:
        return math.inf


def is_whole(value: object) -> TypeGuard[int]:
    """Return whether a value is a whole number, a flag being none."""
    return isinstance(value, Integral) and not isinstance(value, bool)


def _is_within(number: float, low: float, high: float, low_open: bool) -> bool:
    above = low < number if low_open else low <= number
    return math.isfinite(number) and above and number <= high


MOST = 2**63 - 1
"""Largest whole number of a simulator that counts in 64 bits."""

LARGEST = (2.0 - 2.0**-23) * 2.0**127
"""Largest number in single precision."""


def require_whole(name: str, value: object, low: Optional[int] = None, high: int = MOST) -> int:
    """Return a whole number that was passed to a function as a plain ``int``.

    NumPy's integers are whole numbers; floats and tensors are not. The smallest one is ``low``, or
    the negative of the largest one.

    Raises:
        ArgumentError: if the value is of another type or out of range.
    """
    least = -high if low is None else low
    if not is_whole(value) or not least <= value <= high:
        raise ArgumentError(
            f"{name}={shown(value)} is not valid: pass a whole number from {least} to {high}"
        )
    return int(value)


def require_flag(name: str, value: object) -> bool:
    """Return a flag that was passed to a function.

    Raises:
        ArgumentError: unless it is ``True`` or ``False``.
    """
    if not isinstance(value, bool):
        raise ArgumentError(f"{name}={shown(value)} is not valid: pass True or False")
    return value


def require_choice(name: str, value: object, known: Sequence[str]) -> str:
    """Return a word that was passed to a function.

    Raises:
        ArgumentError: unless it is one of the known ones.
    """
    if not isinstance(value, str) or value not in known:
        hint = suggestion(value, known) if isinstance(value, str) else ""
        raise ArgumentError(f"{name}={shown(value)} is not known: pass one of {list(known)}{hint}")
    return value


def require_module(name: str, value: object) -> Module:
    """Return a module that was passed to a function.

    Raises:
        ArgumentError: if it is something else.
    """
    if not isinstance(value, Module):
        raise ArgumentError(f"{name}={shown(value)} is not valid: pass a torch.nn.Module")
    return value


def require_path(name: str, value: object) -> Path:
    """Return the path of a file.

    Raises:
        ArgumentError: if the value is neither a text nor a path, e.g. an open file.
    """
    path = os.fspath(value) if isinstance(value, (str, os.PathLike)) else None
    if not isinstance(path, str) or path == "" or "\0" in path:
        raise ArgumentError(
            f"{name}={shown(value)} is not valid: pass the path of a file, as a str or Path"
        )
    return Path(path)


def shown(value: object) -> str:
    """Return a value for a message: in one line and not at length."""
    shape = getattr(value, "shape", None)
    if shape is not None and len(shape) > 0:
        return f"{type(value).__name__} of shape {list(shape)}"
    text = " ".join(repr(value).split())
    return text if len(text) <= 80 else f"{text[:77]}..."


def require_number(
    field: str,
    value: object,
    low: float = -math.inf,
    high: float = math.inf,
    low_open: bool = False,
) -> None:
    """Raise ``ConfigError`` unless the value of a field is a finite number in ``[low, high]``.

    Finite in single precision, in which arrays are simulated. ``low_open`` bars ``low`` itself.
    """
    number = _as_float(value)
    fits = _is_within(number, low, high, low_open)
    remedy = f"pass a finite number in {'(' if low_open else '['}{low}, {high}]"
    require(fits, field, value, remedy)
    require(abs(number) <= LARGEST, field, value, f"pass a number of size {LARGEST:.1e} at most")
    # torch takes no whole numbers of more bits.
    is_long = is_whole(value) and not -MOST <= value <= MOST
    require(not is_long, field, value, f"pass {number!r}")


def require_enum(field: str, value: object, enum: Type[Enum]) -> None:
    """Raise ``ConfigError`` unless ``value`` is a member of ``enum``."""
    choices = ", ".join(f"{enum.__name__}.{item.name}" for item in enum)
    require(isinstance(value, enum), field, value, f"pass one of {choices}")


def require_bool(field: str, value: object) -> None:
    """Raise ``ConfigError`` unless ``value`` is a bool."""
    require(isinstance(value, bool), field, value, "pass True or False")


def require_subclass(field: str, value: object, base: type) -> None:
    """Raise ``ConfigError`` unless ``value`` is a class derived from ``base``, not abstract."""
    require(
        isinstance(value, type) and issubclass(value, base) and not isabstract(value),
        field,
        value,
        f"pass a class derived from {base.__name__}, with all of its methods",
    )
