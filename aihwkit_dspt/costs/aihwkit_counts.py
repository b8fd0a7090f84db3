"""What is known of the operations of aihwkit's own tiles, and why the rest is not."""

from __future__ import annotations

from typing import TYPE_CHECKING, Dict, Optional

from aihwkit.simulator.configs.compounds import TransferCompound, UnitCell
from aihwkit.simulator.configs.devices import PulsedDevice
from aihwkit.simulator.tiles.analog import AnalogTile
from aihwkit.simulator.tiles.floating_point import FloatingPointTile
from aihwkit.simulator.tiles.inference import InferenceTileWithPeriphery

from aihwkit_dspt.costs.coincidences import NOT_ESTIMATED, NOT_ON_A_GPU, counted_pulses
from aihwkit_dspt.costs.compound_clock import COMPOUNDS, DEVICE, CompoundClock, line_sizes
from aihwkit_dspt.costs.counts import COUNTS, OperationCounts

if TYPE_CHECKING:
    from aihwkit.simulator.tiles.module import TileModule

PRODUCTS = "aihwkit's tiles do not count their products"
NO_COUNTER = "aihwkit's C++ keeps no counter of it; the gamma=0 twin on tracking tiles counts"
NO_CYCLES = "aihwkit's C++ keeps no counter of updates for devices outside a unit cell"
ON_A_GPU = "aihwkit's CUDA tiles keep no such counter"
UNTOLD = "with these settings aihwkit's counters do not tell"
BY_HAND = "aihwkit's tiles do not know which pulses were those of a calibration"

Known = Dict[str, Optional[int]]
NOTHING_TRANSFERRED: Known = {
    "transfer_reads": 0,
    "slow_pulses": 0,
    "programming_events": 0,
    "programmed_cells": 0,
}


def aihwkit_counts(tile: TileModule) -> OperationCounts:
    """Return what one of aihwkit's tiles, of whatever kind, tells of its operations."""
    if isinstance(tile, (FloatingPointTile, InferenceTileWithPeriphery)):
        return _digital()
    device = getattr(tile.rpu_config, "device", None)
    if type(tile) is AnalogTile:
        if type(device) in COMPOUNDS:
            return cuda_counts(tile) if tile.is_cuda else compound_counts(tile)
        if isinstance(device, UnitCell):
            return _unit_cell(tile)
        if isinstance(device, PulsedDevice):
            return _single_device(tile)
    kind = "no device" if device is None else f"device={type(device).__name__}"
    return with_reasons({}, f"operations of a {type(tile).__name__} with {kind} are not counted")


def with_reasons(known: Known, other: str, **reasons: str) -> OperationCounts:
    """Return counts, with a reason for each that is ``None``: its own or the ``other`` one."""
    numbers = {name: known.get(name) for name in COUNTS}
    given = {
        **dict.fromkeys(("forward_mvms", "backward_mvms"), PRODUCTS),
        **{"expected_coincidences": NOT_ESTIMATED, "coincidences": NOT_ON_A_GPU, **reasons},
    }
    return OperationCounts(
        **numbers,
        reasons={name: given.get(name, other) for name, x in numbers.items() if x is None},
    )


def _digital() -> OperationCounts:
    """Updates are digital: no pulse is ever sent."""
    pulses = ("update_cycles", "nominal_pulses", "calibration_pulses", "coincidences")
    known: Known = {**NOTHING_TRANSFERRED, **dict.fromkeys(pulses, 0)}
    return with_reasons(known, PRODUCTS)


def compound_counts(tile: TileModule) -> OperationCounts:
    """Return what follows from the counters of a C++ compound for transfers."""
    device, now = tile.rpu_config.device, CompoundClock.of(tile)
    in_size, out_size = line_sizes(tile)
    events = now.programming_events(device, in_size)
    known: Known = {
        "update_cycles": now.update_cycles,
        "nominal_pulses": now.update_cycles * tile.rpu_config.update.desired_bl,
        "transfer_reads": now.transfer_reads(device, in_size),
        "programming_events": events,
        "programmed_cells": None if events is None else events * out_size,
        "calibration_pulses": 0,
    }
    return with_reasons(known, UNTOLD, slow_pulses=NO_COUNTER)


def cuda_counts(tile: TileModule) -> OperationCounts:
    """Return what the pulse counters of a CUDA compound say."""
    fast, slow, *_ = counted_pulses(tile.tile, tile.rpu_config.device.unit_cell_devices, True)
    known: Known = {"slow_pulses": slow, "coincidences": fast, "calibration_pulses": 0}
    return with_reasons(known, ON_A_GPU, slow_pulses=NOT_ON_A_GPU)


def _unit_cell(tile: TileModule) -> OperationCounts:
    """Unit cells count their updates; those for transfers say nothing that is exact of them."""
    known: Known = {}
    if not tile.is_cuda:
        cycles = int(tile.tile.dump_extra()[DEVICE + "current_update_idx"][0])
        known["update_cycles"] = cycles
        known["nominal_pulses"] = cycles * tile.rpu_config.update.desired_bl
    if not isinstance(tile.rpu_config.device, TransferCompound):
        known.update(NOTHING_TRANSFERRED)
    other = ON_A_GPU if tile.is_cuda else NO_COUNTER
    return with_reasons(known, other, calibration_pulses=BY_HAND)


def _single_device(tile: TileModule) -> OperationCounts:
    """There is one array and no transfer."""
    (pulses,) = counted_pulses(tile.tile, [tile.rpu_config.device], bool(tile.is_cuda))
    known: Known = {**NOTHING_TRANSFERRED, "coincidences": pulses}
    return with_reasons(known, NO_CYCLES, calibration_pulses=BY_HAND)
