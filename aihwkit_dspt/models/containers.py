"""aihwkit's containers around converted layers."""

from __future__ import annotations

import copyreg
from contextlib import contextmanager
from typing import Dict, Iterator, SupportsIndex, Type

from aihwkit.nn.modules.container import AnalogSequential, AnalogWrapper
from torch import nn

WRAPPERS: Dict[type, type] = {}
"""Class of a model -> aihwkit's wrapper of it."""


@contextmanager
def own_wrapper(kind: type) -> Iterator[None]:
    """Let aihwkit wrap a model in its own class, whatever other classes have the same name.

    aihwkit looks wrappers up by that name, and takes the first one for all of them. Its class is in
    no module, where ``pickle`` looks for it; ours is made anew from the class of the model.
    """
    name, known = f"{AnalogWrapper.__name__}{kind.__name__}", AnalogWrapper.SUBCLASSES
    before = known.pop(name, None)
    if kind in WRAPPERS:
        known[name] = WRAPPERS[kind]
    try:
        yield
    finally:
        made = known.pop(name, None)
        if made is not None and kind not in WRAPPERS:
            WRAPPERS[kind] = made
            made.__reduce_ex__ = _reduced
        if before is not None:
            known[name] = before


def wrapped(model: nn.Module) -> nn.Module:
    """Return a model in aihwkit's wrapper of its class."""
    with own_wrapper(type(model)):
        analog: nn.Module = AnalogWrapper(model)
    return analog


def _reduced(self: nn.Module, protocol: SupportsIndex) -> object:
    """Return how a wrapped model is made again, for ``pickle`` and ``torch.save``."""
    wrapper = type(self)
    reduced = super(wrapper, self).__reduce_ex__(max(2, int(protocol)))
    if isinstance(reduced, tuple) and reduced[0] is copyreg.__newobj__ and len(reduced[1]) == 1:  # type: ignore[attr-defined]
        return (_empty, (wrapper.__bases__[1],), *reduced[2:])
    return reduced  # the model has a way of its own


def _empty(kind: Type[nn.Module]) -> nn.Module:
    """Return the wrapper of a model that is about to be unpickled."""
    return wrapped(kind.__new__(kind))


class SameSequential:
    """aihwkit's ``AnalogSequential`` of the same modules, with all else that it has."""

    @staticmethod
    def from_digital(module: nn.Sequential, *_: object) -> nn.Module:
        """Return aihwkit's container of the modules in their places."""
        analog: nn.Module = AnalogSequential()
        analog.__dict__.update(vars(module))
        return analog
