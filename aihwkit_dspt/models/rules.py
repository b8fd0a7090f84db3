"""Which kinds of layers become analog, and how they are written with layers that aihwkit knows."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from typing import Any, Callable, Dict, List, Optional, Set, Tuple

from aihwkit.nn.conversion import _DEFAULT_CONVERSION_MAP
from torch import nn
from torch.nn.modules.conv import _ConvNd, _ConvTransposeNd

from aihwkit_dspt.models import kept
from aihwkit_dspt.models.attention import Attention
from aihwkit_dspt.models.experts import Experts, are_experts
from aihwkit_dspt.models.grouped import (
    CONVOLUTIONS,
    TRANSPOSED,
    GroupedConv,
    PaddedConv,
    padding_of,
    same_weights,
)
from aihwkit_dspt.models.patches import PatchConv, PatchConvTranspose
from aihwkit_dspt.models.reasons import StaysDigital
from aihwkit_dspt.models.recurrent import Recurrent, RecurrentCell


@dataclass
class Plan:
    """What is asked for, and what is found out on the way through a model."""

    max_groups: int
    """Most groups of a convolution that get arrays of their own."""

    untie: bool
    """Whether a layer whose weights belong to another module, too, becomes analog."""

    excluded: Set[nn.Module]
    """Modules that stay digital as they are."""

    left: List[str]
    """Names of modules that stay digital, those of parts to be included."""

    tied: Dict[int, str]
    """``id`` of a module -> parameter of another one that is its own, too."""

    tied_layers: List[str] = field(default_factory=list)
    """Layers that stay digital because of that."""

    classes: Dict[type, Any] = field(default_factory=lambda: dict(_DEFAULT_CONVERSION_MAP))
    """Class of a layer -> analog class, for aihwkit's conversion."""


Rule = Callable[[Any, str, Plan], nn.Module]
"""Returns the layer as it is, or written with other layers."""


def as_it_is(module: nn.Module, name: str, plan: Plan) -> nn.Module:
    """Leave the layer to aihwkit."""
    return module


def convolution(module: _ConvNd, name: str, plan: Plan) -> nn.Module:
    """Write a convolution so that aihwkit has a layer for it.

    aihwkit's layers have one group and pad both sides with zeros. That of two dimensions is taken.
    Those of one and three dimensions need a tile in one part, have no dilation, and make their
    indices one by one for every new size (seconds for 64 channels of length 500).
    """
    _require_few_groups(module, plan)
    if module.groups > 1:
        return GroupedConv(module)
    pads = padding_of(module)
    if module.padding_mode != "zeros":
        return PaddedConv(module, pads)
    if len(module.kernel_size) != 2:
        return PatchConv(module)
    if not isinstance(module.padding, str):
        return module
    if pads[::2] != pads[1::2]:
        return PaddedConv(module, pads)
    return same_weights(module, padding=tuple(pads[::-2]))  # type: ignore[no-any-return]


def transposed(module: _ConvTransposeNd, name: str, plan: Plan) -> nn.Module:
    """Write a transposed convolution with linear layers."""
    _require_few_groups(module, plan)
    return GroupedConv(module) if module.groups > 1 else PatchConvTranspose(module)


def encoder(module: nn.Module, name: str, plan: Plan) -> nn.Module:
    """Keep an encoder from the nested tensors of torch's fast path, which calls no layer."""
    module.__dict__.update(enable_nested_tensor=False, use_nested_tensor=False)
    return module


def transposed_linear(module: Any, name: str, plan: Plan) -> nn.Module:
    """Write Hugging Face's ``Conv1D`` as a linear layer: its weights are transposed."""
    return kept.linear(module.weight.t(), module.bias, module.weight, module.bias)


def same_linear(module: Any, name: str, plan: Plan) -> nn.Module:
    """Write a linear layer of another library, whose forward is torch's in other words."""
    return kept.linear(module.weight, module.bias, module.weight, module.bias)


def _require_few_groups(module: _ConvNd, plan: Plan) -> None:
    if module.groups > plan.max_groups:
        raise StaysDigital(
            f"{module.groups} groups would take {module.groups} small arrays; pass "
            f"max_groups={module.groups} for them"
        )


RULES: Dict[type, Rule] = {
    nn.Linear: as_it_is,
    **dict.fromkeys(CONVOLUTIONS, convolution),
    **dict.fromkeys(TRANSPOSED, transposed),
    nn.TransformerEncoder: encoder,
    nn.MultiheadAttention: lambda module, name, plan: Attention(module),
    **dict.fromkeys((nn.LSTM, nn.GRU, nn.RNN), lambda module, name, plan: Recurrent(module)),
    **dict.fromkeys(
        (nn.LSTMCell, nn.GRUCell, nn.RNNCell), lambda module, name, plan: RecurrentCell(module)
    ),
}
"""Kind of layer -> its rule; subclasses that have its forward are of its kind."""


OF_LIBRARIES: Dict[Tuple[str, str], Rule] = {
    ("transformers.pytorch_utils", "Conv1D"): transposed_linear,
    ("transformers.models.falcon.modeling_falcon", "FalconLinear"): same_linear,
    ("timm.layers.linear", "Linear"): same_linear,
}
"""Module and name of a class -> its rule, if anybody uses the library."""


def rules() -> Dict[type, Rule]:
    """Return the rules, with those of the libraries that are in use."""
    found = {
        getattr(sys.modules[module], name): rule
        for (module, name), rule in OF_LIBRARIES.items()
        if hasattr(sys.modules.get(module), name)
    }
    return {**RULES, **found}


def rule_of(kind: type) -> Rule:
    """Return the rule for a kind of layer, see :func:`kind_of`."""
    return rules().get(kind) or (lambda module, name, plan: Experts(module))


def kind_of(module: nn.Module) -> Optional[type]:
    """Return the kind that a module is or is derived from, ``None`` if there is no rule for it."""
    known = rules()
    if type(module) not in known and are_experts(type(module)):
        return type(module)
    return next((kind for kind in type(module).__mro__ if kind in known), None)
