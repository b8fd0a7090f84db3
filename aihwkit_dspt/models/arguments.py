"""What a conversion takes, and what it refuses."""

from __future__ import annotations

from typing import Iterable, List, Sequence, Set

from aihwkit.exceptions import ArgumentError
from aihwkit.simulator.parameters.base import RPUConfigBase
from torch import Tensor

from aihwkit_dspt.configs.checks import require_module, shown, suggestion


def check(model: object, rpu_config: object) -> None:
    """Raise ``ArgumentError`` unless a model and a configuration were given."""
    require_module("model", model)
    if not isinstance(rpu_config, RPUConfigBase):
        raise ArgumentError(
            f"rpu_config={shown(rpu_config)} is not valid: pass an instance of an RPU "
            "configuration, e.g. build_config('e-rider', SoftBoundsDevice())"
        )


def check_optional(function: object, tile_module_class: object) -> None:
    """Raise ``ArgumentError`` unless these are ``None`` or a function and a class."""
    if function is not None and not callable(function):
        raise ArgumentError(
            f"specific_rpu_config_fun={shown(function)} is not valid: pass a function of name, "
            "layer and configuration, or None"
        )
    if tile_module_class is not None and not isinstance(tile_module_class, type):
        raise ArgumentError(
            f"tile_module_class={shown(tile_module_class)} is not valid: pass a class or None"
        )


def require_returned(called: str, config: object) -> None:
    """Raise ``ArgumentError`` unless a function of the caller returned a configuration.

    aihwkit takes ``None``, which a function without ``return`` has, for a configuration of its own.
    """
    if not isinstance(config, RPUConfigBase):
        raise ArgumentError(
            f"{called}: specific_rpu_config_fun returned {shown(config)}: return the configuration "
            "of the layer, such as the copy of rpu_config that it gets"
        )


def names_of(names: object) -> List[str]:
    """Return names of modules as a list."""
    if not isinstance(names, Iterable) or isinstance(names, (str, bytes, Tensor)):
        raise ArgumentError(
            f"exclude_modules={shown(names)} is not valid: pass a list of names of modules"
        )
    return list(names)


def require_known(names: Sequence[object], known: Set[str]) -> None:
    """Raise ``ArgumentError`` for a name that no module has."""
    for name in names:
        if not isinstance(name, str) or name not in known:
            hint = suggestion(str(name), known)
            raise ArgumentError(f"exclude_modules has {shown(name)}, which is no module{hint}")
