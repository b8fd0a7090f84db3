"""From a trained model to one for inference with programming noise and drift."""

from __future__ import annotations

from copy import deepcopy
from typing import Any, Dict, List

from aihwkit.exceptions import ConfigError, ModuleError
from aihwkit.nn.modules.base import AnalogLayerBase
from aihwkit.simulator.configs.configs import InferenceRPUConfig
from aihwkit.simulator.tiles.analog import AnalogTile
from torch import nn
from torch.random import fork_rng

from aihwkit_dspt.models.containers import wrapped
from aihwkit_dspt.models.shown_weight import show_weight
from aihwkit_dspt.tiles.of_model import is_analog_layer, tracking_tiles
from aihwkit_dspt.tiles.tile import TrackingTile


@fork_rng(devices=[])  # aihwkit initialises what is filled right after
def to_inference(model: nn.Module, rpu_config: InferenceRPUConfig) -> nn.Module:
    r"""Return a copy of a trained model whose analog layers have aihwkit's inference tiles.

    Weights in, weights out: each layer gets the weights that it was trained to compute with,

    .. math:: \bar W = W + \gamma\, c \circ (P - \tilde Q)

    times its mapping and learned output scales, and its bias. They are equal bit for bit, or to
    float rounding where ``rpu_config.mapping.weight_scaling_omega`` makes new scales. Each layer
    is converted as aihwkit converts it (``to_digital``, then ``from_digital``), so the tiles are
    split and have digital or analog bias as ``rpu_config.mapping`` says. Digital modules are
    copied, tied layers stay tied. aihwkit's own training tiles beside tracking tiles are converted,
    too; its inference, floating-point and torch tiles are copied as they are.

    The result is in evaluation mode, ready for aihwkit's ``program_analog_weights()`` and
    ``drift_analog_weights(t)``::

        analog = to_inference(model, InferenceRPUConfig(noise_model=PCMLikeNoiseModel()))
        analog.program_analog_weights()
        analog.drift_analog_weights(86400.0)  # seconds

    Input ranges are kept where both configurations have them (``pre_post.input_range``); those that
    only ``rpu_config`` has start at ``init_value`` and need a calibration.

    Args:
        model: a model with tracking tiles; it is left unchanged.
        rpu_config: configuration of all inference tiles.

    Returns:
        the converted copy, inside aihwkit's ``AnalogWrapper`` if it is no analog module itself.

    Raises:
        ArgumentError: if ``model`` is not a module.
        ConfigError: if ``rpu_config`` is not an ``InferenceRPUConfig``, splits a layer that aihwkit
            can only evaluate whole, or so that learned input ranges have no tile to go to.
        TileError: if the model has no tracking tile.
        ModuleError: if a tracking tile is in no layer that aihwkit can convert.
    """
    tracking_tiles(model)
    if not isinstance(rpu_config, InferenceRPUConfig):
        name = getattr(rpu_config, "__name__", type(rpu_config).__name__)
        raise ConfigError(
            f"rpu_config={name} is not valid: pass an instance of aihwkit's InferenceRPUConfig"
        )
    layers = [layer for layer in model.modules() if _is_trained_layer(layer)]
    _require_in_layers(model, layers)
    # deepcopy takes what it finds in the memo for a copy: every use of a layer gets the same new
    # one, and no training tile is copied.
    memo: Dict[int, AnalogLayerBase] = {id(layer): _convert(layer, rpu_config) for layer in layers}
    converted: nn.Module = deepcopy(model, memo)
    for module in converted.modules():
        # aihwkit's cache of analog_tile_count(); the split may be another one now.
        module.__dict__.pop("_analog_tile_counter", None)
    if not isinstance(converted, AnalogLayerBase):
        converted = wrapped(converted)
    return converted.eval()


def _is_trained_layer(module: Any) -> bool:
    """Whether a module is an analog layer on training tiles that aihwkit can convert."""
    return (
        is_analog_layer(module)
        and hasattr(module, "to_digital")
        and hasattr(module, "from_digital")
        and any(isinstance(tile, AnalogTile) for tile in module.analog_tiles())
    )


def _require_in_layers(model: nn.Module, layers: List[AnalogLayerBase]) -> None:
    reached = {id(tile) for layer in layers for tile in layer.analog_tiles()}
    for name, tile in model.named_modules():
        if isinstance(tile, TrackingTile) and id(tile) not in reached:
            raise ModuleError(
                f"tile '{name}' is in no analog layer with to_digital() and from_digital(): use it "
                "in one, e.g. AnalogLinear"
            )


def _convert(layer: AnalogLayerBase, rpu_config: InferenceRPUConfig) -> AnalogLayerBase:
    """Return the layer on inference tiles."""
    # A copy of the configuration for each layer: program_weights() may change it.
    converted = type(layer).from_digital(layer.to_digital(layer), deepcopy(rpu_config))
    shown = getattr(layer, "weight", None)
    if shown is not None:
        show_weight(converted, shown.shape)
    if getattr(layer, "NEEDS_INDEXED", False) and not converted.analog_module.supports_indexed:
        raise ConfigError(
            f"mapping={rpu_config.mapping} is not valid for {type(layer).__name__}: aihwkit "
            "evaluates it on one tile only; pass max_input_size=0 and max_output_size=0, or build "
            "the model with the mapped convolution"
        )
    trained, tiles = list(layer.analog_tiles()), list(converted.analog_tiles())
    if tiles[0].input_range is None or trained[0].input_range is None:
        return converted
    sizes = [[(tile.out_size, tile.in_size) for tile in each] for each in (trained, tiles)]
    if sizes[0] != sizes[1]:
        raise ConfigError(
            f"mapping={rpu_config.mapping} splits {type(layer).__name__} into {len(tiles)} tiles, "
            f"but its input ranges belong to {len(trained)}: pass the max_input_size and "
            "max_output_size that it was trained with, or pre_post.input_range.enable=False"
        )
    for source, tile in zip(trained, tiles):
        tile.set_input_range(source.input_range)
        tile.input_range_update_idx.data.copy_(source.input_range_update_idx)
    return converted
