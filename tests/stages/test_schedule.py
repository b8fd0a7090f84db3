"""When transfers happen, against a counter that counts vector by vector as C++ does."""

from __future__ import annotations

import math
from typing import List, Tuple

import numpy as np
import pytest
import torch

from aihwkit_dspt.stages.schedule import TransferSchedule, round_half_away

BATCHES = [1, 3, 10, 10, 1, 7, 64, 2, 2, 5, 3, 3, 3, 100, 1, 1]


class CppCounter:
    """``finishUpdateCycle`` and ``transfer`` of aihwkit's C++ transfer device, as a loop."""

    def __init__(self, in_size: int, transfer_every: float, mbatch: bool, n_states: float) -> None:
        self.in_size, self.transfer_every, self.mbatch = in_size, transfer_every, mbatch
        self.n_states = n_states
        self.update_idx = self.slice = 0

    def every(self, m_batch: int) -> int:
        every = np.float32(self.transfer_every)
        if every < 0:
            value = np.float32(self.n_states) / np.float32(self.in_size) * -every
            return max(1, int(math.floor(value + np.float32(0.5))))
        if self.mbatch:
            return max(int(math.ceil(every * np.float32(m_batch))), 0)
        return max(int(math.floor(every + np.float32(0.5))), 0)

    def batch(self, m_batch: int) -> List[Tuple[int, int]]:
        """Return (vector after which it happens, line) of each transfer."""
        events = []
        for vector in range(m_batch):
            self.update_idx += 1
            every = self.every(m_batch)
            if every > 0 and self.update_idx % every == 0:
                events.append((vector + 1, self.slice))
                self.slice = (self.slice + 1) % self.in_size
        return events


@pytest.mark.parametrize("in_size", [1, 4])
@pytest.mark.parametrize("mbatch", [False, True])
@pytest.mark.parametrize("transfer_every", [1.0, 0.1, 0.5, 2.5, 7.0, 0.0, 1.4999, -0.1, -1.0])
def test_transfers_fall_where_cpp_puts_them(
    in_size: int, mbatch: bool, transfer_every: float
) -> None:
    """Position within the batch and line, over changing batch sizes."""
    counter = CppCounter(in_size, transfer_every, mbatch, 120.0)
    schedule = TransferSchedule(in_size, transfer_every, mbatch, 120.0, whole_array=False)
    n_events = 0
    for m_batch in BATCHES:
        expected = counter.batch(m_batch)
        found, reached = [], 0
        for start, stop, n_due in schedule.split(m_batch):
            assert start == reached
            assert stop > start
            reached = stop
            schedule.count(stop - start, n_due)()
            assert schedule.n_due == n_due
            if n_due:
                lines, sweep = schedule.lines(), schedule.sweep
                assert lines.stop == lines.start + 1
                found.append((stop, lines.start))
                schedule.finish()()
                assert schedule.sweep == sweep + int(lines.stop == in_size)
        assert reached == m_batch
        assert found == expected
        assert schedule.update_count == counter.update_idx
        n_events += len(expected)
    assert schedule.n_reads == n_events
    assert schedule.sweep == n_events // in_size
    # Not vacuous: transfer_every=0 (and what rounds to it) never transfers, all others do.
    never = transfer_every == 0.0 or (not mbatch and transfer_every == 0.1)
    assert (n_events == 0) == never


def test_whole_array() -> None:
    """Each event takes all lines and is a full sweep."""
    schedule = TransferSchedule(4, 1.0, True, 0.0, whole_array=True)
    assert schedule.events_per_sweep == 1
    for _ in range(3):
        for start, stop, n_due in schedule.split(5):
            assert n_due == 4
            schedule.count(stop - start, n_due)()
            assert schedule.lines() == slice(0, 4)
            schedule.finish()()
    assert (schedule.sweep, schedule.n_reads, schedule.line) == (3, 12, 0)


@pytest.mark.parametrize("m_batch", [1, 3, 10, 64, 512])
@pytest.mark.parametrize("sweep_every", [1.0, 10.0, 64.0, 100.5])
@pytest.mark.parametrize("in_size", [1, 5, 64, 513])
def test_a_sweep_takes_a_number_of_vectors(in_size: int, sweep_every: float, m_batch: int) -> None:
    """Whatever the size of array and batch; a batch that is longer is one sweep, not several."""
    schedule = TransferSchedule(in_size, 1.0, True, 0.0, False, sweep_every)
    n_vectors = 0
    for _ in range(100):
        ((start, stop, n_due),) = schedule.split(m_batch)
        assert (start, stop) == (0, m_batch)
        assert 0 <= n_due <= in_size
        n_vectors += m_batch
        schedule.count(m_batch, n_due)()
        seen = []
        while schedule.n_due:
            lines = schedule.lines()
            assert 0 <= lines.start < lines.stop <= in_size
            seen += range(lines.start, lines.stop)
            schedule.finish()()
        assert len(set(seen)) == len(seen) == n_due
    wanted = n_vectors * in_size / max(sweep_every, m_batch)
    # Of each batch at most one sweep, rounded down to lines.
    assert wanted - 1.0 - in_size * (m_batch < sweep_every < 2 * m_batch) <= schedule.n_reads
    assert schedule.n_reads <= wanted + 1e-9
    assert schedule.sweep == schedule.n_reads // in_size
    assert schedule.line == schedule.n_reads % in_size


def test_a_whole_array_each_so_many_vectors() -> None:
    """All lines in the batch in which the vectors are over."""
    schedule = TransferSchedule(4, 1.0, True, 0.0, True, 10.0)
    due = []
    for _ in range(6):
        ((_start, _stop, n_due),) = schedule.split(4)
        schedule.count(4, n_due)()
        due.append(n_due)
        while schedule.n_due:
            schedule.finish()()
    assert due == [0, 0, 4, 0, 4, 0]


def test_restart_and_state() -> None:
    """Restart resets cycle and line but not what was learned; the state is complete."""
    schedule = TransferSchedule(3, 2.0, False, 0.0, whole_array=False)
    for start, stop, n_due in schedule.split(9):
        schedule.count(stop - start, n_due)()
        if n_due:
            schedule.finish()()
    assert schedule.state() == {"update_count": 9, "line": 1, "sweep": 1, "n_reads": 4}
    other = TransferSchedule(3, 2.0, False, 0.0, whole_array=False)
    other.load_state(schedule.state())
    assert list(other.split(5)) == list(schedule.split(5))
    schedule.restart()
    assert schedule.state() == {"update_count": 0, "line": 0, "sweep": 1, "n_reads": 4}


def test_lines_that_are_not_read() -> None:
    """They are passed by, as in C++, but do not count as a sweep."""
    schedule = TransferSchedule(2, 1.0, False, 0.0, whole_array=False)
    for expected in (1, 0, 1):
        schedule.count(1, 1)()
        schedule.finish(was_read=False)()
        assert schedule.line == expected
    assert (schedule.sweep, schedule.n_reads, schedule.n_due) == (0, 0, 0)


@pytest.mark.parametrize("value", [0.0, 0.49, 0.5, 1.5, 2.5, 7.2])
def test_round_half_away(value: float) -> None:
    """C's ``roundf``, not Python's banker's rounding."""
    expected = torch.tensor(value).add(0.5).floor().item()
    assert round_half_away(value) == expected
