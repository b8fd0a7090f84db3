"""Layers that a model holds in lists, methods and objects of its own."""

from __future__ import annotations

from copy import deepcopy
from types import MethodType
from typing import Any, Dict, Iterator, Tuple

from aihwkit.simulator.tiles.module import TileModule
from torch import Tensor, nn

from aihwkit_dspt.models.rows import layers
from aihwkit_dspt.models.shown import Shown
from aihwkit_dspt.tiles.of_model import is_analog_layer

REGISTERS = {"_modules", "_parameters", "_buffers"}
"""Where conversion replaces what torch knows of."""


class _Replaced(Dict[int, object]):
    """What takes the place of a module or a parameter, as a memo of ``deepcopy``.

    Args:
        model: the converted model; what is in it is not copied.
        replaced: ``id`` of a module or parameter -> what it became.
    """

    def __init__(self, model: nn.Module, replaced: Dict[int, object]) -> None:
        super().__init__()
        self.replaced = replaced
        self.is_used = False
        for module in model.modules():
            held = (value for value in vars(module).values() if isinstance(value, Tensor))
            for item in (
                module,
                *module._parameters.values(),
                *module._buffers.values(),
                *held,
            ):
                self[id(item)] = item
        self.update(replaced)

    def get(self, key: int, default: object = None) -> object:
        """Return a copy that is known, and notice that something was replaced."""
        self.is_used |= key in self.replaced
        return super().get(key, default)


def follow(model: nn.Module, before: Dict[str, nn.Module]) -> None:
    """Let everything in a converted model that holds a layer hold what the layer became.

    A forward may call layers by a list (``self.layers = [self.first, self.second]``), a method
    (``self.call = self.first.forward``) or an object of its own. torch knows nothing of these, so
    conversion leaves them with the digital layers, which would compute in place of the arrays.

    Args:
        model: the converted model; its attributes are changed.
        before: the modules of the model before conversion, by name.
    """
    after = dict(model.named_modules(remove_duplicate=False))
    replaced: Dict[int, object] = {}
    for name, module in before.items():
        new = after.get(name, module)
        if new is not module:
            replaced[id(module)] = new
            for key, value in module.named_parameters(recurse=False):
                shown = getattr(new, key, None)
                if isinstance(shown, Shown):
                    replaced[id(value)] = shown
    memo = _Replaced(model, replaced)
    found = [(module, name, _followed(value, memo)) for module, name, value in _attributes(model)]
    if memo.is_used:
        for module, name, value in found:
            module.__dict__[name] = value


def _attributes(model: nn.Module) -> Iterator[Tuple[nn.Module, str, object]]:
    """Yield what modules hold outside of torch's registers."""
    for _, module in layers(model):
        if isinstance(module, TileModule) or is_analog_layer(module):
            continue
        for name, value in vars(module).items():
            if name not in REGISTERS:
                yield module, name, value


def _followed(value: object, memo: _Replaced) -> Any:
    """Return a value that holds what layers became."""
    if isinstance(value, MethodType) and id(value.__self__) in memo.replaced:
        memo.is_used = True
        return getattr(memo.replaced[id(value.__self__)], value.__name__, value)
    try:
        return deepcopy(value, memo)
    except (RuntimeError, TypeError):
        return value  # such as a tensor that was computed
