"""Which transfers fall where into a batch, when there are several links."""

from __future__ import annotations

from typing import Dict, Iterator, List, Sequence, Tuple

from aihwkit_dspt.stages.schedule import TransferSchedule

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
