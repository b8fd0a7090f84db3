"""Counting the operations of all tiles of a model."""

from __future__ import annotations

from typing import Any, Optional

from aihwkit.exceptions import TileError
from aihwkit.simulator.configs.compounds import DynamicTransferCompound
from aihwkit.simulator.tiles.module import TileModule
from torch import nn

from aihwkit_dspt.configs.compound import chop_period
from aihwkit_dspt.costs.coincidences import counted_pulses
from aihwkit_dspt.costs.compound_state import (
    COMPOUNDS,
    CompoundClock,
    clock,
    is_compound,
    line_sizes,
    period,
)
from aihwkit_dspt.costs.counts import ModelCounts, OperationCounts
from aihwkit_dspt.costs.watch import TALLIES, Tally, tally_of
from aihwkit_dspt.tiles.tile import TrackingTile


def operation_counts(model: nn.Module) -> ModelCounts:
    """Return what the tiles of a model did since they were built.

    Counts of tracking tiles are part of their saved state. Of aihwkit's own C++ AGAD and TT-v2
    tiles those are returned that follow from their counters and settings, which start anew when
    weights are set; the rest is ``None`` unless :func:`~aihwkit_dspt.watch_operations` watched all
    of the training. On a GPU aihwkit keeps other counters, so there only the products and what
    devices with ``count_pulses=True`` have counted are known.

    Args:
        model: a model with tracking tiles or with aihwkit's ``DynamicTransferCompound``,
            ``ChoppedTransferCompound`` or ``BufferedTransferCompound``, or one such tile.

    Returns:
        the operations of each tile and their sum.

    Raises:
        TileError: if the model has no analog tile, or one whose operations cannot be counted.
    """
    tiles = {name: tile for name, tile in model.named_modules() if isinstance(tile, TileModule)}
    if not tiles:
        raise TileError(
            f"{type(model).__name__} has no analog tile: convert it with convert_to_analog first"
        )
    counts = {name: _counts(name, tile) for name, tile in tiles.items()}
    total, *others = counts.values()
    for other in others:
        total = total + other
    return ModelCounts(counts, total)


def _counts(name: str, tile: Any) -> OperationCounts:
    if isinstance(tile, TrackingTile):
        return _tracking_counts(tile)
    device = getattr(tile.rpu_config, "device", None)
    if is_compound(device):
        return cuda_counts(tile) if tile.is_cuda else _compound_counts(tile)
    names = ", ".join(kind.__name__ for kind in COMPOUNDS)
    raise TileError(
        f"tile '{name}' simulates {type(device).__name__}, whose operations are not counted: pass "
        f"a model with tracking tiles, {names}"
    )


def _tracking_counts(tile: TrackingTile) -> OperationCounts:
    simulator = tile.tile
    counters, estimator, fast = simulator.counters.state(), simulator.estimator, simulator.fast
    if not simulator.counters.estimates_coincidences:
        counters["expected_coincidences"] = None
    per_cycle = tile.rpu_config.update.desired_bl
    (coincidences,) = counted_pulses(fast.tile, [fast.device_config], fast.is_cuda)
    return OperationCounts(
        nominal_pulses=counters["update_cycles"] * per_cycle + counters["calibration_pulses"],
        transfer_reads=simulator.schedule.n_reads,
        programming_events=estimator.n_syncs,
        programmed_cells=estimator.n_synced_cells,
        coincidences=coincidences,
        **counters,
    )


def _compound_counts(tile: Any) -> OperationCounts:
    """Return what follows from the counters of a C++ compound, and what was seen of it."""
    device, now = tile.rpu_config.device, clock(tile)
    tally = tally_of(tile, now.update_cycles)
    in_size, out_size = line_sizes(tile)
    events = _programming_events(device, now, in_size, tally)
    return OperationCounts(
        update_cycles=now.update_cycles,
        nominal_pulses=now.update_cycles * tile.rpu_config.update.desired_bl,
        transfer_reads=_transfer_reads(device, now, in_size, tally),
        slow_pulses=tally.slow_pulses if tally is not None and tally.with_pulses else None,
        programming_events=events,
        programmed_cells=None if events is None else events * out_size,
        calibration_pulses=0,
        forward_mvms=None if tally is None else tally.forward_mvms,
        backward_mvms=None if tally is None else tally.backward_mvms,
    )


def _transfer_reads(
    device: Any, now: CompoundClock, in_size: int, tally: Optional[Tally]
) -> Optional[int]:
    if device.transfer_lr == 0.0:
        return 0  # lines are counted through, but none is read
    if now.sweeps is not None:
        # The automatic period has both devices go through the lines.
        return now.sweeps * in_size + sum(now.lines)
    every = period(device, 1)
    if every is None or device.n_reads_per_transfer != 1 or device.units_in_mbatch:
        return None if tally is None else tally.reads
    return now.update_cycles // every if every > 0 else 0


def _programming_events(
    device: Any, now: CompoundClock, in_size: int, tally: Optional[Tally]
) -> Optional[int]:
    if not isinstance(device, DynamicTransferCompound):
        return 0
    if device.in_chop_random:
        return None if tally is None else tally.flips
    if now.sweeps is None or period(device, 1) is None:
        return None
    # A line flips at each n-th read; the reference takes the estimate.
    n_reads = chop_period(device.in_chop_prob)
    events = in_size * (now.sweeps // n_reads)
    return events + (now.lines[0] if now.sweeps % n_reads == n_reads - 1 else 0)


def cuda_counts(tile: Any) -> OperationCounts:
    """Return what the pulse counters of a CUDA compound say, and the products that were seen."""
    devices = tile.rpu_config.device.unit_cell_devices
    fast, slow, *_ = counted_pulses(tile.tile, devices, True)
    tally = TALLIES.get(tile)
    return OperationCounts(
        update_cycles=None,
        nominal_pulses=None,
        transfer_reads=None,
        slow_pulses=slow,
        programming_events=None,
        programmed_cells=None,
        calibration_pulses=0,
        forward_mvms=None if tally is None else tally.forward_mvms,
        backward_mvms=None if tally is None else tally.backward_mvms,
        coincidences=fast,
    )
