"""Giving the arrays of a tile up to their owner, and making room for them again."""

from __future__ import annotations

from aihwkit_dspt.parallel.borrowed import BorrowedSimulatorTile
from aihwkit_dspt.tiles.context import follow_attributes
from aihwkit_dspt.tiles.simulator_tile import TrackingSimulatorTile
from aihwkit_dspt.tiles.tile import TrackingTile


def is_borrowed(tile: TrackingTile) -> bool:
    """Return whether another rank owns the arrays of a tile."""
    return isinstance(tile.tile, BorrowedSimulatorTile)


def give_up(tile: TrackingTile, owner: int) -> None:
    """Leave the arrays of a tile to another rank; what computes with the weight stays."""
    replace_simulator(tile, BorrowedSimulatorTile(tile.tile, owner))


def make_room(tile: TrackingTile) -> None:
    """Give a tile arrays again, fresh ones, so that a state can be loaded into them."""
    x_size, d_size = tile.tile.get_x_size(), tile.tile.get_d_size()
    device, built_from = tile.tile.pipeline.mixed_array.shared.device, tile.tile.built_from
    fresh: TrackingSimulatorTile = tile._recreate_simulator_tile(x_size, d_size, tile.rpu_config)
    fresh.built_from = built_from
    fresh.set_learning_rate(tile.tile.get_learning_rate())
    if device.type == "cuda":
        fresh.cuda(device)
    if tile.tile.indices is not None:
        fresh.set_matrix_indices(tile.tile.indices)
    replace_simulator(tile, fresh)


def replace_simulator(tile: TrackingTile, simulator: TrackingSimulatorTile) -> None:
    """Give a tile another simulator tile; its context keeps no gradient."""
    tile.tile = simulator
    if hasattr(tile, "_sync_analog_ctx_weights"):
        tile._bind_shared_weights()
    follow_attributes(tile)
