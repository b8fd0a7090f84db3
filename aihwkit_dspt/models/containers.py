"""aihwkit's containers around converted layers."""

from __future__ import annotations

from contextlib import contextmanager
from typing import Any, Dict, Iterator

from aihwkit.nn.modules.container import AnalogSequential, AnalogWrapper
from torch import nn

WRAPPERS: Dict[type, type] = {}
"""Class of a model -> aihwkit's wrapper of it."""


@contextmanager
def own_wrapper(kind: type) -> Iterator[None]:
    """Let aihwkit wrap a model in its own class, whatever other classes have the same name.

    aihwkit looks wrappers up by that name, and takes the first one for all of them.
    """
    name, known = f"{AnalogWrapper.__name__}{kind.__name__}", AnalogWrapper.SUBCLASSES
    before = known.pop(name, None)
    if kind in WRAPPERS:
        known[name] = WRAPPERS[kind]
    try:
        yield
    finally:
        made = known.pop(name, None)
        if made is not None:
            WRAPPERS[kind] = made
        if before is not None:
            known[name] = before


class SameSequential:
    """aihwkit's ``AnalogSequential`` of the same modules, whatever the mode."""

    @staticmethod
    def from_digital(module: nn.Sequential, *_: Any) -> nn.Module:
        """Return aihwkit's container of the modules in their places."""
        analog: nn.Module = AnalogSequential()
        analog._modules.update(module._modules)
        return analog
