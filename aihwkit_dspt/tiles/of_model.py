"""Finding the analog tiles of a model, of ours and of any kind."""

from __future__ import annotations

from typing import Any, Dict

from aihwkit.exceptions import ArgumentError, TileError
from aihwkit.simulator.tiles.module import TileModule
from torch import nn

from aihwkit_dspt.tiles.tile import TrackingTile


def analog_tiles(model: Any) -> Dict[str, Any]:
    """Return name -> tile of all analog tiles of a model, whatever their kind.

    Tiles that other tiles consist of are left out.

    Raises:
        ArgumentError: if ``model`` is not a module.
        TileError: if there is none.
    """
    tiles: Dict[str, Any] = {}
    outer = None
    for name, module in _modules(model):
        inside = outer is not None and name.startswith(f"{outer}." if outer else "")
        if isinstance(module, TileModule) and not inside:
            tiles[name], outer = module, name
    if not tiles:
        raise TileError(
            f"{type(model).__name__} has no analog tile: convert it with convert_to_analog first"
        )
    return tiles


def tracking_tiles(model: Any) -> Dict[str, TrackingTile]:
    """Return name -> tile of the tracking tiles of a model. All else in the model is left out.

    Raises:
        ArgumentError: if ``model`` is not a module.
        TileError: if there is none.
    """
    tiles = {name: tile for name, tile in _modules(model) if isinstance(tile, TrackingTile)}
    if not tiles:
        raise TileError(
            f"{type(model).__name__} has no TrackingTile: convert it with a TrackingRPUConfig, "
            "e.g. build_config('e-rider', ...)"
        )
    return tiles


def _modules(model: Any) -> Any:
    if not isinstance(model, nn.Module):
        raise ArgumentError(f"model={type(model).__name__} is not valid: pass a torch.nn.Module")
    return model.named_modules()
