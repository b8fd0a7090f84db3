"""The numbers of a device as the simulator gets them."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass, fields
from math import inf
from typing import Any, List, TypeVar

from aihwkit.exceptions import ConfigError
from aihwkit.simulator.configs.devices import PulsedDevice
from aihwkit.simulator.parameters.enums import RPUDataType
from numpy import float32

from aihwkit_dspt.configs.checks import require
from aihwkit_dspt.configs.declared import check_declared

DeviceT = TypeVar("DeviceT")

PERSISTENT = "persistent_weights"
"""Name of the per-cell parameter that holds weights below write noise."""


@dataclass(frozen=True)
class SimulatedNumbers:
    """Range and steps of the mean cell of a pulsed device.

    They come from the bindings, not from the fields of the configuration: SoftBoundsPmaxDevice
    derives them from other fields, keeps these at ``None`` and ignores what they are set to.
    """

    w_min: float
    """Lower bound, in weight units."""

    w_max: float
    """Upper bound, in weight units."""

    dw_min: float
    r""":math:`\Delta w_{min}`, in weight units."""

    granularity: float
    """Weight granularity, in weight units: ``dw_min`` times the relative step size in the middle
    of the range."""

    write_noise: float
    """Standard deviation of the write noise, in weight units: of what is seen of a cell around what
    it holds, new with each pulse. 0 for devices without."""

    @property
    def weight_range(self) -> float:
        """Width of the range, in weight units."""
        return self.w_max - self.w_min

    @property
    def n_states(self) -> float:
        """Number of states: range over granularity."""
        return self.weight_range / self.granularity

    @classmethod
    def of(cls, device: PulsedDevice) -> SimulatedNumbers:
        """Return the numbers of a device configuration.

        Raises:
            ConfigError: if it is not that of a pulsed device, or its range or its steps are not
                positive numbers.
        """
        if not isinstance(device, PulsedDevice):
            name = device.__name__ if isinstance(device, type) else type(device).__name__
            raise ConfigError(
                f"device={name} has no states. Pass an instance of one of aihwkit's pulsed devices."
            )
        check_declared(type(device).__name__, device)
        bindings = device.as_bindings(RPUDataType.FLOAT)
        granularity = bindings.calc_weight_granularity()
        noise = getattr(device, "write_noise_std", 0.0) * bindings.dw_min
        given = bindings.w_min, bindings.w_max, bindings.dw_min, granularity, max(noise, 0.0)
        numbers = cls(*(_written(value) for value in given))
        for name in ("weight_range", "dw_min", "granularity"):
            value = getattr(numbers, name)
            require(
                0.0 < value < inf,
                f"{name} of {type(device).__name__}",
                value,
                "pass a device with w_min < w_max and dw_min > 0",
            )
        return numbers


def nominal(device: DeviceT) -> DeviceT:
    """Return a copy of a device all of whose cells are the mean cell."""
    mean: Any = deepcopy(device)
    for item in fields(mean):
        if item.name.endswith("_dtod") or item.name in ("reference_std", "corrupt_devices_prob"):
            setattr(mean, item.name, 0.0)
    copied: DeviceT = mean
    return copied


def _written(value: float) -> float:
    """Return the shortest decimal number that is this one in single precision, e.g. 0.001."""
    return float(str(float32(value)))


def pulsed_devices(device: object) -> List[PulsedDevice]:
    """Return the devices of a unit cell, those of cells within it included; else the device."""
    parts = getattr(device, "unit_cell_devices", None)
    if not parts:
        return [device]
    return [inner for part in parts for inner in pulsed_devices(part)]
