"""What leaves the buffer reaches the slow array, with the pulse trains of the defaults."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from aihwkit.simulator.configs.devices import ConstantStepDevice

from aihwkit_dspt import TrackingTile, build_config
from tests.device_table import quiet
from tests.table import TRACKING_ALGORITHMS

N_TIMES = 300


@pytest.mark.parametrize("states", [20, 200, 1200, 12_000])
@pytest.mark.parametrize("algorithm", TRACKING_ALGORITHMS)
def test_all_steps_are_sent(algorithm: str, states: int) -> None:
    """From minus the largest to the largest number of steps in one line, as pulses on average.

    Means over 300 trains: a train of n pulses spreads by less than sqrt(n), so that 5 standard
    errors are 0.3 sqrt(n) pulses. Trains made for inputs of one would stop at sqrt(n).
    """
    device: Any = quiet(ConstantStepDevice, dw_min=2.0 / states, w_min=-1.0, w_max=1.0, up_down=0.0)
    config = build_config(algorithm, device)
    most = config.device.transfer_update.desired_bl
    steps = torch.arange(-most, most + 1.0)
    tile = TrackingTile(len(steps), 1, config)
    link = tile.tile.pipeline.link
    assert link.buffer.max_steps == most
    sent = torch.zeros(len(steps))
    for _ in range(N_TIMES):
        link.target.weights.zero_()
        link.lines.pulse(link.target, slice(0, 1), steps.unsqueeze(0), link.write_lr)
        sent += link.target.weights[:, 0] / device.dw_min
    tolerance = 0.3 * max(most, 1) ** 0.5
    torch.testing.assert_close(sent / N_TIMES, steps, rtol=0.0, atol=tolerance)
