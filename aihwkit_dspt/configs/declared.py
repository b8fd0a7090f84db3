"""Check of aihwkit's parameters against the types that their dataclasses declare."""

from __future__ import annotations

from dataclasses import MISSING, Field, fields, is_dataclass
from enum import Enum
from typing import Any, List, get_type_hints

from aihwkit.exceptions import ConfigError

from aihwkit_dspt.configs.checks import (
    MOST,
    is_whole,
    require,
    require_bool,
    require_enum,
    require_number,
)

LARGEST_SEED = 2**32 - 1
"""Largest seed of aihwkit's devices."""


def check_declared(field: str, parameters: Any) -> None:
    """Check each number, flag and enumeration of a dataclass of aihwkit.

    aihwkit declares the types but does not look at them: a text as ``dw_min`` or ``nan`` as
    ``up_down`` ends in a ``TypeError`` of the bindings, or trains to ``nan``. ``None`` is left
    alone where it is the default.

    Raises:
        ConfigError: naming the field of the first value that is not of its declared type, or a
            number that is not finite; or a field of somebody's own whose type aihwkit cannot read.
    """
    types = get_type_hints(type(parameters))
    in_python = getattr(parameters, "bindings_ignore", ())
    for item in fields(parameters):
        is_text = isinstance(item.type, str) and item.name not in in_python
        if is_text and hasattr(parameters, "bindings_class"):
            raise ConfigError(
                f"{field}.{item.name} is annotated with the text {item.type!r}, and aihwkit needs "
                f"a class: remove 'from __future__ import annotations' from the file of "
                f"{type(parameters).__name__}"
            )
        value = getattr(parameters, item.name)
        if value is not None or not _is_none_by_default(item):
            _check(f"{field}.{item.name}", value, types[item.name])


def _is_none_by_default(item: Field[Any]) -> bool:
    if item.default_factory is not MISSING:
        return item.default_factory() is None
    return item.default is None


def _check(field: str, value: Any, declared: object) -> None:
    if declared is bool:
        require_bool(field, value)
    elif declared is int:
        low, high = (0, LARGEST_SEED) if field.endswith("construction_seed") else (-MOST, MOST)
        is_fit = is_whole(value) and low <= value <= high
        require(is_fit, field, value, f"pass a whole number from {low} to {high}")
    elif declared is float:
        require_number(field, value)
    elif declared == List[float]:
        require(isinstance(value, list), field, value, "pass a list of numbers")
        for number, part in enumerate(value):
            require_number(f"{field}[{number}]", part)
    elif isinstance(declared, type) and issubclass(declared, Enum):
        require_enum(field, value, declared)
    elif isinstance(declared, type) and is_dataclass(declared):
        require(isinstance(value, declared), field, value, f"pass {declared.__name__}()")
        check_declared(field, value)
