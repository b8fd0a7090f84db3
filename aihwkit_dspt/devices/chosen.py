"""Device configurations with a chosen symmetric point or number of states."""

from __future__ import annotations

from copy import deepcopy
from math import ceil
from typing import Any, TypeVar

from aihwkit.exceptions import ArgumentError, ConfigError
from aihwkit.simulator.configs.devices import (
    PowStepReferenceDevice,
    PulsedDevice,
    SoftBoundsPmaxDevice,
    SoftBoundsReferenceDevice,
)
from numpy import finfo, float32

from aihwkit_dspt.configs.checks import require_argument
from aihwkit_dspt.devices.simulated import SimulatedNumbers, pulsed_devices

DeviceT = TypeVar("DeviceT")

# The simulator's numbers are in single precision.
SMALLEST, LARGEST = float(finfo(float32).tiny), float(finfo(float32).max)
# aihwkit's automatic n_estimation_steps is 10 per state and never more than this.
MAX_AUTO_ESTIMATION_STEPS = 10000


def with_symmetric_point(device: DeviceT, mean: float, std: float = 0.0) -> DeviceT:
    r"""Return a copy of a device whose effective symmetric point is ``mean`` +- ``std``.

    The effective symmetric point is the one in the weight units that the tile reports. A device
    with a reference :math:`r` reports :math:`w - r`; with ``subtract_symmetry_point`` aihwkit
    draws :math:`r = W_{sp} + \mathcal{N}(\mu_r, \sigma_r^2)`, so that the effective symmetric
    point is :math:`-\mathcal{N}(\mu_r, \sigma_r^2)`: the sign of ``reference_mean`` is the
    opposite of ``mean`` (paper, section 4, settings).

    aihwkit subtracts the symmetric point only where the bounds of a cell have opposite signs
    (always the case with ``enforce_consistency``). For PowStepReferenceDevice it estimates it
    by iteration; ``n_estimation_steps`` is set where aihwkit's automatic choice would stop too
    early.

    Args:
        device: SoftBoundsReferenceDevice or PowStepReferenceDevice, or a preset of those.
        mean: mean of the effective symmetric points over the cells, in weight units.
        std: their standard deviation over the cells, in weight units.

    Returns:
        a deep copy; ``device`` stays as it is.

    Raises:
        ConfigError: if the device has no reference to shift.
        ArgumentError: if ``mean`` is not finite, or ``std`` is not finite or negative.
    """
    if not isinstance(device, (SoftBoundsReferenceDevice, PowStepReferenceDevice)):
        raise ConfigError(
            f"device={type(device).__name__} has no reference, so its symmetric point cannot be "
            "chosen. Pass a SoftBoundsReferenceDevice or a PowStepReferenceDevice."
        )
    mean = require_argument("mean", mean, -LARGEST, LARGEST)
    std = require_argument("std", std, 0.0, LARGEST)
    chosen: Any = deepcopy(device)
    chosen.subtract_symmetry_point = True
    chosen.reference_mean = -mean
    chosen.reference_std = std
    if isinstance(chosen, PowStepReferenceDevice) and chosen.n_estimation_steps <= 0:
        numbers = SimulatedNumbers.of(chosen)
        n_steps = ceil(10.0 * numbers.weight_range / numbers.dw_min)
        if n_steps > MAX_AUTO_ESTIMATION_STEPS:
            chosen.n_estimation_steps = n_steps
    found: DeviceT = chosen
    return found


def n_states(device: PulsedDevice) -> float:
    r"""Return the number of states of a device, as aihwkit counts them.

    .. math:: n = (w_{max} - w_{min}) / \delta

    with the weight granularity :math:`\delta`: ``dw_min``, except that exponential, power and
    piecewise devices multiply it with their step size in the middle of the range. So a device
    with ``dw_min=1e-3`` on [-1, 1] has 2000 states.

    Args:
        device: configuration of a pulsed device, or of a unit cell of them.

    Returns:
        the number of states of the mean cell; of a unit cell the mean over its devices.

    Raises:
        ConfigError: if the device is not a pulsed device.
    """
    parts = pulsed_devices(device)
    return sum(SimulatedNumbers.of(part).n_states for part in parts) / len(parts)


def dw_min_for_states(device: PulsedDevice, n_states: float) -> float:  # pylint: disable=redefined-outer-name
    """Return the ``dw_min`` that gives a device a number of states on its range.

    The inverse of :func:`n_states`: ``replace(device, dw_min=dw_min_for_states(device, n))``.

    Args:
        device: configuration of a pulsed device; its own ``dw_min`` does not matter.
        n_states: wanted number of states, positive.

    Returns:
        ``dw_min`` in weight units.

    Raises:
        ConfigError: if the device is not a pulsed device, or derives its ``dw_min``.
        ArgumentError: if ``n_states`` is not a positive number.
    """
    if isinstance(device, SoftBoundsPmaxDevice):
        raise ConfigError("SoftBoundsPmaxDevice has 1 / alpha states. Set its field alpha.")
    n_states = require_argument("n_states", n_states, 0.0, LARGEST, low_open=True)
    numbers = SimulatedNumbers.of(device)
    dw_min = numbers.weight_range / (n_states * numbers.granularity / numbers.dw_min)
    if not SMALLEST <= dw_min <= LARGEST:
        raise ArgumentError(
            f"n_states={n_states} is not valid: dw_min={dw_min:.3g} is not a number in the "
            "simulator's single precision; pass a number between, such as 1000"
        )
    return dw_min
