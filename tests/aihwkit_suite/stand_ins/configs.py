"""Configurations of the tile under test, which an environment variable chooses."""

from __future__ import annotations

import os
from copy import deepcopy
from dataclasses import fields
from typing import Any, Dict, Optional

from aihwkit.simulator.configs.compounds import DynamicTransferCompound
from aihwkit.simulator.configs.configs import UnitCellRPUConfig
from aihwkit.simulator.configs.devices import PulsedDevice, SoftBoundsDevice
from aihwkit.simulator.parameters.enums import PulseType
from aihwkit.simulator.parameters.io import IOParameters
from aihwkit.simulator.rpu_base import tiles

from aihwkit_dspt import TrackingRPUConfig, TrackingTransferCompound
from aihwkit_dspt.tiles.simulator_tile import TrackingSimulatorTile

TILE = os.environ["AIHWKIT_SUITE_TILE"]
TILE_NAME = {"tracking": "Tracking", "agad": "Agad"}[TILE]
SIMULATOR_TILE_CLASS = TrackingSimulatorTile if TILE == "tracking" else tiles.AnalogTile


QUIET: Dict[str, float] = {
    "dw_min": 0.001,
    "w_max": 10.0,
    "w_min": -10.0,
    "dw_min_dtod": 0.0,
    "dw_min_std": 0.0,
    "up_down_dtod": 0.0,
    "w_max_dtod": 0.0,
    "w_min_dtod": 0.0,
}


def make_config(device: Optional[PulsedDevice] = None, perfect: bool = False) -> Any:
    """Return E-RIDER with ``gamma=0.1``, or aihwkit's C++ AGAD.

    Args:
        device: device of both arrays, by default that of aihwkit's transfer tiles; perfect ones
            have a wider range and neither variation nor noise.
        perfect: whether reads are without non-idealities and pulses without randomness.
    """
    if device is None:
        device = SoftBoundsDevice(**(QUIET if perfect else {"w_max_dtod": 0.0, "w_min_dtod": 0.0}))
    compound, rpu_config, extra = (
        (TrackingTransferCompound, TrackingRPUConfig, {"gamma": 0.1})
        if TILE == "tracking"
        else (DynamicTransferCompound, UnitCellRPUConfig, {})
    )
    made = rpu_config(
        device=compound(
            unit_cell_devices=[device, deepcopy(device)],
            transfer_forward=IOParameters(is_perfect=True),
            transfer_every=1,
            units_in_mbatch=True,
            **extra,
        ),
    )
    if perfect:
        # aihwkit masks the gradients of outputs beyond the bound of perfect reads, too.
        made.forward = IOParameters(is_perfect=True, out_bound=0.0)
        made.backward = IOParameters(is_perfect=True, out_bound=0.0)
        # Nothing random, and nothing that depends on how a layer is cut into tiles: the chopper
        # flips in the tenth sweep, pulses are not scaled by the largest input of a tile.
        made.device.in_chop_random, made.device.in_chop_prob = False, 0.1
        for update in (made.update, made.device.transfer_update):
            update.pulse_type = PulseType.DETERMINISTIC_IMPLICIT
            update.update_management = update.update_bl_management = False
    return made


class SubstituteRPUConfig(type(make_config())):  # type: ignore[misc]
    """Takes the place of a configuration class that a test names itself."""

    def __init__(self, device: Optional[PulsedDevice] = None, **settings: Any) -> None:
        made = make_config(device, perfect=True)
        values = {item.name: getattr(made, item.name) for item in fields(made)}
        super().__init__(**{**values, **settings})


class SecondSubstituteRPUConfig(SubstituteRPUConfig):
    """For tests that tell two configuration classes apart."""
