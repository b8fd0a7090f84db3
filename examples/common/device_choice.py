"""Devices of the race, as they come, and with shifted symmetric points."""

from __future__ import annotations

from functools import partial
from typing import Any, Callable, Dict, Tuple

from aihwkit.simulator.configs.devices import SoftBoundsReferenceDevice
from aihwkit.simulator.presets.devices import (
    CapacitorPresetDevice,
    EcRamPresetDevice,
    ReRamArrayHfO2PresetDevice,
    ReRamArrayOMPresetDevice,
    ReRamESPresetDevice,
    ReRamSBPresetDevice,
)

from aihwkit_dspt import dw_min_for_states, n_states, with_symmetric_point

SHIFTS = (0.0, 0.4)
"""Means of the effective symmetric points; their standard deviation is half of it."""


def soft_bounds(number: int) -> SoftBoundsReferenceDevice:
    """Return soft bounds on [-1, 1] with so many states."""
    device = SoftBoundsReferenceDevice()
    device.dw_min = dw_min_for_states(device, number)
    return device


DEVICES: Dict[str, Callable[[], Any]] = {
    "HfO2": ReRamArrayHfO2PresetDevice,
    "OM": ReRamArrayOMPresetDevice,
    "SB-20": partial(soft_bounds, 20),
    "SB-200": partial(soft_bounds, 200),
    "Capacitor": CapacitorPresetDevice,
    "ReRamSB": ReRamSBPresetDevice,
    "EcRam": EcRamPresetDevice,
    "SB-1200": partial(soft_bounds, 1200),
    "ReRamES": ReRamESPresetDevice,
}
"""Name -> device; ``SB-N`` are soft bounds with N states."""

KINDS: Tuple[Tuple[str, float], ...] = (("few", 50.0), ("some", 500.0), ("many", float("inf")))
"""Kind of a device and the number of states that it stays below."""


def kind(name: str) -> str:
    """Return whether a device has few, some or many states."""
    states = n_states(DEVICES[name]())
    return next(word for word, limit in KINDS if states < limit)


def device(name: str, shift: float) -> Any:
    """Return a device.

    Args:
        name: see :data:`DEVICES`.
        shift: mean of the effective symmetric points, whose standard deviation is half of it; with
            0 the device stays as it comes.

    Raises:
        ConfigError: if the device has no reference to shift.
    """
    made = DEVICES[name]()
    return with_symmetric_point(made, shift, abs(shift) / 2.0) if shift else made
