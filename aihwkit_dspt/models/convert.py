"""Conversion of models to analog ones."""

from __future__ import annotations

import warnings
from copy import deepcopy
from typing import Any, Callable, List, Optional, Sequence, Tuple

import torch
from aihwkit.exceptions import AihwkitException, ArgumentError, ConfigError
from aihwkit.nn.conversion import convert_to_analog
from aihwkit.simulator.parameters.base import RPUConfigBase
from torch import nn
from torch.nn.parameter import UninitializedBuffer

from aihwkit_dspt.configs.checks import require_choice, require_whole
from aihwkit_dspt.models.arguments import (
    check,
    check_optional,
    names_of,
    require_known,
    require_returned,
)
from aihwkit_dspt.models.containers import SameSequential, own_wrapper
from aihwkit_dspt.models.grouped import OtherConvolution
from aihwkit_dspt.models.kept import keep_hooks, keep_layer
from aihwkit_dspt.models.prepare import prepare
from aihwkit_dspt.models.references import follow
from aihwkit_dspt.models.report import warn_if_digital
from aihwkit_dspt.models.rows import layers
from aihwkit_dspt.models.rules import Plan
from aihwkit_dspt.models.shared import join_shared, part_shared
from aihwkit_dspt.models.shown import PLACE
from aihwkit_dspt.models.ties import tied_modules, untie_in_config
from aihwkit_dspt.tiles.of_model import is_analog_layer

ConfigFunction = Callable[[str, nn.Module, Any], object]


def convert(
    model: nn.Module,
    rpu_config: RPUConfigBase,
    *,
    exclude_modules: Sequence[str] = (),
    tied: str = "keep",
    max_groups: int = 32,
    specific_rpu_config_fun: Optional[ConfigFunction] = None,
    tile_module_class: Optional[type] = None,
) -> nn.Module:
    """Return a copy of a model whose layers are analog, and warn if the larger part is not.

    aihwkit's ``convert_to_analog`` does the work. It knows ``Linear`` and convolutions of one group
    that pad with zeros, of exactly these classes, and leaves out or breaks the rest without a word.
    Other layers are written with these first, equal to float rounding:

    * ``nn.MultiheadAttention``, and with it ``nn.TransformerEncoder`` and its like: a layer for
      queries, keys, values and outputs each;
    * ``nn.LSTM``, ``nn.GRU``, ``nn.RNN`` and their cells: layers for input and hidden state;
    * transposed convolutions, groups (one array each), ``padding="same"`` and all padding modes;
      ``Conv1d`` and ``Conv3d`` as linear layers over patches, which may have dilation, more inputs
      than an array, and any size;
    * Hugging Face's ``Conv1D`` (GPT-2) and experts (Mixtral, Qwen-MoE); subclasses that have the
      forward of their kind.

    A layer that is used in several places stays one layer. Frozen layers stay frozen (aihwkit's own
    pulsed tiles learn as long as the optimizer has their parameters). Hooks and modes (``train``,
    ``eval``) are kept. Analog layers show their ``weight`` (data type, device, shape, values in
    use). It cannot be written to. A product with all of it calls the layer; others are refused.

    :func:`~aihwkit_dspt.conversion_report` says what became analog and why the rest did not::

        model = convert(model, ERIDERReRamArrayHfO2Preset())
        print(conversion_report(model))

    Args:
        model: the model; it is left as it is.
        rpu_config: configuration of the tiles, of this package or of aihwkit.
        exclude_modules: names of modules that stay digital, with all that they hold.
        tied: what becomes of a layer that shares its weights with another module, such as a head
            with the embedding of its tokens. An array cannot be shared with a table. ``"keep"``
            leaves the layer digital and warns; ``"untie"`` gives the array a copy.
        max_groups: most groups of a convolution that become analog. Each takes an array.
        specific_rpu_config_fun: function of the name of a layer, the layer and a copy of
            ``rpu_config`` that returns the configuration of that layer.
        tile_module_class: class of the tiles, in place of the configuration's.

    Returns:
        the converted copy, inside aihwkit's ``AnalogWrapper`` if it is no analog module itself.

    Raises:
        ArgumentError: if an argument is not valid, or a layer has another data type than its tile.
        ConfigError, ModuleError, TileError: if a layer or its tile cannot be built, with the name
            of the layer.
    """
    check(model, rpu_config)
    require_choice("tied", tied, ("keep", "untie"))
    excluded = names_of(exclude_modules)
    max_groups = require_whole("max_groups", max_groups, 1)
    check_optional(specific_rpu_config_fun, tile_module_class)

    def config_of(name: str, module: nn.Module) -> object:
        config = deepcopy(rpu_config)
        if specific_rpu_config_fun is None:
            return config
        chosen = specific_rpu_config_fun(name, module, config)
        if "weight" in module._parameters:  # no container, which has no tile
            require_returned(_called(name, module), chosen)
        return chosen

    named = {name for name, _ in model.named_modules(remove_duplicate=False)}
    copied = _copy(model)
    plan = Plan(
        max_groups=max_groups,
        untie=tied == "untie",
        excluded={copied.get_submodule(name) for name in named.intersection(excluded)},
        left=list(excluded),
        tied=tied_modules(copied),
    )
    before = dict(copied.named_modules())
    places = part_shared(copied)
    prepared = prepare(copied, "", plan)
    require_known(excluded, {*named, *(name for name, _ in prepared.named_modules())})
    analog = _convert(prepared, rpu_config, plan, config_of, tile_module_class)
    join_shared(analog, places)
    follow(analog, before)
    _name_layers(analog)
    if plan.untie:
        untie_in_config(analog)
    if plan.tied_layers:
        warnings.warn(
            f"{', '.join(plan.tied_layers)}: stays digital, for the weights are those of "
            "another module, too; pass tied='untie' for arrays with copies of them",
            stacklevel=2,
        )
    warn_if_digital(analog)
    return analog


