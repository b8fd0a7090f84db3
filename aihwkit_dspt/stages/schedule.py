"""When to transfer, and which line."""

from __future__ import annotations

from functools import partial
from math import ceil, floor
from typing import Dict, Iterator, List, Mapping, Optional, Sequence, Tuple

from numpy import float32


def round_half_away(value: float) -> int:
    """Return C's ``roundf`` of a non-negative value."""
    return int(floor(value + 0.5))


class TransferSchedule:
    """Counts update cycles and says where within a batch transfers happen.

    An update cycle is one vector pair. As in aihwkit's C++ compounds the length between
    transfers follows from the size of the current batch, and the cycles are counted through, so
    that a transfer may fall into the middle of a batch or several into one.

    Args:
        in_size: number of lines of the fast array.
        transfer_every: length between transfers, in vectors or (``units_in_mbatch``) batches;
            0 for no transfer. A negative value is aihwkit's automatic choice
            ``abs(transfer_every) * n_states / n_events`` with the events of a full sweep.
        units_in_mbatch: whether the length is given in batches.
        n_states: number of states of the fast device, for the automatic choice.
        whole_array: whether each event transfers all lines.
        sweep_every: vectors in which all lines are transferred once: after each batch as many
            lines as its vectors are due; 0 for ``transfer_every``.

    Attributes:
        update_count: vectors since the weights were set.
        line: the line that the next event reads.
        sweep: full sweeps over the array so far.
        n_reads: lines read so far.
        n_due: lines that are due, those of an event that has begun and not ended included.
    """

    def __init__(
        self,
        in_size: int,
        transfer_every: float,
        units_in_mbatch: bool,
        n_states: float,
        whole_array: bool,
        sweep_every: float = 0.0,
    ) -> None:
        self.in_size = in_size
        self.lines_per_event = in_size if whole_array else 1
        self.events_per_sweep = in_size // self.lines_per_event
        self.sweep_every = sweep_every
        self.transfer_every = transfer_every
        self.units_in_mbatch = units_in_mbatch
        self.n_states = n_states
        self.update_count = 0
        self.line = 0
        self.sweep = 0
        self.n_reads = 0
        self.n_due = 0
        self._last = -1, 0

    def every(self, m_batch: int) -> int:
        """Return the number of vectors between transfers for a batch of ``m_batch`` vectors."""
        # Batches seldom change their size.
        if self._last[0] != m_batch:
            self._last = m_batch, self._every(m_batch)
        return self._last[1]

    def _every(self, m_batch: int) -> int:
        if self.transfer_every < 0.0:
            states = float32(self.n_states) / float32(self.events_per_sweep)
            return max(round_half_away(float(states * float32(-self.transfer_every))), 1)
        if self.units_in_mbatch:
            return int(ceil(float32(self.transfer_every) * float32(m_batch)))
        return round_half_away(float(float32(self.transfer_every)))

    def parts(self, m_batch: int) -> Tuple[int, int]:
        """Return the vectors of a batch up to its first event, and between its events."""
        every = self.every(m_batch)
        return every - self.update_count % every, every

    def due_at_end(self, m_batch: int) -> Optional[int]:
        """Return the lines that are due after a batch, ``None`` if some are within it."""
        if self.sweep_every > 0.0:
            # A second sweep would read again what nothing has changed.
            return min(self._lines_until(m_batch) - self._lines_until(0), self.in_size)
        last = self._last
        every = last[1] if last[0] == m_batch else self.every(m_batch)
        left = every - self.update_count % every if every > 0 else m_batch + 1
        if left < m_batch:
            return None
        return self.lines_per_event if left == m_batch else 0

    def split(self, m_batch: int) -> Iterator[Tuple[int, int, int]]:
        """Yield ``(start, stop, n_lines)`` chunks of a batch; lines are due after their chunk."""
        n_lines = self.due_at_end(m_batch)
        if n_lines is not None:
            yield 0, m_batch, n_lines
            return
        every, count, start = self.every(m_batch), self.update_count, 0
        while start < m_batch:
            stop = min(start + every - count % every, m_batch)
            count += stop - start
            yield start, stop, self.lines_per_event if count % every == 0 else 0
            start = stop

    def _lines_until(self, n_vectors: int) -> int:
        """Return the number of lines that were due since the start, after so many more vectors."""
        n_events = (self.update_count + n_vectors) * self.events_per_sweep // self.sweep_every
        return int(n_events) * self.lines_per_event

    def count(self, n_vectors: int, n_due: int) -> partial[None]:
        """Return the call that counts update cycles, after which lines may be due."""
        # One call in C: nothing of it can be interrupted.
        return partial(vars(self).update, update_count=self.update_count + n_vectors, n_due=n_due)

    def count_events(self, n_vectors: int, n_events: int) -> partial[None]:
        """Return the call that counts update cycles and events of single lines, all done."""
        line = self.line + n_events
        after = {
            "update_count": self.update_count + n_vectors,
            "line": line % self.in_size,
            "sweep": self.sweep + line // self.in_size,
            "n_reads": self.n_reads + n_events,
        }
        return partial(vars(self).update, after)

    def lines(self, n_due: Optional[int] = None) -> slice:
        """Return the lines of the next event: those that are due, as far as the last line.

        Args:
            n_due: number of lines that will be due then, ``None`` for those that are due now.
        """
        n_due = self.n_due if n_due is None else n_due
        return slice(self.line, min(self.line + n_due, self.in_size))

    def finish(self, was_read: bool = True) -> partial[None]:
        """Return the call that counts the event that is due, and moves on to the next lines.

        Args:
            was_read: whether the lines were read; the others do not count for the sweeps.
        """
        n_reads, sweep = self.n_reads, self.sweep
        n_lines = min(self.n_due, self.in_size - self.line)
        stop = self.line + n_lines
        if was_read:
            n_reads += n_lines
            sweep += int(stop == self.in_size)
        after = {
            "line": stop % self.in_size,
            "n_reads": n_reads,
            "sweep": sweep,
            "n_due": self.n_due - n_lines,
        }
        return partial(vars(self).update, after)

    def restart(self) -> None:
        """Start counting update cycles and lines anew, as aihwkit does on set weights."""
        self.update_count = 0
        self.line = 0
        self.n_due = 0

    def state(self) -> Dict[str, int]:
        """Return the counters."""
        names = ("update_count", "line", "sweep", "n_reads")
        return {name: getattr(self, name) for name in names}

    def load_state(self, state: Mapping[str, int]) -> None:
        """Set the counters."""
        for name, value in state.items():
            setattr(self, name, int(value))


Chunk = Tuple[int, int, Tuple[int, ...]]


def chunks(schedules: Sequence[TransferSchedule], m_batch: int) -> Iterator[Chunk]:
    """Yield ``(start, stop, n_lines)`` chunks of a batch, with the lines due after the chunk.

    There is a number of lines for each schedule.

    Where several are due after the same vector, they come in the order of the schedules: aihwkit's
    C++ compounds transfer from the fastest array first.

    Args:
        schedules: when each link transfers, the fastest first.
        m_batch: vectors of the batch.
    """
    if len(schedules) == 1:
        for start, stop, n_lines in schedules[0].split(m_batch):
            yield start, stop, (n_lines,)
        return
    due: Dict[int, List[int]] = {m_batch: [0] * len(schedules)}
    for number, schedule in enumerate(schedules):
        for _, stop, n_lines in schedule.split(m_batch):
            if n_lines:
                due.setdefault(stop, [0] * len(schedules))[number] = n_lines
    start = 0
    for stop in sorted(due):
        yield start, stop, tuple(due[stop])
        start = stop
