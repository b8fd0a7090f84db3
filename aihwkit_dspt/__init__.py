"""Dynamic symmetric-point tracking (RIDER, E-RIDER) for IBM's aihwkit."""

from aihwkit_dspt._host import check_host

check_host()

# pylint: disable=wrong-import-position
from aihwkit_dspt.configs.build import build_config  # noqa: E402
from aihwkit_dspt.configs.compound import TrackingTransferCompound  # noqa: E402
from aihwkit_dspt.configs.enums import (  # noqa: E402
    ReferenceSync,
    ReferenceType,
    TransferScope,
)
from aihwkit_dspt.configs.presets import (  # noqa: E402
    ERIDERCapacitorPreset,
    ERIDEREcRamMOPreset,
    ERIDEREcRamPreset,
    ERIDERGokmenVlasovPreset,
    ERIDERIdealizedPreset,
    ERIDERPCMPreset,
    ERIDERReRamArrayHfO2Preset,
    ERIDERReRamArrayOMPreset,
    ERIDERReRamESPreset,
    ERIDERReRamSBPreset,
    RIDERCapacitorPreset,
    RIDEREcRamMOPreset,
    RIDEREcRamPreset,
    RIDERGokmenVlasovPreset,
    RIDERIdealizedPreset,
    RIDERPCMPreset,
    RIDERReRamArrayHfO2Preset,
    RIDERReRamArrayOMPreset,
    RIDERReRamESPreset,
    RIDERReRamSBPreset,
)
from aihwkit_dspt.configs.rpu_config import TrackingRPUConfig  # noqa: E402
from aihwkit_dspt.symmetric_points import TileSymmetricPoints, symmetric_points  # noqa: E402
from aihwkit_dspt.tiles.tile import TrackingTile  # noqa: E402

__version__ = "0.1.0"

__all__ = [
    "ERIDERCapacitorPreset",
    "ERIDEREcRamMOPreset",
    "ERIDEREcRamPreset",
    "ERIDERGokmenVlasovPreset",
    "ERIDERIdealizedPreset",
    "ERIDERPCMPreset",
    "ERIDERReRamArrayHfO2Preset",
    "ERIDERReRamArrayOMPreset",
    "ERIDERReRamESPreset",
    "ERIDERReRamSBPreset",
    "RIDERCapacitorPreset",
    "RIDEREcRamMOPreset",
    "RIDEREcRamPreset",
    "RIDERGokmenVlasovPreset",
    "RIDERIdealizedPreset",
    "RIDERPCMPreset",
    "RIDERReRamArrayHfO2Preset",
    "RIDERReRamArrayOMPreset",
    "RIDERReRamESPreset",
    "RIDERReRamSBPreset",
    "ReferenceSync",
    "ReferenceType",
    "TileSymmetricPoints",
    "TrackingRPUConfig",
    "TrackingTile",
    "TrackingTransferCompound",
    "TransferScope",
    "build_config",
    "symmetric_points",
]
