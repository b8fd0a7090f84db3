"""Trainings that move between the tracking tiles and aihwkit's C++ compounds, and go on exactly."""

from __future__ import annotations

from typing import Any, Dict, List

import pytest
import torch
from aihwkit.exceptions import TileError
from aihwkit.nn import AnalogSequential
from aihwkit.optim import AnalogSGD
from aihwkit.simulator.configs.devices import SoftBoundsDevice
from torch import nn

from aihwkit_dspt import (
    export_to_aihwkit,
)
from tests import device_table
from tests.helpers import quiet_device
from tests.interchanged import METHODS, both
from tests.parity import cpp_states

TOLERANCE = 1e-6
"""As in the parity tests: float rounding."""

PAIRS: Dict[str, List[Any]] = {
    "equal": [quiet_device(), quiet_device()],
    "other": [device_table.QUIET_AND_CELLS["pow"](), device_table.QUIET_AND_CELLS["linear"]()],
}
"""Fast and slow device."""


def train(model: AnalogSequential, seed: int, n_steps: int = 60) -> None:
    """Train with the data of a seed."""
    generator = torch.Generator().manual_seed(seed)
    optimizer = AnalogSGD(model.parameters(), lr=0.1)
    for _ in range(n_steps):
        optimizer.zero_grad()
        x = torch.rand(3, 1, 3, 3, generator=generator)
        target = torch.randn(3, 4, generator=generator)
        nn.functional.mse_loss(model(x), target).backward()
        optimizer.step()


def assert_same(theirs: AnalogSequential, ours: AnalogSequential, columns: bool) -> None:
    """Compare every state of every tile, and the outputs."""
    for their_tile, our_tile in zip(theirs.analog_tiles(), ours.analog_tiles()):
        for name, value in cpp_states(their_tile, columns).items():
            assert (value - getattr(our_tile, name)).abs().max() <= TOLERANCE, name
    x = torch.rand(5, 1, 3, 3)
    theirs.eval()
    ours.eval()
    assert torch.allclose(theirs(x), ours(x), atol=1e-5)
    theirs.train()
    ours.train()


@pytest.mark.parametrize("pair", PAIRS)
@pytest.mark.parametrize("name", METHODS)
def test_from_aihwkit_and_on(name: str, pair: str) -> None:
    """A C++ training goes on in the tracking tiles as if nothing had happened."""
    theirs, ours = both(name, unit_cell_devices=PAIRS[pair])
    columns = METHODS[name][2].get("transfer_columns", True)
    train(theirs, 1)
    ours.load_state_dict(theirs.state_dict())
    assert_same(theirs, ours, columns)
    for model in (theirs, ours):
        train(model, 2)
    assert_same(theirs, ours, columns)


@pytest.mark.parametrize("pair", PAIRS)
@pytest.mark.parametrize("name", METHODS)
def test_to_aihwkit_and_on(name: str, pair: str) -> None:
    """A tracked training goes on in the C++ compound."""
    theirs, ours = both(name, unit_cell_devices=PAIRS[pair])
    columns = METHODS[name][2].get("transfer_columns", True)
    train(ours, 1)
    export_to_aihwkit(ours, theirs)
    assert_same(theirs, ours, columns)
    for model in (theirs, ours):
        train(model, 2)
    assert_same(theirs, ours, columns)


def test_devices_come_along() -> None:
    """Cells with device-to-device variation are the same ones afterwards."""
    varied = {"unit_cell_devices": [SoftBoundsDevice(dw_min=0.01), SoftBoundsDevice(dw_min=0.01)]}
    theirs, ours = both("AGAD", **varied)
    train(theirs, 1)
    ours.load_state_dict(theirs.state_dict())
    for first, second in zip(theirs.analog_tiles(), ours.analog_tiles()):
        hidden, found = first.get_hidden_parameters(), second.get_hidden_parameters()
        for key in ("dwmin_up_0", "slope_down_1", "max_bound_0"):
            assert torch.equal(hidden[key], found[key])


@pytest.mark.parametrize(
    ("name", "changes", "match"),
    [
        ("AGAD", {"transfer_lr": 0.7}, "transfer_lr is 0.7"),
        ("AGAD", {"unit_cell_devices": [quiet_device(), SoftBoundsDevice()]}, "unit_cell_devices"),
        ("c-TTv2", {}, "ChoppedTransferCompound does not fit"),
    ],
)
def test_other_settings_are_refused(name: str, changes: Dict[str, Any], match: str) -> None:
    """Both sides are named and neither model changes."""
    theirs, ours = both(name, **changes)[0], both("AGAD")[1]
    before = [tile.tile.dump_extra() for tile in ours.analog_tiles()]
    with pytest.raises(TileError, match=match):
        ours.load_state_dict(theirs.state_dict())
    with pytest.raises(TileError, match=match):
        export_to_aihwkit(ours, theirs)
    for tile, state in zip(ours.analog_tiles(), before):
        assert str(tile.tile.dump_extra()) == str(state)


def test_other_networks_are_refused() -> None:
    """Tiles and digital parameters have to correspond."""
    theirs, ours = both("AGAD")
    with pytest.raises(TileError, match="convert the same network twice"):
        export_to_aihwkit(ours, theirs[:3])
    theirs[2] = nn.Identity()
    with pytest.raises(TileError, match="digital parameters"):
        export_to_aihwkit(ours, theirs)
