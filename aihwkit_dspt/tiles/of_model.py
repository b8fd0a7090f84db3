"""Finding the analog tiles of a model, of ours and of any kind."""

from __future__ import annotations

from typing import Dict

from aihwkit.exceptions import TileError
from aihwkit.nn.modules.base import AnalogLayerBase
from aihwkit.simulator.tiles.module import TileModule

from aihwkit_dspt.configs.checks import require_module, shown
from aihwkit_dspt.tiles.tile import TrackingTile


def analog_tiles(model: object) -> Dict[str, TileModule]:
    """Return name -> tile of all analog tiles of a model, whatever their kind.

    Tiles that other tiles consist of are left out.

    Raises:
        ArgumentError: if ``model`` is not a module.
        TileError: if there is none.
    """
    tiles: Dict[str, TileModule] = {}
    outer = None
    for name, module in require_module("model", model).named_modules():
        inside = outer is not None and name.startswith(f"{outer}." if outer else "")
        if isinstance(module, TileModule) and not inside:
            tiles[name], outer = module, name
    if not tiles:
        raise TileError(
            f"{type(model).__name__} has no analog tile: convert it with convert_to_analog first"
        )
    return tiles


def tracking_tiles(model: object) -> Dict[str, TrackingTile]:
    """Return name -> tile of the tracking tiles of a model. All else in the model is left out.

    Raises:
        ArgumentError: if ``model`` is not a module.
        TileError: if there is none.
    """
    named = require_module("model", model).named_modules()
    tiles = {name: tile for name, tile in named if isinstance(tile, TrackingTile)}
    if not tiles:
        raise TileError(
            f"{type(model).__name__} has no TrackingTile: convert it with a TrackingRPUConfig, "
            "e.g. build_config('e-rider', ...)"
        )
    return tiles


def is_analog_layer(module: object) -> bool:
    """Return whether a module is one of aihwkit's layers, but no container of others."""
    return bool(isinstance(module, AnalogLayerBase) and not module.IS_CONTAINER)


def require_tracking_tile(tile: object) -> TrackingTile:
    """Return a tile that was passed to a function.

    Raises:
        TileError: if it is no tracking tile.
    """
    if not isinstance(tile, TrackingTile):
        raise TileError(
            f"tile={shown(tile)} is not valid: pass a TrackingTile, e.g. next(model.analog_tiles())"
        )
    return tile
