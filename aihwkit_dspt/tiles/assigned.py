"""Refusal of parameters that are assigned to an analog layer, whose arrays they would not reach."""

from __future__ import annotations

from typing import Dict, Optional

from aihwkit.exceptions import TileError
from torch import nn
from torch.nn.modules.module import register_module_parameter_registration_hook

SHOWN = "_shown"
"""Attribute of a layer: name -> what it shows in place of a parameter."""


def refuse_assigned_parameters() -> None:
    """Refuse a new parameter in the place of a shown weight or bias from now on.

    ``layer.weight = nn.Parameter(...)``, which ``torch.nn.utils.fusion`` does, too, would be taken,
    and the layer would go on with what is in its arrays.
    """
    register_module_parameter_registration_hook(_refuse)


def _refuse(module: nn.Module, name: str, parameter: Optional[nn.Parameter]) -> None:
    shown: Optional[Dict[str, object]] = module.__dict__.get(SHOWN)
    if shown is None or name not in shown:
        return
    module.__dict__[name] = shown[name]  # torch has taken it out by now
    raise TileError(
        f"{name} of {type(module).__name__} cannot be assigned: it would not reach the arrays. "
        "Pass new values to layer.set_weights(weight, bias). To join layers "
        "(fuse_conv_bn_eval), take convert_to_digital(model)"
    )
