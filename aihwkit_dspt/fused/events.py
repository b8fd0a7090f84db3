"""The transfer events of a batch, for compiled calls."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any, List, Optional, Tuple

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from aihwkit_dspt.tiles.link import Link

NO_SWEEPS = ((0.0, 0.0),)

FLIPS, SYNCS = 1, 2
"""Bits of what follows the read of a line: its sign flips, its reference follows."""


# Nearly all batches have the same ones as the batch before, and nobody writes to them.
@lru_cache(maxsize=128)
def _all_alike(n_events: int, bits: int) -> NDArray[np.int8]:
    return np.full(n_events, bits, np.int8)


@lru_cache(maxsize=128)
def _sweeps(rows: Tuple[Tuple[float, float], ...]) -> NDArray[np.float64]:
    return np.array(rows or NO_SWEEPS)


class Events:
    """The transfer events within and after a batch, line by line.

    Args:
        link: what transfers.
        m_batch: vectors of the batch.
        n_due: lines that are due after the batch; ``None`` for events of a line each within it.
        learning_rate: learning rate of the SGD.
        source_lr: that of the pulses to the fast array.

    Attributes:
        schedule: number of events, vectors up to the first one, vectors between events, and the
            first line.
        sweeps: for each sweep that has events the increment of the buffer, in pulses per weight
            unit, and whether pulses are sent to the slow array.
        flips: ``[n_events]`` what follows a read, of the bits :data:`FLIPS` and :data:`SYNCS`.
        n_flips: number of signs that flip.
        n_syncs: number of events in which the reference follows, as the stages count them.
        n_synced: number of lines in which it does.
        may_send: whether any of them may send pulses.
    """

    def __init__(
        self,
        link: Link,
        m_batch: int,
        n_due: Optional[int],
        learning_rate: float,
        source_lr: Any,
    ) -> None:
        schedule = link.schedule
        first, every = (m_batch, 0) if n_due is not None else schedule.parts(m_batch)
        self.n_events = (m_batch - first) // every + 1 if n_due is None else n_due
        self.schedule = self.n_events, first, every, schedule.line
        follows_each = link.tracks and link.syncs_every_read
        self.flips = _all_alike(self.n_events, SYNCS if follows_each else 0)
        rows: List[Tuple[float, float]] = []
        self.n_flips, self.n_syncs, self.n_synced, done, line = 0, 0, 0, 0, schedule.line
        while done < self.n_events:
            # Those of one sweep have nearly everything in common.
            sweep = schedule.sweep + len(rows)
            n_lines = min(schedule.in_size - line, self.n_events - done)
            beta, writes, may_flip = link.of_sweep(sweep, learning_rate, source_lr)
            rows.append((beta, float(writes)))
            n_flips = 0
            if may_flip:
                if not self.n_flips:
                    self.flips = self.flips.copy()
                flips = link.chopper.due_one_by_one(n_lines, sweep)
                bits = FLIPS | SYNCS if link.tracks else FLIPS
                self.flips[done : done + n_lines] |= flips * np.int8(bits)
                n_flips = int(flips.sum())
                self.n_flips += n_flips
            n_synced = n_lines if follows_each else n_flips * link.tracks
            # Lines of one event that all follow are programmed at once.
            at_once = n_due is not None and n_synced == n_lines
            self.n_syncs += 1 if at_once else n_synced
            self.n_synced += n_synced
            done, line = done + n_lines, 0
        self.sweeps = _sweeps(tuple(rows))
        self.may_send = any(writes > 0.0 for _, writes in rows)

    def lines(self, line: int, in_size: int) -> List[slice]:
        """Return the lines of all events, of which the first one is that of a line."""
        if self.n_events >= in_size:
            return [slice(0, in_size)]
        rest = line + self.n_events - in_size
        parts = [slice(line, min(line + self.n_events, in_size))]
        return [*parts, slice(0, rest)] if rest > 0 else parts
