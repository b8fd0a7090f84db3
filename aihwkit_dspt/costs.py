"""What a training cost so far, in operations of the hardware."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from typing import Any, Dict, Optional

from aihwkit.exceptions import TileError
from aihwkit.simulator.configs.compounds import ChoppedTransferCompound, DynamicTransferCompound
from aihwkit.simulator.tiles.module import TileModule
from torch import nn

from aihwkit_dspt.configs.compound import chop_period
from aihwkit_dspt.tiles.tile import TrackingTile

DEVICE = "rpu.rpu_device."


@dataclass(frozen=True)
class OperationCounts:
    """Operations of one tile, or of a model; ``None`` where aihwkit does not count."""

    update_cycles: Optional[int]
    """Vector pairs that were sent to the fast array as gradient pulses."""

    nominal_pulses: Optional[int]
    """Pulses per cell of the fast array as the paper counts them: ``desired_bl`` per vector pair,
    and those of a calibration (section 4, Fig. 4)."""

    transfer_reads: Optional[int]
    """Lines of the fast array that were read for transfers."""

    slow_pulses: Optional[int]
    """Pulses sent to cells of the slow array by transfers, exactly: they are whole steps."""

    programming_events: Optional[int]
    """Times that a part of the reference was programmed."""

    programmed_cells: Optional[int]
    """Cells that these events programmed, in total."""

    calibration_pulses: Optional[int]
    """Pulses that each cell of the fast array received by zero-shifting."""

    forward_mvms: Optional[int]
    """Vectors that were multiplied with the weight (training and evaluation)."""

    backward_mvms: Optional[int]
    """Error vectors that were multiplied with the transposed weight."""

    expected_coincidences: Optional[float] = None
    """Estimate of the pulses sent to cells of the fast array, summed over cells and updates, since
    :func:`estimate_coincidences` was called; ``None`` if it was not."""

    def __add__(self, other: OperationCounts) -> OperationCounts:
        sums: Dict[str, Any] = {}
        for item in fields(self):
            mine, theirs = getattr(self, item.name), getattr(other, item.name)
            sums[item.name] = None if mine is None or theirs is None else mine + theirs
        return OperationCounts(**sums)


@dataclass(frozen=True)
class ModelCounts:
    """Operations of all tiles of a model."""

    tiles: Dict[str, OperationCounts]
    """Name of the tile in the model -> its operations."""

    total: OperationCounts
    """Sum over the tiles."""

    def to_dict(self) -> Dict[str, Any]:
        """Return plain numbers, for JSON."""
        return asdict(self)

    def table(self) -> str:
        """Return a table with a column per tile and one for the total."""
        columns = {**self.tiles, "total": self.total}
        width = max(12, *(len(name) for name in columns)) + 2
        lines = [f"{'':<20}" + "".join(f"{name:>{width}}" for name in columns)]
        for item in fields(OperationCounts):
            values = (getattr(counts, item.name) for counts in columns.values())
            cells = ("-" if value is None else f"{value:,}" for value in values)
            lines.append(f"{item.name:<20}" + "".join(f"{cell:>{width}}" for cell in cells))
        return "\n".join(lines)


def operation_counts(model: nn.Module) -> ModelCounts:
    """Return what the tiles of a model did since they were built.

    Counts of tracking tiles are part of their saved state. Of aihwkit's own C++ AGAD and TT-v2
    tiles those are returned that follow from their counters and settings, which start anew when
    weights are set; the rest is ``None``.

    Args:
        model: a model with tracking tiles or with aihwkit's ``DynamicTransferCompound`` or
            ``ChoppedTransferCompound``, or one such tile.

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
    if type(device) in (DynamicTransferCompound, ChoppedTransferCompound):
        return _compound_counts(tile)
    raise TileError(
        f"tile '{name}' simulates {type(device).__name__}, whose operations are not counted: pass "
        "a model with tracking tiles, DynamicTransferCompound or ChoppedTransferCompound"
    )


def _tracking_counts(tile: TrackingTile) -> OperationCounts:
    counters, estimator = tile.tile.counters.state(), tile.tile.estimator
    if not tile.tile.counters.estimates_coincidences:
        counters["expected_coincidences"] = None
    per_cycle = tile.rpu_config.update.desired_bl
    return OperationCounts(
        nominal_pulses=counters["update_cycles"] * per_cycle + counters["calibration_pulses"],
        transfer_reads=tile.tile.schedule.n_reads,
        programming_events=estimator.n_syncs,
        programmed_cells=estimator.n_synced_cells,
        **counters,
    )


def _compound_counts(tile: Any) -> OperationCounts:
    """Return what follows from the counters of a C++ compound."""
    device, extra = tile.rpu_config.device, tile.tile.dump_extra()
    sizes = tile.tile.get_x_size(), tile.tile.get_d_size()
    in_size, out_size = sizes if device.transfer_columns else sizes[::-1]
    update_cycles, sweeps, line = (
        int(extra[DEVICE + key][0])
        for key in ("current_update_idx", "transfer_counter", "current_slice_indices")
    )
    events: Optional[int] = 0
    if isinstance(device, DynamicTransferCompound):
        # A line flips at each period-th read; the reference takes the estimate.
        period = chop_period(device.in_chop_prob)
        events = in_size * (sweeps // period)
        if sweeps % period == period - 1:
            events += line
        if device.in_chop_random:
            events = None  # random flips are not counted
    return OperationCounts(
        update_cycles=update_cycles,
        nominal_pulses=update_cycles * tile.rpu_config.update.desired_bl,
        transfer_reads=sweeps * in_size + line,
        slow_pulses=None,
        programming_events=events,
        programmed_cells=None if events is None else events * out_size,
        calibration_pulses=0,
        forward_mvms=None,
        backward_mvms=None,
    )


def estimate_coincidences(model: nn.Module, enable: bool = True) -> None:
    r"""Estimate the coincidences of gradient pulses from now on, or stop that.

    Stochastic pulse trains change a cell where both of its lines have a pulse. Per update the
    expected number is

    .. math:: \sum_{ij} |x_j d_i|\, \lambda / \Delta w_{min}

    as long as no pulse probability is clipped at 1, with the learning rate :math:`\lambda` of the
    fast array. The sum takes some microseconds per update, so it is off by default.

    Args:
        model: a model with tracking tiles, or one tile.
        enable: whether to estimate.

    Raises:
        TileError: if the model has no tracking tile.
    """
    tiles = [tile for tile in model.modules() if isinstance(tile, TrackingTile)]
    if not tiles:
        raise TileError(
            f"{type(model).__name__} has no TrackingTile: convert it with a TrackingRPUConfig first"
        )
    for tile in tiles:
        tile.tile.counters.estimates_coincidences = enable
