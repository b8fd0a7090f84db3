"""Seeds: the same ``construction_seed`` gives the devices of aihwkit's compound."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from aihwkit.simulator.configs.compounds import DynamicTransferCompound
from aihwkit.simulator.configs.configs import UnitCellRPUConfig
from aihwkit.simulator.configs.devices import SoftBoundsReferenceDevice
from aihwkit.simulator.tiles.analog import AnalogTile

from aihwkit_dspt import TrackingRPUConfig, TrackingTile, TrackingTransferCompound
from tests.table import DEVICES


def noisy() -> Any:
    """Return a device with variation in everything, and a persistent weight."""
    return SoftBoundsReferenceDevice(
        dw_min_dtod=0.3,
        up_down_dtod=0.2,
        slope_up_dtod=0.1,
        reference_mean=0.3,
        reference_std=0.2,
        subtract_symmetry_point=True,
        write_noise_std=0.3,
    )


@pytest.mark.parametrize("device", [*DEVICES, "noisy"])
def test_seed_draws_the_devices_of_the_cpp_compound(device: str) -> None:
    """All hidden device parameters of both arrays equal those of C++ AGAD, bit for bit."""
    make = noisy if device == "noisy" else DEVICES[device]
    settings = {"unit_cell_devices": [make(), make()], "construction_seed": 31}
    theirs = AnalogTile(5, 7, UnitCellRPUConfig(device=DynamicTransferCompound(**settings)))
    ours = TrackingTile(5, 7, TrackingRPUConfig(device=TrackingTransferCompound(**settings)))
    expected, found = theirs.get_hidden_parameters(), ours.get_hidden_parameters()
    compared = [name for name in found if name in expected and "hidden_weights" not in name]
    compared = [name for name in compared if not name.startswith("persistent")]
    assert len(compared) >= 2
    for name in compared:
        assert torch.equal(found[name], expected[name]), name


def test_seed_decides() -> None:
    """Equal seeds give equal devices, other seeds or none give others."""

    def draw(seed: int) -> Any:
        device = TrackingTransferCompound(
            unit_cell_devices=[noisy(), noisy()], construction_seed=seed
        )
        tile = TrackingTile(5, 7, TrackingRPUConfig(device=device))
        return tile.get_hidden_parameters()["max_bound_0"]

    assert torch.equal(draw(3), draw(3))
    assert not torch.equal(draw(3), draw(4))
    assert not torch.equal(draw(0), draw(0))


def test_seeded_arrays_differ() -> None:
    """Fast and slow array are independent draws (paper sec. 4, settings)."""
    device = TrackingTransferCompound(unit_cell_devices=[noisy(), noisy()], construction_seed=3)
    hidden = TrackingTile(5, 7, TrackingRPUConfig(device=device)).get_hidden_parameters()
    assert not torch.equal(hidden["max_bound_0"], hidden["max_bound_1"])


def test_config_belongs_to_the_tile() -> None:
    """A tile copies its config: later changes of the caller's do not reach it."""
    device = TrackingTransferCompound(unit_cell_devices=[noisy(), noisy()], gamma=0.1)
    config = TrackingRPUConfig(device=device)
    tile = TrackingTile(5, 7, config)
    config.device.gamma = 0.7
    assert tile.rpu_config.device.gamma == 0.1
    assert tile.tile.pipeline.config.gamma == 0.1
