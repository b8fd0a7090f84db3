"""Long trainings do not leak."""

from __future__ import annotations

import gc
from pathlib import Path

import pytest
import torch
from aihwkit.nn import AnalogLinear
from aihwkit.optim import AnalogSGD
from torch import nn

from aihwkit_dspt import ERIDERReRamArrayHfO2Preset

N_STEPS = 50_000
GROWTH_MB = 2.0
"""Allowed growth of the resident memory after the first tenth: 40 bytes a step would show. What the
allocators keep varies by some 0.1 MB."""


def resident_mb() -> float:
    """Return the resident memory of this process."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return float(line.split()[1]) / 1024.0
    raise RuntimeError("no VmRSS in /proc/self/status")


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads the memory from /proc")
def test_memory_is_flat() -> None:
    """50,000 training steps of a noisy preset."""
    layer = AnalogLinear(20, 10, rpu_config=ERIDERReRamArrayHfO2Preset())
    optimizer = AnalogSGD(layer.parameters(), lr=0.1)
    x, y = torch.rand(10, 20), torch.randn(10, 10)
    after_warm_up = 0.0
    for step in range(N_STEPS):
        optimizer.zero_grad()
        nn.functional.mse_loss(layer(x), y).backward()
        optimizer.step()
        if step == N_STEPS // 10:
            gc.collect()
            after_warm_up = resident_mb()
    gc.collect()
    assert resident_mb() - after_warm_up < GROWTH_MB