def _copy(model: nn.Module) -> nn.Module:
    """Return a copy; torch copies no tensor that was computed, as a weight norm keeps one.

    Raises:
        ArgumentError: for a buffer without a size, which torch does not copy.
    """
    for name, module in model.named_modules():
        if any(isinstance(value, UninitializedBuffer) for value in module._buffers.values()):
            raise ArgumentError(
                f"{_called(name, module)} has no size yet: call the model once before"
            )
    computed = {
        id(value): value.detach().clone()
        for module in model.modules()
        for kept in vars(module).values()
        for value in (kept if isinstance(kept, list) else [kept])  # an LSTM has a list of weights
        if isinstance(value, torch.Tensor) and not value.is_leaf
    }
    copied: nn.Module = deepcopy(model, computed)
    return copied


def _convert(
    model: nn.Module,
    rpu_config: RPUConfigBase,
    plan: Plan,
    layer_config: Callable[[str, nn.Module], object],
    tile_module_class: Optional[type],
) -> nn.Module:
    """Convert by aihwkit, and keep what it drops."""
    seen: List[Tuple[str, nn.Module]] = []

    def config_of(name: str, module: nn.Module, _: object) -> object:
        seen.append((name, module))
        config = layer_config(name, module)
        weight = module._parameters.get("weight")
        if weight is not None:
            _require_values(_called(name, module), weight, config)
        return config

    left = list(plan.left)
    if "" in left:  # for aihwkit the modules in one that is left are names of their own there
        left += [name for name, _ in model.named_children()]
    try:
        with own_wrapper(type(model)):
            analog: nn.Module = convert_to_analog(
                model,
                rpu_config,
                tile_module_class,
                {**plan.classes, nn.Sequential: SameSequential},
                config_of,
                exclude_modules=left,
                inplace=True,
            )
    except (AihwkitException, ValueError, TypeError, RuntimeError) as error:
        if not seen or str(error).startswith(_called(*seen[-1])):
            raise
        kind = type(error) if isinstance(error, AihwkitException) else ConfigError
        raise kind(
            f"{_called(*seen[-1])} cannot become analog: {error}; change rpu_config (of this layer "
            f"by specific_rpu_config_fun) or pass exclude_modules=[{seen[-1][0]!r}]"
        ) from error
    for name, digital in seen:
        converted = analog.get_submodule(name)
        if "weight" in digital._parameters:
            keep_layer(digital, converted)
        else:
            keep_hooks(digital, converted)
    return analog


def _name_layers(model: nn.Module) -> None:
    """Let analog layers know their names, which messages need; parts of a convolution have its."""
    named = list(layers(model))
    for name, module in named:
        if is_analog_layer(module):
            module.__dict__[PLACE] = name
    for name, module in reversed(named):
        if isinstance(module, OtherConvolution):
            for _, part in layers(module):
                part.__dict__[PLACE] = name


def _called(name: str, module: nn.Module) -> str:
    return f"{name or 'the model'} ({type(module).__name__})"


def _require_values(called: str, weight: torch.Tensor, config: object) -> None:
    if weight.is_meta:
        raise ArgumentError(
            f"{called} is on the meta device, where weights have no values: load them first, such "
            "as with model.to_empty(device='cpu') and model.load_state_dict(state)"
        )
    runtime = getattr(config, "runtime", None)
    wanted = torch.float32 if runtime is None else runtime.data_type.as_torch()
    if weight.dtype is not wanted:
        raise ArgumentError(
            f"{called} has weights of {weight.dtype}, but its tile computes in {wanted}: pass "
            f"model.to({wanted})"
        )
