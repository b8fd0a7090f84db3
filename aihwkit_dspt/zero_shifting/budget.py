"""How many pulses a calibration needs, and how many a training takes."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil
from typing import Mapping, Optional, Tuple, Union

import torch
from aihwkit.exceptions import ArgumentError, ConfigError
from aihwkit.simulator.configs.devices import PulsedDevice
from torch import Tensor

from aihwkit_dspt.configs.checks import require_argument, require_choice, require_whole
from aihwkit_dspt.configs.tensor_checks import require_numbers
from aihwkit_dspt.devices import Response, response, symmetric_points
from aihwkit_dspt.devices.simulated import nominal
from aihwkit_dspt.tiles.crossbar import Crossbar
from aihwkit_dspt.zero_shifting.algorithm import MOST_PULSES, SCHEDULES
from aihwkit_dspt.zero_shifting.pulsed_array import PulsedArray


@dataclass(frozen=True)
class PulseBudget:
    """Pulses that zero-shifting needs for an error."""

    n_pulses: int
    """Number of pulses per cell (for the cyclic schedule two per pair)."""

    floor: float
    """Smallest error that the theorem reaches, in squared weight units."""

    mu_q: Tensor
    r""":math:`\mu_q` of each cell ``[out_size, in_size]``, per weight unit; ``nan`` without SP."""

    q_max: Tensor
    r""":math:`q_{max}` of each cell ``[out_size, in_size]``, dimensionless."""


def pulse_budget(
    tile_or_device: object,
    error: float,
    schedule: str = "cyclic",
    *,
    device: Optional[PulsedDevice] = None,
    weights: Optional[Union[Tensor, float]] = None,
    quantile: float = 1.0,
) -> PulseBudget:
    r"""Return the pulses after which zero-shifting has reached an error (Theorems C.2, C.4).

    .. math::

        N \ge \frac{1}{2 \mu_q \Delta w_{min}} \log \frac{2 (W_0 - W_{sp})^2}{\delta}, \qquad
        \delta \ge \frac{2 q_{max}^2 \Delta w_{min}}{\mu_q}

    for each cell, with :math:`\delta` = ``error`` :math:`\ge E (W_N - W_{sp})^2`. The cyclic
    schedule needs half as many pulse *pairs* (Theorem C.4) and has, up to its order, the same
    floor.

    The constants are the device's own, taken over the range of each cell:
    :math:`\mu_q = \min_w G(w) / (w - W_{sp})`, which is all of Def. C.1 that the proof uses, is at
    least the :math:`\mu_q` defined there and exists for power devices too, whose slope vanishes
    at a bound; and :math:`q_{max}^2 = \max_w (q_\pm^2 + \sigma_\pm^2)`, which counts the
    cycle-to-cycle noise as part of a pulse. Write noise is not part of the error.

    Args:
        tile_or_device: an array as for :func:`zero_shift`, or a device configuration, which then
            stands for a cell without device-to-device variation.
        error: wanted mean squared error :math:`\delta` of a cell, in squared weight units.
        schedule: ``"cyclic"`` or ``"stochastic"``.
        device: device configuration, if the array does not tell.
        weights: :math:`W_0`, numbers broadcastable to ``[out_size, in_size]``; by default the
            persistent weights of the array, 0 for a device configuration.
        quantile: part of the cells that must reach the error; cells without a symmetric point do
            not count. With device variation, the slowest cell (1.0) may be hopeless.

    Returns:
        the pulses, the floor, and the constants of each cell.

    Raises:
        ArgumentError: if ``error`` is not positive or below the floor, or ``schedule``,
            ``quantile`` or ``weights`` is not valid.
        ConfigError: if no cell has a symmetric point, or as :func:`zero_shift`.
        TileError: as :func:`zero_shift`.
    """
    require_choice("schedule", schedule, SCHEDULES)
    error = require_argument("error", error, low=0.0, low_open=True)
    quantile = require_argument("quantile", quantile, 0.0, 1.0, low_open=True)
    if isinstance(tile_or_device, PulsedDevice):
        device = tile_or_device
        hidden: Mapping[str, Tensor] = Crossbar(1, 1, nominal(device)).device_parameters()
        start = torch.zeros_like(hidden["max_bound"])
    else:
        array = PulsedArray(tile_or_device, device)
        device, hidden = array.device, array.hidden_parameters()
        start = array.persistent_weights()
    if weights is not None:
        given = require_numbers("weights", weights)
        try:
            start = given.to(start).expand_as(start)
        except RuntimeError:
            raise ArgumentError(
                f"weights has shape {list(given.shape)}: pass what expands to {list(start.shape)}"
            ) from None
    cells, points = response(device, hidden), symmetric_points(device, hidden).values
    if torch.isnan(points).all():
        raise ConfigError(
            f"device={type(device).__name__} has no symmetric point to find. Pass one whose steps "
            "depend on the weight, such as SoftBoundsDevice."
        )

    mu_q, q_max = _constants(cells, points)
    floors = 2.0 * q_max**2 * cells.dw_min / mu_q
    floor = _upper(floors, quantile)
    if error < floor:
        raise ArgumentError(
            f"error={error:.3g} is below the floor {floor:.3g} of zero-shifting on this device. "
            "Pass a larger error, or a device with a smaller dw_min or less noise."
        )
    distance = 2.0 * (start - points) ** 2 / error
    counts = torch.log(distance).clamp(min=0.0) / (2.0 * mu_q * cells.dw_min)
    hopeless = floors > error
    needed = _upper(torch.where(hopeless, torch.inf, counts), quantile)
    if needed > MOST_PULSES:
        raise ArgumentError(
            f"error={error:.3g} takes more than {MOST_PULSES:.2g} pulses on this device. Pass a "
            "larger error, or quantile < 1 to leave out the slowest cells."
        )
    whole = 2 * ceil(needed / 2.0) if schedule == "cyclic" else ceil(needed)
    return PulseBudget(whole, floor, mu_q, q_max)


def _upper(values: Tensor, quantile: float) -> float:
    """Return the smallest value that this part of the (not ``nan``) values does not exceed."""
    ordered = values[~torch.isnan(values)].sort().values
    return float(ordered[ceil(quantile * ordered.numel()) - 1])


def _constants(cells: Response, points: Tensor) -> Tuple[Tensor, Tensor]:
    r"""Return :math:`\mu_q` and :math:`q_{max}` of each cell over its range."""
    mu_q = cells.dG_dw(points)
    second_moment = torch.zeros_like(points)
    for node in range(cells.n_segments + 1):
        weights = cells.at_fraction(node / cells.n_segments)
        slope = cells.G(weights) / (weights - points)
        # Next to the zero the quotient is rounding; its limit is the derivative above.
        near = (weights - points).abs() < 1e-6 * (cells.w_max - cells.w_min)
        mu_q = torch.where(near, mu_q, torch.minimum(mu_q, slope))
        for step, noise in ((cells.q_plus, cells.sigma_plus), (cells.q_minus, cells.sigma_minus)):
            moment = step(weights) ** 2 + noise(weights) ** 2
            second_moment = torch.maximum(second_moment, moment)
    return mu_q, second_moment.sqrt()


def training_pulses(
    epochs: int, n_samples: int, batch_size: int, desired_bl: int, calibration_pulses: int = 0
) -> int:
    r"""Return the pulses per cell that a training takes (paper, section 4, Fig. 4 left).

    .. math:: \mathrm{epochs} \cdot \lceil n / B \rceil \cdot BL + N

    with at most :math:`BL` pulses per mini-batch, and :math:`N` of a calibration before
    (two-stage method, Algorithm 4).

    Args:
        epochs: number of epochs.
        n_samples: number of training samples :math:`n`.
        batch_size: samples per mini-batch :math:`B`.
        desired_bl: length of the pulse train :math:`BL`.
        calibration_pulses: pulses of zero-shifting :math:`N`.

    Returns:
        the number of pulses.

    Raises:
        ArgumentError: if a number is not a whole one or negative, or ``batch_size`` or
            ``desired_bl`` is not positive.
    """
    counts = {"epochs": epochs, "n_samples": n_samples, "calibration_pulses": calibration_pulses}
    for name, value in counts.items():
        require_whole(name, value, 0)
    for name, value in {"batch_size": batch_size, "desired_bl": desired_bl}.items():
        require_whole(name, value, 1)
    return epochs * -(-n_samples // batch_size) * desired_bl + calibration_pulses
