"""How the arrays of a tile are drawn and read."""

from __future__ import annotations

from copy import deepcopy
from typing import List

from aihwkit.exceptions import ConfigError
from aihwkit.simulator.configs.compounds import VectorUnitCell
from aihwkit.simulator.configs.configs import SingleRPUConfig
from aihwkit.simulator.configs.devices import IdealDevice
from aihwkit.simulator.parameters.enums import (
    BoundManagementType,
    NoiseManagementType,
    RPUDataType,
)
from aihwkit.simulator.parameters.io import IOParameters
from aihwkit.simulator.parameters.runtime import RuntimeParameter
from torch import randint

from aihwkit_dspt.configs.checks import require, shown
from aihwkit_dspt.configs.compound import TrackingTransferCompound
from aihwkit_dspt.tiles.cpp_tile import create_cpp_tile
from aihwkit_dspt.tiles.crossbar import Crossbar


def transfer_read_parameters(config: TrackingTransferCompound) -> IOParameters:
    """Return the read parameters of a transfer: without noise and bound management.

    One-hot inputs need neither; aihwkit's C++ compounds turn them off as well.
    """
    parameters = deepcopy(config.transfer_forward)
    parameters.noise_management = NoiseManagementType.NONE
    parameters.bound_management = BoundManagementType.NONE
    return parameters


def require_reads(field: str, parameters: IOParameters, data_type: RPUDataType) -> None:
    """Raise ``ConfigError`` unless aihwkit can read with these parameters.

    aihwkit finds out at the first read; here it is that of a single cell.
    """
    if parameters.is_perfect:
        return
    try:
        cell = Crossbar(1, 1, IdealDevice(), parameters, parameters, data_type=data_type)
        one = cell.weights.new_ones(1, 1)
        read = cell.read_columns(one) + cell.read_rows(one)
    except (RuntimeError, ConfigError) as error:
        raise ConfigError(
            f"{field}={shown(parameters)} is not valid: aihwkit cannot read with it ({error}); "
            "pass other read parameters"
        ) from error
    finite = bool(read.isfinite().all())
    require(finite, field, parameters, "aihwkit reads nan with it; pass other read parameters")


def chopper_seed(config: TrackingTransferCompound, number: int = 0) -> int:
    """Return the seed of the random chopper flips of a link.

    It follows from ``construction_seed`` if that is given, else from torch's global generator.

    Args:
        config: the compound.
        number: number of the array that the link reads, as in ``unit_cell_devices``.
    """
    if config.construction_seed != 0:
        return (int(config.construction_seed) + number * 2654435761) % 2**63
    return int(randint(2**31 - 1, (), device="cpu").item())


def reference_seed(config: TrackingTransferCompound, number: int = 0) -> int:
    """Return the seed of the cells of a link's reference, 0 for none.

    It follows from ``construction_seed`` but differs from it, which draws the other arrays.
    """
    if config.construction_seed == 0:
        return 0
    return (int(config.construction_seed) * 2654435761 + 97 + number * 40503) % 2**32 or 1


def draw_seeded_devices(
    config: TrackingTransferCompound, arrays: List[Crossbar], data_type: RPUDataType
) -> None:
    """Give the arrays the devices that aihwkit's C++ compound draws for the same seed.

    So AGAD, TT-v2 and the tracked methods can be compared on the very same devices. Without a
    ``construction_seed`` nothing is done.

    Args:
        config: the compound.
        arrays: the arrays of its ``unit_cell_devices``.
        data_type: data type of the simulation.
    """
    if config.construction_seed == 0:
        return
    # All of aihwkit's compounds draw their devices as this one does, which takes any of them.
    twin = VectorUnitCell(
        unit_cell_devices=config.unit_cell_devices, construction_seed=config.construction_seed
    )
    runtime = RuntimeParameter(data_type=data_type)
    # Not a crossbar: aihwkit cannot tell the state of a compound of unit cells.
    drawn = create_cpp_tile(
        arrays[0].x_size, arrays[0].d_size, SingleRPUConfig(device=twin, runtime=runtime)
    )
    values = dict(zip(drawn.get_hidden_parameter_names(), drawn.get_hidden_parameters()))
    for number, array in enumerate(arrays):
        parameters = array.hidden_parameters()
        for index, name in enumerate(array.hidden_parameter_names()):
            parameters[index] = values[f"{name}_{number}"]
        # aihwkit estimates a granularity from parameters that are set, not from those it draws.
        granularity = array.granularity
        array.set_hidden_parameters(parameters)
        array.granularity = granularity
        array.set_pulse_granularity(granularity)
        array.find_faults()
