"""The bias of an analog layer as other code reads it."""

from __future__ import annotations

from typing import Any, Callable, Dict, Mapping, Optional, Tuple

import torch
from aihwkit.nn.modules.base import AnalogLayerBase
from torch import Tensor, nn
from torch.utils._pytree import tree_map

from aihwkit_dspt.models.shown import Shown


class ShownBias(Shown):
    """The bias of an analog layer, to look at and to compute with.

    aihwkit leaves ``True`` at ``layer.bias``; the parameter is in the tile. What is computed with
    this one is computed with that parameter, gradient included. A bias in the array
    (``digital_bias=False``) has the value that is in use, without a gradient.

    Args:
        layer: the analog layer.
        bias: its bias.

    Raises:
        TileError: when it is written to.
    """

    _layer: AnalogLayerBase

    @staticmethod
    def __new__(cls, layer: AnalogLayerBase, bias: Tensor) -> ShownBias:
        """Return a tensor without memory of its own."""
        empty = torch.empty(1, dtype=bias.dtype).expand(bias.shape)
        shown: ShownBias = empty.as_subclass(cls)
        shown._layer = layer
        return shown

    @classmethod
    def _answer(
        cls,
        name: str,
        func: Callable[..., object],
        args: Tuple[object, ...],
        kwargs: Dict[str, object],
    ) -> object:
        return func(*tree_map(_live, args), **tree_map(_live, kwargs))

    def __deepcopy__(self, memo: Mapping[int, object]) -> ShownBias:
        # The layer is being copied, or its copy would show this layer's bias.
        return ShownBias(memo.get(id(self._layer), self._layer), self)

    def __reduce_ex__(self, protocol: object) -> Any:
        return _again, (self._layer, tuple(self.shape), self.dtype)

    def __repr__(self, *, tensor_contents: object = None) -> str:  # type: ignore[override]
        return f"bias of {type(self._layer).__name__}, shape {list(self.shape)}"


def digital_bias(layer: AnalogLayerBase) -> Optional[nn.Parameter]:
    """Return the digital bias of a layer, ``None`` if it has none."""
    found = layer.analog_module._parameters.get("bias")
    return found if isinstance(found, nn.Parameter) else None


def show_bias(layer: AnalogLayerBase) -> None:
    """Let an analog layer show its bias as ``layer.bias``, or ``None`` where it has none."""
    if not isinstance(layer.__dict__.get("bias"), (bool, ShownBias)):
        return
    bias = digital_bias(layer)
    value = layer.get_weights()[1] if bias is None else bias
    layer.bias = None if value is None else ShownBias(layer, value)


def _live(item: Any) -> Any:
    """Return the bias that is in use for one that shows it."""
    if not isinstance(item, ShownBias):
        return item
    bias: object = digital_bias(item._layer)
    if bias is not None:
        return bias
    value: Any = item._layer.get_weights()[1]
    return value.detach().to(next(item._layer.analog_tiles()).device).clone()


def _again(layer: AnalogLayerBase, shape: Tuple[int, ...], dtype: torch.dtype) -> ShownBias:
    """Return a bias that was pickled; its layer may not be whole yet."""
    return ShownBias(layer, torch.empty(1, dtype=dtype).expand(shape))
