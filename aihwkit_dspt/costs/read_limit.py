"""How far one read can move the buffer of a compound."""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import Any, Dict

from aihwkit.simulator.configs.compounds import BufferedTransferCompound
from aihwkit.simulator.configs.devices import PulsedDevice
from aihwkit.simulator.parameters.enums import NoiseManagementType, RPUDataType
from aihwkit.simulator.parameters.io import IOParameters

from aihwkit_dspt.costs.compound_state import Array
from aihwkit_dspt.tiles.learning_rates import TransferLearningRate

SIGMAS = 10.0
"""Read noise beyond this many standard deviations does not happen: once in 1e23 reads."""

BOUNDED = {
    "inp_bound",
    "inp_res",
    "inp_sto_round",
    "out_bound",
    "out_noise",
    "out_res",
    "out_sto_round",
    "bound_management",
    "max_bm_factor",
    "max_bm_res",
    "bm_test_negative_bound",
    "noise_management",
}
"""Settings of a read whose effect on a single line :func:`largest_read` knows."""


def granularity(device: Any) -> float:
    """Return the weight granularity of a device, in weight units."""
    return float(device.as_bindings(RPUDataType.FLOAT).calc_weight_granularity())


def buffer_rate(device: Any, learning_rate: float, fast_lr: Any, in_size: int) -> float:
    r"""Return the buffer increment :math:`\beta` in steps per weight unit of TT-v2.

    Args:
        device: the compound.
        learning_rate: learning rate of the tile.
        fast_lr: learning rate of the last gradient pulses.
        in_size: number of lines.

    Returns:
        the increment; infinite where it changes within a batch.
    """
    fast, slow = (granularity(part) for part in device.unit_cell_devices)
    if isinstance(device, BufferedTransferCompound):
        scale = abs(learning_rate) if device.scale_transfer_lr else 1.0
        return float(abs(device.transfer_lr) * scale / (device.thres_scale * slow))
    if device.correct_gradient_magnitudes and device.auto_scale:
        return math.inf
    config: Any = SimpleNamespace(**vars(device), experimental_correct_accumulation=False)
    return abs(TransferLearningRate(config, fast, slow, in_size)(learning_rate, fast_lr, 1))


def largest_read(device: Any, fast_parameters: Dict[str, Array]) -> float:
    """Return what a read of one line of the fast array cannot exceed, in weight units.

    Args:
        device: the compound.
        fast_parameters: bounds of the cells of the fast array, among others.

    Returns:
        the limit; infinite if the read has other non-idealities than converters and output noise.
    """
    io = device.transfer_forward
    fast = device.unit_cell_devices[0]
    # Write noise takes weights beyond the bounds.
    if not isinstance(fast, PulsedDevice) or getattr(fast, "write_noise_std", 0.0) > 0.0:
        return math.inf
    weight = max(float(abs(fast_parameters[name]).max()) for name in ("max_bound", "min_bound"))
    # A reference shifts the range of the weights that are read.
    if "reference" in fast_parameters:
        weight += float(abs(fast_parameters["reference"]).max())
    if io.is_perfect:
        return weight
    usual = vars(IOParameters())
    known = all(
        value == usual.get(name, value) for name, value in vars(io).items() if name not in BOUNDED
    )
    managed = io.noise_management in (NoiseManagementType.NONE, NoiseManagementType.ABS_MAX)
    if not known or not managed or type(io) is not IOParameters:
        return math.inf
    rounding = 2.0 * max(io.out_bound, 0.0) * max(io.out_res, 0.0)
    return float(weight * (1.0 + max(io.inp_res, 0.0)) + SIGMAS * abs(io.out_noise) + rounding)
