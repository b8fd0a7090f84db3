"""Which arrays and pulses have a batched form."""

from __future__ import annotations

from typing import Optional, Tuple

from aihwkit.simulator.configs.devices import (
    ConstantStepDevice,
    ExpStepDevice,
    LinearStepDevice,
    PowStepDevice,
    PowStepReferenceDevice,
    PulsedDevice,
    SoftBoundsDevice,
    SoftBoundsReferenceDevice,
)
from aihwkit.simulator.parameters.enums import PulseType
from aihwkit.simulator.parameters.training import UpdateParameters

from aihwkit_dspt.devices import response

DEVICES: Tuple[type, ...] = (
    ConstantStepDevice,
    LinearStepDevice,
    SoftBoundsDevice,
    SoftBoundsReferenceDevice,
    ExpStepDevice,
    PowStepDevice,
    PowStepReferenceDevice,
)
"""Devices whose steps are linear, exponential or a power in the weight, presets included."""

PULSE_TYPES = (PulseType.STOCHASTIC_COMPRESSED, PulseType.STOCHASTIC)
"""Both have the same law: within a slot every cell takes one pulse at most."""


def device_obstacle(device: object) -> Optional[str]:
    """Return the setting of a device that has no batched form, ``None`` if there is none."""
    if not isinstance(device, PulsedDevice) or not isinstance(device, DEVICES):
        return type(device).__name__
    if response.dispatch(type(device)) not in map(response.dispatch, DEVICES):
        return f"{type(device).__name__} with a response of its own"
    # aihwkit's decay and diffusion change the weights below write noise in the C++ tile.
    if getattr(device, "write_noise_std", 0.0) > 0.0:
        for name in ("lifetime", "diffusion"):
            if getattr(device, name) > 0.0:
                return f"{type(device).__name__}(write_noise_std > 0, {name} > 0)"
    return None


def update_obstacle(update: UpdateParameters) -> Optional[str]:
    """Return the setting of update parameters without a batched form, ``None`` for none."""
    if update.pulse_type not in PULSE_TYPES:
        return f"pulse_type={update.pulse_type}"
    if update.d_sparsity:
        return "d_sparsity=True"
    if update.res > 0.0:
        return f"res={update.res}"
    return None
