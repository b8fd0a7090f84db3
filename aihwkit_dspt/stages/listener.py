"""Hearing what a tile does, without changing it."""

from __future__ import annotations

from torch import Tensor

from aihwkit_dspt.stages.event import TransferEvent


class Listener:
    """Hears of reads, events and steps of a tile; a subclass says what it wants to hear.

    Attach one with :meth:`~aihwkit_dspt.TrackingTile.listen`, to the fast array or another one that
    is read. A listener must not change the tile. An error that it raises ends the step, which goes
    on at the next call.
    """

    def on_read(self, lines: slice, read: Tensor) -> None:
        """Hear of a read of the array, after BUFFER and ESTIMATE have taken it.

        Args:
            lines: the lines that were read.
            read: ``[n_lines, out_size]`` read of :math:`P`, in weight units.
        """

    def on_event(self, event: TransferEvent) -> None:
        """Hear of a transfer event that is done: read, pulses, flips of the chopper and syncs."""

    def on_step(self, n_vectors: int) -> None:
        """Hear of an update that is done, with its number of vectors."""
