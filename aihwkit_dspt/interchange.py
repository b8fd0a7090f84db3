"""Moving a training from the tracking tiles to aihwkit's own C++ compounds."""

from __future__ import annotations

from typing import Dict, List, Tuple

from aihwkit.exceptions import TileError
from aihwkit.optim.context import AnalogContext
from aihwkit.simulator.tiles.analog import AnalogTile
from aihwkit.simulator.tiles.floating_point import FloatingPointTile
from aihwkit.simulator.tiles.module import TileModule
from torch import Tensor, nn, stack
from torch.autograd import no_grad

from aihwkit_dspt.tiles.compound_state import require_same_settings, to_compound
from aihwkit_dspt.tiles.of_model import analog_tiles, tracking_tiles
from aihwkit_dspt.tiles.tile import TrackingTile


@no_grad()
def export_to_aihwkit(model: nn.Module, aihwkit_model: nn.Module) -> None:
    """Copy a model with tracking tiles into one with aihwkit's C++ compounds.

    Both have to simulate the same method (AGAD, TT-v2 or c-TTv2) with the same settings: then all
    states correspond and ``aihwkit_model`` goes on where ``model`` is, except for the generators
    of random numbers. The other direction is
    ``model.load_state_dict(aihwkit_model.state_dict())``.

    (aihwkit itself cannot load such a state: its compounds set the fast array to zero when they
    are loaded.)

    Args:
        model: model with :class:`~aihwkit_dspt.TrackingTile`; it is not changed. Tiles of other
            kinds are copied into those of the same kind.
        aihwkit_model: model of the same layers, e.g. converted with
            ``UnitCellRPUConfig(device=DynamicTransferCompound(...))``.

    Raises:
        ArgumentError: if one of them is not a module.
        TileError: if there is no tracking tile, or layers, sizes, kinds of tiles, methods or
            settings differ; ``aihwkit_model`` is left as it was.
    """
    pairs = _tile_pairs(model, aihwkit_model)
    digital = _digital_pairs(model, aihwkit_model)
    prepared = [(theirs, *_cpp_state(ours, theirs)) for ours, theirs in pairs if _is_cpp(theirs)]
    for theirs, weights, parameters, extra in prepared:
        # Weights are clipped to the bounds of the devices, which have to be there before, and
        # setting them empties the fast array, which is set after.
        _set_parameters(theirs, parameters)
        theirs.tile.set_weights(weights)
        _set_parameters(theirs, parameters)
        theirs.tile.load_extra(extra, False)
    for ours, theirs in pairs:
        if _is_cpp(theirs):
            theirs.set_learning_rate(ours.get_learning_rate())
        else:
            # A tile's own state_dict() needs a module around it.
            nn.ModuleList([theirs]).load_state_dict(nn.ModuleList([ours]).state_dict())
    for source, target in digital:
        target.copy_(source)


def _is_cpp(tile: TileModule) -> bool:
    """Whether a tile is all in C++, so that the parts of its state can be set one by one."""
    return isinstance(tile, (AnalogTile, FloatingPointTile))


def _set_parameters(tile: TileModule, parameters: Tensor) -> None:
    if parameters.numel() > 0:
        tile.tile.set_hidden_parameters(parameters)


def _cpp_state(ours: TileModule, theirs: TileModule) -> Tuple[Tensor, Tensor, Dict[str, object]]:
    """Return weights, hidden parameters and extra state that a C++ tile is to have."""
    if not isinstance(ours, TrackingTile):
        tile = ours.tile
        return tile.get_weights(), tile.get_hidden_parameters().cpu(), tile.dump_extra()
    hidden, extra = theirs.get_hidden_parameters(), theirs.tile.dump_extra()
    to_compound(ours.tile.pipeline, hidden, extra)
    return ours.slow_weights, stack(list(hidden.values())), extra


def _tile_pairs(model: nn.Module, aihwkit_model: nn.Module) -> List[Tuple[TileModule, TileModule]]:
    """Return the tiles of both models in pairs, which fit each other."""
    tracking_tiles(model)
    ours, theirs = analog_tiles(model), analog_tiles(aihwkit_model)
    if list(ours) != list(theirs):
        raise TileError(
            f"model has the analog tiles {list(ours)}, aihwkit_model {list(theirs)}: convert the "
            "same network twice"
        )
    for name, tile in ours.items():
        other = theirs[name]
        if isinstance(tile, TrackingTile):
            require_same_settings(tile.rpu_config.device, other.rpu_config.device)
        kinds = [_kind(item) for item in (tile, other)]
        if not isinstance(tile, TrackingTile) and kinds[0] != kinds[1]:
            raise TileError(
                f"tile '{name}' is a {kinds[0]} in model and a {kinds[1]} in aihwkit_model: "
                "convert all but the tracking tiles with the same configuration"
            )
        sizes = [list(item.tile.get_weights().shape) for item in (tile, other)]
        if sizes[0] != sizes[1]:
            raise TileError(
                f"tile '{name}' has shape {sizes[0]} in model and {sizes[1]} in aihwkit_model: "
                "convert the same network twice"
            )
    return [(tile, theirs[name]) for name, tile in ours.items()]


def _kind(tile: TileModule) -> str:
    """Return class and device of a tile."""
    device = getattr(tile.rpu_config, "device", None)
    return f"{type(tile).__name__} with {type(device).__name__}"


def _digital_pairs(model: nn.Module, aihwkit_model: nn.Module) -> List[Tuple[Tensor, Tensor]]:
    """Return all digital parameters and buffers of both models, in pairs."""
    values = []
    for source in (model, aihwkit_model):
        named = [*source.named_parameters(), *source.named_buffers()]
        values.append({name: v for name, v in named if not isinstance(v, AnalogContext)})
    shapes = [{name: list(value.shape) for name, value in part.items()} for part in values]
    if shapes[0] != shapes[1]:
        raise TileError(
            f"model has the digital parameters {shapes[0]}, aihwkit_model {shapes[1]}: convert the "
            "same network twice"
        )
    return [(value, values[1][name]) for name, value in values[0].items()]
