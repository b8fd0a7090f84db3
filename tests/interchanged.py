"""A network on aihwkit's compounds and on tracking tiles with the same settings."""

from __future__ import annotations

from typing import Any, Dict, Tuple

from aihwkit.nn import AnalogConv2d, AnalogLinear, AnalogSequential
from aihwkit.simulator.configs.compounds import ChoppedTransferCompound, DynamicTransferCompound
from aihwkit.simulator.configs.configs import UnitCellRPUConfig
from torch import nn

from aihwkit_dspt import ReferenceType, TrackingRPUConfig, TrackingTransferCompound
from tests.helpers import deterministic, perfect, quiet_device

METHODS: Dict[str, Tuple[Any, ReferenceType, Dict[str, Any]]] = {
    "AGAD": (DynamicTransferCompound, ReferenceType.DYNAMIC, {"in_chop_prob": 0.3}),
    "AGAD-rows": (
        DynamicTransferCompound,
        ReferenceType.DYNAMIC,
        {"in_chop_prob": 0.3, "transfer_columns": False},
    ),
    "AGAD-auto_scale": (
        DynamicTransferCompound,
        ReferenceType.DYNAMIC,
        {"in_chop_prob": 0.05, "auto_scale": True, "units_in_mbatch": False},
    ),
    "TT-v2": (ChoppedTransferCompound, ReferenceType.ZERO, {"in_chop_prob": 0.0}),
    "c-TTv2": (
        ChoppedTransferCompound,
        ReferenceType.ZERO,
        {"in_chop_prob": 0.3, "in_chop_random": False},
    ),
}
"""Name -> aihwkit's compound, the reference of this package, settings of both."""


def network(config: Any) -> AnalogSequential:
    """Return a small network with a convolution, a digital and an analog layer."""
    return AnalogSequential(
        AnalogConv2d(1, 3, 2, rpu_config=config),
        nn.Flatten(),
        nn.BatchNorm1d(12),
        AnalogLinear(12, 4, rpu_config=config),
    )


def both(name: str, **changes: Any) -> Tuple[AnalogSequential, AnalogSequential]:
    """Return the network on aihwkit's compound and on tracking tiles, same settings."""
    compound, reference, own = METHODS[name]
    settings = {
        "unit_cell_devices": [quiet_device(), quiet_device()],
        "transfer_forward": perfect(),
        "transfer_update": deterministic(1),
        "fast_lr": 0.5,
        "transfer_lr": 0.3,
        "units_in_mbatch": True,
        **own,
        **changes,
    }
    in_chop_random = settings.setdefault("in_chop_random", False)
    assert not in_chop_random
    periphery = {"forward": perfect(), "backward": perfect(), "update": deterministic(31)}
    theirs = UnitCellRPUConfig(device=compound(**settings), **periphery)
    ours = TrackingRPUConfig(
        device=TrackingTransferCompound(reference=reference, **settings), **periphery
    )
    return network(theirs), network(ours)
