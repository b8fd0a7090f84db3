"""Tiles of a device in aihwkit's simulator, and pulses to them, without any code of the package."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import torch
from aihwkit.simulator.configs.configs import SingleRPUConfig
from aihwkit.simulator.parameters.enums import PulseType
from aihwkit.simulator.parameters.training import UpdateParameters
from aihwkit.simulator.tiles.analog import AnalogTile


def make_tile(device: Any, size: int = 64, weights: float = 0.0, **update: Any) -> AnalogTile:
    """Return a square aihwkit tile of this device, all of its weights set to one value."""
    config = SingleRPUConfig(device=deepcopy(device), update=UpdateParameters(**update))
    tile = AnalogTile(size, size, config)
    tile.tile.set_weights(torch.full((size, size), weights))
    return tile


def send(tile: AnalogTile, upwards: bool, n_pulses: int = 1) -> None:
    """Send pulses of one sign to all cells, without any code of the package.

    With one pulse slot per update, inputs of 2 and errors of +-2 fire with certainty.
    """
    assert tile.rpu_config.update.desired_bl == 1
    assert not tile.rpu_config.update.update_bl_management
    granularity = tile.tile.dump_extra()["rpu.rpu_device.weight_granularity"][0]
    tile.tile.set_learning_rate(granularity)
    x_input = torch.full((n_pulses, tile.tile.get_x_size()), 2.0)
    d_input = torch.full((n_pulses, tile.tile.get_d_size()), -2.0 if upwards else 2.0)
    tile.tile.update(x_input, d_input, False)


ONE_PULSE = {
    "desired_bl": 1,
    "update_bl_management": False,
    "update_management": False,
    "pulse_type": PulseType.STOCHASTIC_COMPRESSED,
}


def persistent(tile: AnalogTile) -> torch.Tensor:
    """Return the weights that pulses act on, in double precision."""
    hidden = tile.get_hidden_parameters()
    return hidden.get("persistent_weights", tile.tile.get_weights()).double()
