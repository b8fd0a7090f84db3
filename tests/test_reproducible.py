"""Seeds fix a whole training, bit by bit."""

from __future__ import annotations

from typing import Any, Dict, List

import pytest
import torch
from aihwkit.nn.conversion import convert_to_analog
from aihwkit.optim import AnalogSGD
from aihwkit.simulator.presets.devices import ReRamArrayHfO2PresetDevice, ReRamESPresetDevice
from torch import Tensor, nn

from aihwkit_dspt import PulseMode, ReadMode, build_config


def trained(seed: int, n_steps: int, device: Any) -> List[Tensor]:
    """Return all weights, visible and persistent, and the outputs after a training."""
    torch.manual_seed(seed)
    config = build_config(
        "e-rider",
        device,
        construction_seed=7,
        read_mode=ReadMode.TORCH,
        pulse_mode=PulseMode.BATCHED,
    )
    model: Any = convert_to_analog(
        nn.Sequential(nn.Linear(64, 32), nn.Sigmoid(), nn.Linear(32, 10)), config
    )
    optimizer = AnalogSGD(model.parameters(), lr=0.1)
    for _ in range(n_steps):
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(model(torch.rand(10, 64)), torch.randint(0, 10, (10,)))
        loss.backward()
        optimizer.step()
    found: List[Tensor] = [model(torch.rand(10, 64)).detach()]
    for tile in model.analog_tiles():
        hidden: Dict[str, Tensor] = tile.get_hidden_parameters()
        found += list(hidden.values())
        found += [tile.tile.pipeline.fast.weights, tile.tile.pipeline.slow.weights]
    return found


@pytest.mark.parametrize(
    "n_steps", [pytest.param(1000, marks=pytest.mark.slow), 60], ids=["long", "short"]
)
@pytest.mark.parametrize("device", [ReRamArrayHfO2PresetDevice, ReRamESPresetDevice])
def test_seeds_fix_a_training(device: Any, n_steps: int) -> None:
    """Construction, noise of reads and writes, pulses and transfers; another seed does not."""
    first, again, other = (trained(seed, n_steps, device()) for seed in (3, 3, 4))
    assert all(map(torch.equal, first, again))
    assert not torch.equal(first[0], other[0])
