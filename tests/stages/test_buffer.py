"""The transfer buffer against scalar loops written from aihwkit's C++ sources."""

from __future__ import annotations

from itertools import product
from math import trunc
from typing import Any, List, Tuple

import numpy as np
import pytest
import torch

from aihwkit_dspt.stages.buffer import TransferBuffer

F = np.float32


def cpp_cell(
    omega: Any, increment: Any, max_steps: int, momentum: float, forget: bool, cap: float, no: bool
) -> Tuple[Any, int]:
    """One cell of ``readAndUpdate``: the new buffer value and the pulses, in single precision."""
    omega = (F(0.0) if no else omega) + increment
    steps = 0
    if abs(omega) >= F(1.0):
        steps = max(min(int(omega), max_steps), -max_steps)
        if forget:
            omega = omega * F(momentum)
        else:
            omega = omega - (F(1.0) - F(momentum)) * F(steps)
            if cap > 0.0:
                omega = min(max(omega, F(-cap * max_steps)), F(cap * max_steps))
    return omega, steps


@pytest.mark.parametrize(
    ("max_steps", "momentum", "forget", "cap", "no_buffer"),
    product((1, 3), (0.0, 0.3, 1.0), (True, False), (0.0, 0.5, 2.0), (False, True)),
)
def test_cells_equal_the_cpp_loop(
    max_steps: int, momentum: float, forget: bool, cap: float, no_buffer: bool
) -> None:
    """Every cell, over many increments that are often far above ``max_steps``."""
    stage = TransferBuffer(4, 3, max_steps, momentum, forget, cap, no_buffer, torch.float32)
    cells: List[List[Any]] = [[F(0.0)] * 3 for _ in range(4)]
    released = 0
    for index in range(150):
        lines = slice(index % 4, index % 4 + 1) if index % 3 else slice(1, 4)
        increment = torch.randn(lines.stop - lines.start, 3) * (0.3 + index % 5)
        before = increment.clone()
        steps = stage.accumulate(lines, increment)
        expected = torch.zeros_like(increment)
        for row, line in enumerate(range(lines.start, lines.stop)):
            for j in range(3):
                cells[line][j], expected[row, j] = cpp_cell(
                    cells[line][j],
                    F(increment[row, j].item()),
                    max_steps,
                    momentum,
                    forget,
                    cap,
                    no_buffer,
                )
        assert torch.equal(steps, expected)
        # Only rounding of fused against separate multiply-adds, of numbers of order 100 at most.
        values = torch.tensor([[float(v) for v in row] for row in cells])
        assert torch.allclose(stage.hidden, values, rtol=1e-6, atol=1e-6)
        assert torch.equal(increment, before)
        released += int(expected.abs().sum())
    assert released > 20


@pytest.mark.parametrize("value", [1.0, -1.0, 0.99999994, 2.0, -2.9999])
def test_threshold_is_one_pulse(value: float) -> None:
    """A magnitude of exactly one is released, anything below is kept."""
    stage = TransferBuffer(1, 1, 5, 0.0, False, 0.0, False, torch.float32)
    steps = stage.accumulate(slice(0, 1), torch.tensor([[value]]))
    assert steps.item() == trunc(value)
    assert stage.hidden.item() == pytest.approx(value - trunc(value), abs=1e-6)


def test_nothing_is_lost_without_forgetting() -> None:
    """Without momentum, cap and forgetting, pulses and buffer add up to all increments."""
    stage = TransferBuffer(2, 2, 1, 0.0, False, 0.0, False, torch.float64)
    total = torch.zeros(2, 2, dtype=torch.float64)
    out = torch.zeros_like(total)
    for _ in range(200):
        increment = torch.randn(2, 2, dtype=torch.float64) * 0.5
        total += increment
        steps = stage.accumulate(slice(0, 2), increment)
        out += steps
    assert torch.allclose(out + stage.hidden, total, atol=1e-12)
