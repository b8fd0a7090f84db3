"""Which transfers fall where into a batch, when there are several links."""

from __future__ import annotations

from typing import Dict, Iterator, List, Sequence, Tuple

from aihwkit_dspt.stages.schedule import TransferSchedule

Chunk = Tuple[int, int, Tuple[int, ...]]


def chunks(schedules: Sequence[TransferSchedule], m_batch: int) -> Iterator[Chunk]:
    """Yield ``(start, stop, numbers)`` chunks of a batch; the transfers follow their chunk.

    Where several are due after the same vector, they come in the order of the schedules: aihwkit's
    C++ compounds transfer from the fastest array first.

    Args:
        schedules: when each link transfers, the fastest first.
        m_batch: vectors of the batch.
    """
    if len(schedules) == 1:
        for start, stop, transfers in schedules[0].split(m_batch):
            yield start, stop, (0,) if transfers else ()
        return
    due: Dict[int, List[int]] = {m_batch: []}
    for number, schedule in enumerate(schedules):
        for _, stop, transfers in schedule.split(m_batch):
            if transfers:
                due.setdefault(stop, []).append(number)
    start = 0
    for stop in sorted(due):
        yield start, stop, tuple(due[stop])
        start = stop
