"""The weights of an analog layer as other code reads them."""

from __future__ import annotations

from typing import Any, Callable, Dict, NamedTuple, Optional, Sequence, Tuple

import torch
from aihwkit.nn.modules.base import AnalogLayerBase
from torch import Tensor
from torch.utils._pytree import tree_map

from aihwkit_dspt.models.products import PRODUCTS, product
from aihwkit_dspt.models.shown import OF_DEVICE, OF_SHAPE, OF_TRAINING, Shown
from aihwkit_dspt.models.shown_bias import show_bias
from aihwkit_dspt.tiles.assigned import SHOWN

TURNS = {
    *("t", "__get__:T", "__get__:mT", "__get__:H", "__get__:mH", "adjoint"),
    *("transpose", "swapaxes", "swapdims", "permute", "movedim"),
}
"""Views of a matrix that are its transpose, if its two dimensions are exchanged."""

CASTS = {"to", "float", "half", "bfloat16", "type_as"}
"""Views with another data type."""

SAME = {"contiguous", *CASTS}
"""Views in which each weight stays at its place."""

VIEWS = {
    *TURNS,
    *SAME,
    *("view", "reshape", "flatten", "unflatten", "squeeze", "unsqueeze", "expand", "__getitem__"),
    *("chunk", "split", "tensor_split", "unbind", "narrow", "select"),
}
"""What shows the same weights in another way."""


class View(NamedTuple):
    """A way to look at a tensor."""

    func: Callable[..., Any]
    args: Tuple[Any, ...]
    kwargs: Dict[str, Any]
    part: Optional[int]
    """Which of several tensors that ``func`` returns, ``None`` for one."""

    def of(self, values: Tensor) -> Tensor:
        """Return what is seen of values."""
        seen = self.func(values, *self.args, **self.kwargs)
        return seen if self.part is None else seen[self.part]  # type: ignore[no-any-return]


class ShownWeight(Shown):
    """The weights of an analog layer, to look at.

    The weights are in the arrays of the layer. Other code reads data type, device and shape of
    ``layer.weight``, and sometimes its values: these are the ones that are in use at that time,
    without a gradient. Nothing is kept here.

    Some models multiply with the weight of a layer in place of calling the layer. The product of a
    vector with all weights is what the layer does, so the layer is called, and learns from it. What
    would look like training or multiplying with the weights and be none is refused: writing into
    them, and other products, in which the arrays would have no part. A transpose, a part or another
    shape of the weights is shown in the same way.

    Args:
        layer: the analog layer.
        shape: shape of the weights, or of what is seen of them.
        dtype: data type of the tiles, if the layer cannot be asked.
        views: how the weights are seen.
        turned: whether a matrix of all weights is seen from its other side; ``None`` if it is
            no such matrix.

    Raises:
        TileError: when it is written to or multiplied with in another way.
    """

    OF_ITSELF = OF_SHAPE | OF_TRAINING

    _layer: AnalogLayerBase
    _whole: Tuple[int, ...]
    _views: Tuple[View, ...]
    _turned: Optional[bool]

    @staticmethod
    def __new__(
        cls,
        layer: AnalogLayerBase,
        shape: Sequence[int],
        dtype: Optional[torch.dtype] = None,
        whole: Optional[Sequence[int]] = None,
        views: Tuple[View, ...] = (),
        turned: Optional[bool] = False,
    ) -> ShownWeight:
        """Return a tensor without memory of its own."""
        dtype = dtype or next(layer.analog_tiles()).get_dtype()
        shown: ShownWeight = torch.empty((), dtype=dtype).expand(torch.Size(shape)).as_subclass(cls)
        shown._layer, shown._whole = layer, tuple(shape if whole is None else whole)
        shown._views, shown._turned = views, turned
        return shown

    @classmethod
    def _answer(
        cls,
        name: str,
        func: Callable[..., object],
        args: Tuple[object, ...],
        kwargs: Dict[str, object],
    ) -> object:
        if name in PRODUCTS:
            return product(name, args, kwargs)
        if name in VIEWS and args and isinstance(args[0], ShownWeight):
            seen = args[0]._seen(name, func, args[1:], kwargs)
            if seen is not None:
                return seen
        read = _without_values if name in OF_DEVICE else _values
        args, kwargs = tree_map(read, args), tree_map(read, kwargs)
        return func(*args, **kwargs)

    def _seen(
        self,
        name: str,
        func: Callable[..., Any],
        args: Tuple[object, ...],
        kwargs: Dict[str, object],
    ) -> object:
        """Return what another view shows, ``None`` if it is none of the same memory and device."""
        empty = torch.empty(self.shape, dtype=self.dtype, device="meta")
        try:
            made = func(empty, *args, **kwargs)
        except (NotImplementedError, RuntimeError, IndexError, TypeError):
            return None  # with values it works, or says why not

        def show(each: Tensor, part: Optional[int]) -> ShownWeight:
            views = (*self._views, View(func, args, kwargs, part))
            turned = self._turned if each.dim() == 2 else None
            if name in TURNS and turned is not None:
                turned = turned is not _exchanges(func, args, kwargs)
            elif name not in SAME and name not in TURNS:
                turned = None
            return ShownWeight(self._layer, each.shape, each.dtype, self._whole, views, turned)

        if isinstance(made, Tensor):
            return show(made, None) if made.is_meta else None
        return tuple(show(each, part) for part, each in enumerate(made))

    @property
    def _is_cast(self) -> bool:
        return any(view.func.__name__ in CASTS for view in self._views)

    def __deepcopy__(self, memo: Dict[int, object]) -> ShownWeight:
        # The layer is being copied, or its copy would show this layer's weights.
        layer = memo.get(id(self._layer), self._layer)
        return ShownWeight(layer, self.shape, self.dtype, self._whole, self._views, self._turned)

    def __reduce_ex__(self, protocol: object) -> Any:
        if self._views:
            return _values(self).__reduce_ex__(protocol)
        return ShownWeight, (self._layer, tuple(self.shape), self.dtype)

    def __repr__(self, *, tensor_contents: object = None) -> str:  # type: ignore[override]
        return f"weight of {type(self._layer).__name__}, shape {list(self.shape)}"


def _exchanges(
    func: Callable[..., Any], args: Tuple[object, ...], kwargs: Dict[str, object]
) -> bool:
    """Whether a view of a matrix exchanges its dimensions."""
    return bool(func(torch.empty(2, 3, device="meta"), *args, **kwargs).shape == (3, 2))


def show_weight(layer: AnalogLayerBase, shape: Sequence[int]) -> None:
    """Let an analog layer show its weights as ``layer.weight``, and its bias as ``layer.bias``.

    Args:
        layer: the analog layer.
        shape: shape of the weights of the digital layer.
    """
    layer.weight = ShownWeight(layer, shape)
    show_bias(layer)
    layer.__dict__[SHOWN] = {name: layer.__dict__[name] for name in ("weight", "bias")}


def _values(item: Any) -> Any:
    """Return the weights that are in use for one that shows them."""
    if not isinstance(item, ShownWeight):
        return item
    weight: Tensor = item._layer.get_weights()[0]
    values = weight.detach().reshape(item._whole).to(_device(item)).clone()
    for view in item._views:
        values = view.of(values)
    return values


def _without_values(item: Any) -> Any:
    """Return a tensor of the same kind without memory for a weight that is shown."""
    if not isinstance(item, ShownWeight):
        return item
    return torch.empty((), dtype=item.dtype, device=_device(item)).expand(item.shape)


def _device(shown: ShownWeight) -> torch.device:
    return torch.device(next(shown._layer.analog_tiles()).device)
