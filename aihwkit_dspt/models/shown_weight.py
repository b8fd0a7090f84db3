"""The weights of an analog layer as other code reads them."""

from __future__ import annotations

from typing import Any, Callable, Dict, Iterable, Optional, Sequence, Tuple

import torch
from aihwkit.exceptions import TileError
from aihwkit.nn.modules.base import AnalogLayerBase
from torch import Tensor
from torch.utils._pytree import tree_flatten, tree_map

OF_SHAPE = {
    *("__get__:dtype", "__get__:grad", "__get__:grad_fn", "__get__:is_leaf", "__get__:is_meta"),
    *("__get__:is_quantized", "__get__:is_sparse", "__get__:itemsize", "__get__:layout"),
    *("__get__:names", "__get__:nbytes", "__get__:ndim", "__get__:requires_grad"),
    *("__get__:shape", "__len__", "stride", "is_contiguous", "storage_offset", "dim", "size"),
    *("element_size", "is_complex", "is_floating_point", "is_signed", "nelement", "numel"),
}
"""What can be said without the layer."""

OF_DEVICE = {
    *("__get__:device", "__get__:is_cpu", "__get__:is_cuda", "get_device", "empty_like"),
    *("ones_like", "zeros_like", "full_like", "rand_like", "randn_like", "new_zeros", "new_empty"),
    *("new_ones", "new_full", "new_tensor"),
}
"""What can be said from the device of the layer, without values."""

PRODUCTS = {
    *("linear", "bilinear", "embedding", "multi_head_attention_forward", "einsum", "tensordot"),
    *("matmul", "__matmul__", "__rmatmul__", "mm", "bmm", "mv", "addmm", "addmv", "baddbmm"),
    *("conv1d", "conv2d", "conv3d", "conv_transpose1d", "conv_transpose2d", "conv_transpose3d"),
}
"""What the array of the layer does, and learns from."""

IN_PLACE = {
    *("__set__", "__setitem__", "__delete__", "__iadd__", "__isub__", "__imul__", "__ifloordiv__"),
    *("__itruediv__", "__imod__", "__ipow__", "__iand__", "__ior__", "__ixor__", "__idiv__"),
}
"""Writing operations without an underscore at the end."""


class ShownWeight(Tensor):
    """The weights of an analog layer, to look at.

    The weights are in the arrays of the layer. Other code reads data type, device and shape of
    ``layer.weight``, and sometimes its values: these are the ones that are in use at that time,
    without a gradient. Nothing is kept here.

    What would look like training or multiplying with the weights and be none is refused: writing
    into them, and products, in which the arrays would have no part.

    Args:
        layer: the analog layer.
        shape: shape of the weights of the digital layer.
        dtype: data type of the tiles, if the layer cannot be asked.

    Raises:
        TileError: when it is written to or multiplied with.
    """

    _layer: AnalogLayerBase

    @staticmethod
    def __new__(
        cls, layer: AnalogLayerBase, shape: Sequence[int], dtype: Optional[torch.dtype] = None
    ) -> ShownWeight:
        """Return a tensor without memory of its own."""
        dtype = dtype or next(layer.analog_tiles()).get_dtype()
        shown: ShownWeight = torch.empty(1, dtype=dtype).expand(*shape).as_subclass(cls)
        shown._layer = layer
        return shown

    @classmethod
    def __torch_function__(
        cls,
        func: Callable[..., Any],
        types: Iterable[type],
        args: Tuple[Any, ...] = (),
        kwargs: Optional[Dict[str, Any]] = None,
    ) -> Any:
        """Answer from the arrays of the layer."""
        kwargs = kwargs or {}
        name = _name_of(func)
        if name == "__get__:data":
            return args[0]
        if name in OF_SHAPE:
            return super().__torch_function__(func, types, args, kwargs)  # type: ignore[no-untyped-call]
        _refuse(name, args, kwargs)
        read = _without_values if name in OF_DEVICE else _values
        args, kwargs = tree_map(read, args), tree_map(read, kwargs)
        return func(*args, **kwargs)

    def __deepcopy__(self, memo: Dict[int, Any]) -> ShownWeight:
        # The layer is being copied, or its copy would show this layer's weights.
        return ShownWeight(memo.get(id(self._layer), self._layer), self.shape, self.dtype)

    def __reduce_ex__(self, protocol: Any) -> Any:
        return ShownWeight, (self._layer, tuple(self.shape), self.dtype)

    def __repr__(self, *, tensor_contents: Any = None) -> str:  # type: ignore[override]
        return f"weight of {type(self._layer).__name__}, shape {list(self.shape)}"


def show_weight(layer: AnalogLayerBase, shape: Sequence[int]) -> None:
    """Let an analog layer show its weights as ``layer.weight``.

    Args:
        layer: the analog layer.
        shape: shape of the weights of the digital layer.
    """
    layer.weight = ShownWeight(layer, shape)


def _name_of(func: Any) -> str:
    """Return the name of a function; those of attributes say which one is asked for."""
    name: str = getattr(func, "__name__", "")
    return f"{name}:{getattr(func.__self__, '__name__', '')}" if name == "__get__" else name


def _refuse(name: str, args: Tuple[Any, ...], kwargs: Dict[str, Any]) -> None:
    """Raise ``TileError`` for an operation that would have no effect on the arrays."""
    writes = name in IN_PLACE or (name.endswith("_") and not name.endswith("__"))
    # torch.nn.init hands its tensor on by name
    written = args[:1] or kwargs.get("tensor") if writes else None
    targets = tree_flatten((written, kwargs.get("out")))[0]
    if any(isinstance(target, ShownWeight) for target in targets):
        what = "an assignment" if name == "__set__" else name
        raise TileError(
            f"{what} would not reach the arrays of an analog layer, whose weight only shows what "
            "they hold: pass new weights to layer.set_weights(weight, bias)"
        )
    if name in PRODUCTS:
        raise TileError(
            f"{name} with the weight of an analog layer would neither use its arrays nor train "
            "them: call the layer, or take weight.detach(), which is a digital copy"
        )


def _values(item: Any) -> Any:
    """Return the weights that are in use for one that shows them."""
    if not isinstance(item, ShownWeight):
        return item
    weight: Tensor = item._layer.get_weights()[0]
    return weight.detach().reshape(item.shape).to(_device(item)).clone()


def _without_values(item: Any) -> Any:
    """Return a tensor of the same kind without memory for a weight that is shown."""
    if not isinstance(item, ShownWeight):
        return item
    return torch.empty(1, dtype=item.dtype, device=_device(item)).expand(item.shape)


def _device(shown: ShownWeight) -> torch.device:
    return torch.device(next(shown._layer.analog_tiles()).device)
