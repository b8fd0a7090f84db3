"""Moving a training from the tracking tiles to aihwkit's own C++ compounds."""

from __future__ import annotations

from typing import Any, Dict, List, Tuple

from aihwkit.exceptions import TileError
from aihwkit.optim.context import AnalogContext
from aihwkit.simulator.tiles.module import TileModule
from torch import nn, stack
from torch.autograd import no_grad

from aihwkit_dspt.tiles.compound_state import require_same_settings, to_compound
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
        model: model with :class:`~aihwkit_dspt.TrackingTile`; it is not changed.
        aihwkit_model: model of the same layers, e.g. converted with
            ``UnitCellRPUConfig(device=DynamicTransferCompound(...))``.

    Raises:
        TileError: if layers, sizes, methods or settings differ; ``aihwkit_model`` is left as it
            was.
    """
    pairs = _tile_pairs(model, aihwkit_model)
    digital = _digital_pairs(model, aihwkit_model)
    prepared = []
    for ours, theirs in pairs:
        hidden = theirs.get_hidden_parameters()
        extra = theirs.tile.dump_extra()
        to_compound(ours.tile, hidden, extra)
        prepared.append((theirs.tile, ours.slow_weights, stack(list(hidden.values())), extra))
    for (ours, theirs), (tile, weights, parameters, extra) in zip(pairs, prepared):
        # In this order: setting weights empties the fast array.
        tile.set_weights(weights)
        tile.set_hidden_parameters(parameters)
        tile.load_extra(extra, False)
        theirs.set_learning_rate(ours.get_learning_rate())
    for source, target in digital:
        target.copy_(source)


def _tiles(model: nn.Module, kind: type) -> Dict[str, Any]:
    return {name: tile for name, tile in model.named_modules() if isinstance(tile, kind)}


def _tile_pairs(model: nn.Module, aihwkit_model: nn.Module) -> List[Tuple[TrackingTile, Any]]:
    ours, theirs = _tiles(model, TrackingTile), _tiles(aihwkit_model, TileModule)
    if not ours or list(ours) != list(theirs):
        raise TileError(
            f"model has the tracking tiles {list(ours)}, aihwkit_model the tiles {list(theirs)}: "
            "convert the same network twice"
        )
    for name, tile in ours.items():
        require_same_settings(tile.rpu_config.device, theirs[name].rpu_config.device)
        sizes = [list(item.tile.get_weights().shape) for item in (tile, theirs[name])]
        if sizes[0] != sizes[1]:
            raise TileError(
                f"tile '{name}' has shape {sizes[0]} in model and {sizes[1]} in aihwkit_model: "
                "convert the same network twice"
            )
    return [(tile, theirs[name]) for name, tile in ours.items()]


def _digital_pairs(model: nn.Module, aihwkit_model: nn.Module) -> List[Tuple[Any, Any]]:
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
