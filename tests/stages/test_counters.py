"""Counts of operations."""

from __future__ import annotations

import torch

from aihwkit_dspt.stages.counters import OperationCounters


def test_pulses_that_a_kernel_has_counted() -> None:
    """Zero more pulses are no operation on the tensor that counts; others are added."""
    counters = OperationCounters()
    count = counters.slow_pulses = torch.tensor(3.0, dtype=torch.float64)
    counters.count_slow_pulses(0.0)()
    assert counters.slow_pulses is count
    for more in (2.0, torch.tensor(2.0, dtype=torch.float64)):
        counters.count_slow_pulses(more)()
    assert float(counters.slow_pulses) == 7.0
    assert float(count) == 3.0
