"""From a model of any layers to one of layers that aihwkit converts."""

from __future__ import annotations

from typing import Any, List

from torch import Tensor, nn
from torch.nn.parameter import UninitializedParameter
from torch.nn.utils.parametrize import is_parametrized

from aihwkit_dspt.models.kept import keep_hooks
from aihwkit_dspt.models.reasons import StaysDigital, note
from aihwkit_dspt.models.rules import Plan, encoder, kind_of, rule_of
from aihwkit_dspt.tiles.of_model import is_analog_layer


def prepare(module: nn.Module, name: str, plan: Plan) -> nn.Module:
    """Return a module whose layers aihwkit can convert.

    Args:
        module: the module; its children are replaced.
        name: its name in the model.
        plan: what is asked for; it gets the names of modules that stay digital, with a note in
            them, and classes of layers.
    """
    if is_analog_layer(module):
        return module
    if module in plan.excluded or name in plan.left:
        note(module, "excluded by name")
        plan.left.append(name)
        return module
    kind = kind_of(module)
    if kind is not None:
        try:
            written = _apply(module, kind, name, plan)
        except StaysDigital as why:
            note(module, str(why))
            plan.left.append(name)
            return module
        if written is not module:
            written.train(module.training)
            keep_hooks(module, written)
            return prepare(written, name, plan)
        if kind in plan.classes:
            plan.classes[type(module)] = plan.classes[kind]
    for key, child in module._modules.items():
        if child is not None:
            module._modules[key] = prepare(child, f"{name}.{key}" if name else key, plan)
    return module


def _apply(module: nn.Module, kind: type, name: str, plan: Plan) -> nn.Module:
    """Return a layer so that aihwkit can convert it or its parts.

    Args:
        module: the layer.
        kind: its kind, see :func:`kind_of`.
        name: its name in the model.
        plan: what else there is to know.

    Raises:
        StaysDigital: if it cannot become analog.
    """
    if kind is nn.TransformerEncoder:
        return encoder(module, name, plan)
    _require_kind(module, kind)
    tie = plan.tied.get(id(module))
    if tie is not None and not plan.untie:
        plan.tied_layers.append(name)
        raise StaysDigital(
            f"tied to {tie}, and stays so; pass tied='untie' for an array of its own"
        )
    return rule_of(kind)(module, name, plan)


def _require_kind(module: nn.Module, kind: type) -> None:
    """Raise ``StaysDigital`` for a module that does not do what its kind does."""
    for method in ("forward", "_conv_forward"):
        own = getattr(type(module), method, None)
        if method in module.__dict__ or own is not getattr(kind, method, None):
            raise StaysDigital(f"{type(module).__name__} has a forward of its own")
    computed = _computed(module)
    if computed:
        raise StaysDigital(
            f"its {computed[0]} is computed from other parameters (parametrization, weight or "
            "spectral norm, pruning); take that off first"
        )
    for name, value in module._parameters.items():
        if isinstance(value, UninitializedParameter):
            raise StaysDigital(
                f"its {name} had no size yet; call the model once before it is converted"
            )
        if value is not None and value.numel() == 0:
            raise StaysDigital(f"its {name} has no entries, so there is nothing for an array")
    if "weight" in module._parameters:
        held = [*module._parameters, *module._buffers, *module._modules]
        others = [name for name in held if name not in ("weight", "bias")]
        if others:
            raise StaysDigital(
                f"it holds {', '.join(others)} beside weight and bias, for which an analog layer "
                "has no place"
            )


def _computed(module: Any) -> List[str]:
    """Return the weights and biases of a layer that are no parameters: others make them."""
    found = list(module.parametrizations) if is_parametrized(module) else []
    return found + [
        name
        for name, value in vars(module).items()
        if isinstance(value, Tensor) and (name.startswith(("weight", "bias")) or "proj" in name)
    ]
