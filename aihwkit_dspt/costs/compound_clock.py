"""The counters that aihwkit's C++ unit cells keep, on the CPU."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Dict, Optional, Tuple

from aihwkit.simulator.configs.compounds import (
    BufferedTransferCompound,
    ChoppedTransferCompound,
    DynamicTransferCompound,
    TransferCompound,
)
from numpy import float32

from aihwkit_dspt.configs.compound import chop_period
from aihwkit_dspt.stages.schedule import round_half_away

if TYPE_CHECKING:
    from aihwkit.simulator.tiles.module import TileModule

COMPOUNDS: Tuple[type, ...] = (
    DynamicTransferCompound,
    ChoppedTransferCompound,
    BufferedTransferCompound,
)
"""AGAD, (chopped) TT-v2 and TT-v2 as aihwkit's C++ simulates them."""

DEVICE = "rpu.rpu_device."


@dataclass(frozen=True)
class CompoundClock:
    """How far one of the :data:`COMPOUNDS` has come, from the numbers in its extra state."""

    update_cycles: int
    """Vector pairs since the weights were set."""

    lines: Tuple[int, ...]
    """Next line of each device; only the automatic period moves more than the first one."""

    sweeps: Optional[int]
    """Full sweeps over the fast array; ``None`` for the compound that does not count them."""

    @classmethod
    def of(cls, tile: TileModule) -> CompoundClock:
        """Return the clock of an analog tile with one of the :data:`COMPOUNDS`."""
        extra: Dict[str, Any] = tile.tile.dump_extra()
        sweeps = extra.get(DEVICE + "transfer_counter")
        return cls(
            int(extra[DEVICE + "current_update_idx"][0]),
            tuple(int(line) for line in extra[DEVICE + "current_slice_indices"]),
            None if sweeps is None else int(sweeps[0]),
        )

    def transfer_reads(self, device: TransferCompound, in_size: int) -> Optional[int]:
        """Return how many lines were read, ``None`` if the counters do not tell."""
        if device.transfer_lr == 0.0:
            return 0  # lines are counted through, but none is read
        if self.sweeps is not None:
            # The automatic period has both devices go through the lines.
            return self.sweeps * in_size + sum(self.lines)
        every = period(device)
        if every is None or device.n_reads_per_transfer != 1 or device.units_in_mbatch:
            return None
        return self.update_cycles // every if every > 0 else 0

    def programming_events(self, device: TransferCompound, in_size: int) -> Optional[int]:
        """Return how often the reference of a line was set, ``None`` if nobody counted."""
        if not isinstance(device, DynamicTransferCompound):
            return 0
        if device.in_chop_random or self.sweeps is None or period(device) is None:
            return None
        # A line flips at each n-th read; the reference takes the estimate.
        n_reads = chop_period(device.in_chop_prob)
        events = in_size * (self.sweeps // n_reads)
        return events + (self.lines[0] if self.sweeps % n_reads == n_reads - 1 else 0)


def line_sizes(tile: TileModule) -> Tuple[int, int]:
    """Return the number of lines that are read in turn, and of cells in each."""
    sizes = tile.tile.get_d_size(), tile.tile.get_x_size()
    out_size, in_size = sizes if tile.rpu_config.device.transfer_columns else sizes[::-1]
    return in_size, out_size


def period(device: TransferCompound) -> Optional[int]:
    """Return the vectors between two transfer events, 0 for none.

    ``None`` if aihwkit derives it from the device, in which case it does each event twice.
    """
    every = device.transfer_every_vec[0] if device.transfer_every_vec else device.transfer_every
    return None if every < 0.0 else round_half_away(float(float32(every)))
