"""What the parts of a layer keep of it."""

from __future__ import annotations

from typing import Any, Dict, Optional

from aihwkit.nn.modules.base import AnalogLayerBase
from torch import Tensor, nn

from aihwkit_dspt.models.shown_weight import show_weight

HOOKS = (
    "_forward_hooks",
    "_forward_hooks_with_kwargs",
    "_forward_hooks_always_called",
    "_forward_pre_hooks",
    "_forward_pre_hooks_with_kwargs",
    "_backward_hooks",
    "_backward_pre_hooks",
)
"""Where torch keeps the hooks of a module that act on its passes."""


def parameter(source: Tensor, values: Tensor) -> nn.Parameter:
    """Return a parameter with the values of a part of another one, frozen if that is frozen."""
    return nn.Parameter(values.detach().clone().contiguous(), requires_grad=source.requires_grad)


def linear(
    weight: Tensor, bias: Optional[Tensor], source: Tensor, bias_source: Any = None
) -> nn.Linear:
    """Return a linear layer with given weights.

    Args:
        weight: ``[out_features, in_features]`` weights.
        bias: bias of the outputs, if any.
        source: parameter that the weights are from.
        bias_source: parameter that the bias is from.
    """
    out_features, in_features = weight.shape
    # Nothing is drawn for weights that are replaced.
    layer: nn.Linear = nn.utils.skip_init(  # type: ignore[no-untyped-call]
        nn.Linear, in_features, out_features, bias=bias is not None
    )
    layer.weight = parameter(source, weight)
    if bias is not None:
        layer.bias = parameter(bias_source, bias)
    return layer


def keep_hooks(module: nn.Module, replacement: nn.Module) -> None:
    """Give the module that takes the place of another one its mode and its hooks.

    The modules in it keep their own mode.
    """
    replacement.training = module.training
    for name in HOOKS:
        hooks: Dict[int, object] = module.__dict__.get(name) or {}
        if hooks:
            replacement.__dict__[name] = hooks
    # torch calls backward hooks only where this says of which kind they are
    replacement._is_full_backward_hook = module._is_full_backward_hook


def keep_layer(layer: nn.Module, analog: AnalogLayerBase) -> None:
    """Give an analog layer what aihwkit's conversion leaves out of the digital one.

    That is its mode, its hooks, attributes of its own, whether weight and bias are frozen, and a
    ``weight`` and a ``bias`` to look at.
    """
    analog.train(layer.training)
    keep_hooks(layer, analog)
    weight, bias = layer._parameters["weight"], layer._parameters.get("bias")
    assert weight is not None
    for name, value in analog.named_parameters():
        is_bias = name.rpartition(".")[2] == "bias"
        source = bias if bias is not None and is_bias else weight
        value.requires_grad_(source.requires_grad)
    for name, value in vars(layer).items():
        if not name.startswith("_"):
            analog.__dict__.setdefault(name, value)
    show_weight(analog, weight.shape)
