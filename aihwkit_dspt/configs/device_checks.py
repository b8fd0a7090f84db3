"""Checks of devices and unit cells, before aihwkit's C++ sees them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aihwkit.simulator.configs.compounds import (
    OneSidedUnitCell,
    ReferenceUnitCell,
    VectorUnitCell,
)
from aihwkit.simulator.configs.devices import PulsedDevice

from aihwkit_dspt.configs.checks import require, shown
from aihwkit_dspt.configs.declared import check_declared
from aihwkit_dspt.configs.parameter_checks import check_io, check_update

if TYPE_CHECKING:
    from aihwkit.simulator.configs.compounds import UnitCell

UNIT_CELLS = (VectorUnitCell, ReferenceUnitCell, OneSidedUnitCell)
SINGLE_DEVICES = "an instance of one of aihwkit's pulsed devices, e.g. SoftBoundsDevice()"


def check_device(field: str, device: object, with_cells: bool = True) -> None:
    """Check what an array can be made of: a pulsed device or a unit cell of pulsed devices.

    Raises:
        ConfigError: naming the field, if it is something else (an ideal device, a compound with a
            learning rule of its own, a unit cell without ``with_cells``), or has settings with
            which aihwkit raises or ends the process later on.
    """
    if with_cells and isinstance(device, UNIT_CELLS):
        _check_cell(field, device)
    else:
        cells = ", or a VectorUnitCell, ReferenceUnitCell or OneSidedUnitCell"
        remedy = f"pass {SINGLE_DEVICES}{cells if with_cells else ', or None'}"
        require(isinstance(device, PulsedDevice), field, device, remedy)
        _check_numbers(field, device)


def _check_numbers(field: str, device: PulsedDevice) -> None:
    check_declared(field, device)
    # SoftBoundsPmaxDevice derives these and keeps them at None.
    if device.dw_min is not None:
        require(device.dw_min > 0.0, f"{field}.dw_min", device.dw_min, "pass a positive number")
    if device.w_min is not None and device.w_max is not None:
        bounds = device.w_min, device.w_max
        contain = bounds[0] <= 0.0 <= bounds[1] and bounds[0] < bounds[1]
        require(contain, f"{field}.w_min, w_max", bounds, "pass bounds with 0 between them")


def _check_cell(field: str, cell: UnitCell) -> None:
    devices = cell.unit_cell_devices
    name = f"{field}.unit_cell_devices"
    is_list = isinstance(devices, list) and len(devices) > 0
    require(is_list, name, devices, "pass a list with at least one device")
    for number, device in enumerate(devices):
        part = f"{name}[{number}]"
        # aihwkit's dump_extra raises for cells within cells, so that none could be saved.
        remedy = f"pass {SINGLE_DEVICES}; a device within a unit cell cannot be a cell itself"
        require(isinstance(device, PulsedDevice), part, device, remedy)
        _check_numbers(part, device)
    check_declared(field, cell)
    if isinstance(cell, OneSidedUnitCell):
        _check_one_sided(field, cell)
    else:
        _check_vector(field, cell)


def _check_vector(field: str, cell: UnitCell) -> None:
    size = 2 if isinstance(cell, ReferenceUnitCell) else len(cell.unit_cell_devices)
    weights, first = cell.gamma_vec, cell.first_update_idx
    fits = isinstance(weights, list) and len(weights) in (0, size)
    require(fits, f"{field}.gamma_vec", weights, f"pass a list of {size} numbers, or an empty one")
    known = isinstance(first, int) and 0 <= first < size
    remedy = f"pass the number of a device, from 0 to {size - 1}"
    require(known, f"{field}.first_update_idx", first, remedy)


def _check_one_sided(field: str, cell: OneSidedUnitCell) -> None:
    devices = cell.unit_cell_devices
    require(
        len(devices) <= 2 and type(devices[0]) is type(devices[-1]),
        f"{field}.unit_cell_devices",
        [type(device).__name__ for device in devices],
        "pass one device, or two of the same class",
    )
    every = cell.refresh_every
    is_count = isinstance(every, int) and every >= 0
    require(is_count, f"{field}.refresh_every", every, "pass a whole number, 0 for no refresh")
    if every > 0:
        noise = max(getattr(device, "write_noise_std", 0.0) for device in devices)
        remedy = "aihwkit cannot reset devices with write noise; pass 0, or refresh_every=0"
        require(noise <= 0.0, f"{field}.unit_cell_devices.write_noise_std", shown(noise), remedy)
        check_io(f"{field}.refresh_forward", cell.refresh_forward)
        check_update(f"{field}.refresh_update", cell.refresh_update)
