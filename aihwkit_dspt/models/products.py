"""Products with the weights that an analog layer shows."""

from __future__ import annotations

from typing import Any, Dict, Optional, Tuple

from aihwkit.exceptions import TileError
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves

from aihwkit_dspt.models.shown import Shown, where
from aihwkit_dspt.models.shown_bias import ShownBias, digital_bias

PRODUCTS = {
    *("linear", "bilinear", "embedding", "multi_head_attention_forward", "einsum", "tensordot"),
    *("matmul", "__matmul__", "__rmatmul__", "mm", "bmm", "mv", "addmm", "addmv", "baddbmm"),
    *("conv1d", "conv2d", "conv3d", "conv_transpose1d", "conv_transpose2d", "conv_transpose3d"),
    *("chain_matmul", "multi_dot", "inner", "dot", "addbmm", "ger", "outer", "kron"),
}
"""What the array of the layer does, and learns from."""


def product(name: str, args: Tuple[Any, ...], kwargs: Dict[str, Any]) -> Tensor:
    r"""Return a product with all weights of a layer by calling the layer.

    These are :math:`x W^T` (``linear``, ``addmm``, ``x @ weight.T``) and :math:`W x`
    (``weight @ x``), with any bias.

    Args:
        name: name of the function.
        args: its arguments, with the weight among them.
        kwargs: its keywords.

    Raises:
        TileError: for any other product.
    """
    if name == "linear":
        x, weight, bias = _of_linear(*args, **kwargs)
        if _is_whole(weight, False) and not isinstance(x, Shown):
            return _with_bias(weight, x, bias)
    elif name == "addmm" and len(args) == 3 and not kwargs:
        bias, x, weight = args
        if _is_whole(weight, True) and not isinstance(x, Shown):
            return _with_bias(weight, x, bias)
    elif name in ("matmul", "__matmul__", "__rmatmul__", "mm", "mv") and len(args) == 2:
        left, right = args[::-1] if name == "__rmatmul__" else args
        if _is_whole(right, True) and not isinstance(left, Shown):
            return _with_bias(right, left, None)
        if _is_whole(left, False) and not isinstance(right, Shown):
            if right.dim() == 1:
                return _with_bias(left, right, None)
            return _with_bias(left, right.transpose(-1, -2), None).transpose(-1, -2)
    found = [each for each in tree_leaves((args, kwargs)) if isinstance(each, Shown)]
    layer, digital = where(found[0])
    raise TileError(
        f"{name} with the weight of {layer}, would neither use its arrays nor train them: call the "
        f"layer, leave it digital ({digital}), or take weight.detach(), which is a digital copy"
    )


def _of_linear(
    input: Tensor, weight: Tensor, bias: Optional[Tensor] = None
) -> Tuple[Tensor, Tensor, Optional[Tensor]]:
    return input, weight, bias


def _is_whole(weight: object, turned: bool) -> bool:
    """Whether this is the matrix of all weights of a layer, or its transpose."""
    return (
        isinstance(weight, Shown)
        and getattr(weight, "_turned", None) is turned
        and isinstance(getattr(weight, "_layer", None), nn.Linear)
    )


def _with_bias(weight: Any, x: Tensor, bias: Optional[Tensor]) -> Tensor:
    """Return the product of a layer with another bias than its own, or with none."""
    layer = weight._layer
    output: Tensor = layer(x.to(next(layer.analog_tiles()).get_dtype()) if weight._is_cast else x)
    if not (isinstance(bias, ShownBias) and bias._layer is layer):
        if layer.bias is not None:
            own = digital_bias(layer)
            if own is None:
                raise TileError(
                    f"the bias of {where(weight)[0]}, is in its array, so there is no product "
                    "without it: set mapping.digital_bias=True, or call the layer"
                )
            output = output - own
        output = output if bias is None else output + bias
    return output.to(weight.dtype) if weight._is_cast else output
