"""One table of the methods of the family and of the devices, shared by all tests."""

from __future__ import annotations

from typing import Any, Callable, Dict, List, Tuple

from aihwkit.simulator.presets import compounds, devices

import aihwkit_dspt
from aihwkit_dspt import ReferenceSync, ReferenceType

Settings = Dict[str, Any]

GAMMA = 0.1

METHODS: Dict[str, Settings] = {
    "TT-v2": {"reference": ReferenceType.ZERO, "in_chop_prob": 0.0},
    "c-TTv2": {"reference": ReferenceType.ZERO, "in_chop_prob": 0.3},
    "AGAD": {"reference": ReferenceType.DYNAMIC, "in_chop_prob": 0.3},
    "residual": {"reference": ReferenceType.ZERO, "in_chop_prob": 0.0, "gamma": GAMMA},
    "two-stage": {"reference": ReferenceType.STATIC, "in_chop_prob": 0.0, "gamma": GAMMA},
    "RIDER": {
        "reference": ReferenceType.DYNAMIC,
        "reference_sync": ReferenceSync.EVERY_READ,
        "in_chop_prob": 0.0,
        "eta": 0.2,
        "gamma": GAMMA,
    },
    "E-RIDER": {"reference": ReferenceType.DYNAMIC, "in_chop_prob": 0.3, "gamma": GAMMA},
}
"""Method -> settings of ``TrackingTransferCompound`` that define it."""

TRACKING_ALGORITHMS: Tuple[str, ...] = ("rider", "e-rider", "residual", "two-stage")
"""``build_config`` names that this package adds."""

AIHWKIT_ALGORITHMS: Tuple[str, ...] = (
    "sgd",
    "mp",
    "mixed-precision",
    "tiki-taka",
    "ttv1",
    "tt",
    "ttv2",
    "chopped-ttv2",
    "ttv3",
    "c-ttv2",
    "agad",
    "ttv4",
)
"""``build_config`` names that aihwkit documents."""

DEVICES: Dict[str, Callable[[], Any]] = {
    name[: -len("PresetDevice")]: getattr(devices, name)
    for name in sorted(vars(devices))
    if name.endswith("PresetDevice") and name != "PCMPresetDevice"
}
"""Name within a preset -> device; taken from aihwkit, so that a new one is noticed."""
# A PCM device only steps upwards; aihwkit pulses it in pairs.
DEVICES["PCM"] = compounds.PCMPresetUnitCell

PRESETS: List[str] = [
    f"{algorithm}{device}Preset" for algorithm in ("RIDER", "ERIDER") for device in DEVICES
]
"""Preset names that have to exist."""


def preset(name: str) -> Any:
    """Return a new configuration of a preset."""
    return getattr(aihwkit_dspt, name)()
