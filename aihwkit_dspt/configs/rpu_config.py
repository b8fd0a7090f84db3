"""The RPU configuration that puts a tracking compound on a tracking tile."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Type

from aihwkit.simulator.configs.configs import UnitCellRPUConfig

from aihwkit_dspt.configs.checks import strict_fields
from aihwkit_dspt.configs.compound import TrackingTransferCompound
from aihwkit_dspt.tiles.tile import TrackingTile


@strict_fields
@dataclass
class TrackingRPUConfig(UnitCellRPUConfig):
    """Configuration for analog training with a tracked symmetric point.

    It takes the place of aihwkit's
    :class:`~aihwkit.simulator.configs.configs.UnitCellRPUConfig` in a script; ``forward``,
    ``backward``, ``update``, ``mapping``, ``pre_post`` and ``runtime`` keep their meaning.

    Raises:
        ConfigError: at construction, for an unknown field.
    """

    tile_class: Type[TrackingTile] = TrackingTile
    """Tile class that corresponds to this RPUConfig."""

    device: TrackingTransferCompound = field(default_factory=TrackingTransferCompound)
    """What to simulate: devices, reference, chopper, buffer and their settings."""
