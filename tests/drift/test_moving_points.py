"""Symmetric points are moved to where they should be, on every device, and nothing else moves."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest
import torch
from aihwkit.exceptions import ConfigError
from aihwkit.simulator.configs.devices import SoftBoundsReferenceDevice
from aihwkit.simulator.parameters.training import UpdateParameters

from aihwkit_dspt import (
    PulseMode,
    SymmetricPointDrift,
    TrackingTile,
    build_config,
    symmetric_points,
)
from aihwkit_dspt.drift.law import DriftLaw
from aihwkit_dspt.tiles.crossbar import Crossbar
from tests.device_table import VARIED, WITHOUT_POINTS
from tests.devices.simulated import ONE_PULSE
from tests.helpers import quiet_tile, train
from tests.table import METHODS

SEVERAL_POINTS = ("PiecewiseStep", "ReRamES", "ExpStep", "PCM")
"""Devices whose response may have another point after a move; the drift leads to the nearest."""


def tile_of(device: Any, **settings: Any) -> Any:
    """Return a tile whose arrays are of a device."""
    settings = {**METHODS["E-RIDER"], "unit_cell_devices": [device, device], **settings}
    return quiet_tile((9, 8), **settings)


def is_clipped(device: Any) -> bool:
    """Return whether aihwkit would clip cells of a device."""
    has_reference = isinstance(device, SoftBoundsReferenceDevice)
    return has_reference and device.write_noise_std > 0.0


@pytest.mark.parametrize("name", VARIED)
def test_points_move_and_weights_stay(name: str) -> None:
    """The response of the moved cells is symmetric where the drift says, in every array."""
    device = VARIED[name]
    if is_clipped(device):
        with pytest.raises(ConfigError, match=r"write_noise_std=.*pulse_mode"):
            SymmetricPointDrift(tile_of(device), trend=0.1)
        return
    tile = tile_of(device)
    train(tile, 10)
    before = tile.get_hidden_parameters()
    old = symmetric_points(tile)
    granularities = [array.granularity for array in tile.tile.pipeline.arrays]
    drift = SymmetricPointDrift(tile, walk=0.05, seed=4)
    drift.advance(4)
    after, new = tile.get_hidden_parameters(), symmetric_points(tile)
    for was, found, array in ((old.fast, new.fast, "fast"), (old.slow, new.slow, "slow")):
        expected = drift.state_dict()["arrays"][array]["points"]
        assert torch.equal(expected.isnan(), was.values.isnan())
        known = ~expected.isnan()
        close = (found.values[known] - expected[known]).abs() < 1e-4
        assert close.double().mean() > (0.9 if name.startswith(SEVERAL_POINTS) else 0.999)
        moved = (found.values - was.values)[known]
        assert moved.std() == pytest.approx(0.1, rel=0.5)
    changed = {key for key in before if not torch.allclose(before[key], after[key], atol=1e-6)}
    assert {key.rsplit("_", 1)[0] for key in changed} <= {
        *("dwmin_up", "dwmin_down"),
        *("slope_up", "slope_down"),
    }
    assert changed
    for number in (0, 1):
        sizes = [
            sum(hidden[f"dwmin_{sign}_{number}"] for sign in ("up", "down"))
            for hidden in (before, after)
        ]
        assert torch.allclose(*sizes, rtol=1e-5)
    assert granularities == [array.granularity for array in tile.tile.pipeline.arrays]
    train(tile, 10)  # and it trains on


def pulsed(array: Crossbar, upwards: bool) -> torch.Tensor:
    """Return what one pulse changes in all cells."""
    before = array.weights.clone()
    ones = torch.full((1, array.x_size), 2.0), torch.full((1, array.d_size), 2.0)
    array.pulse(ones[0], -ones[1] if upwards else ones[1], array.pulse_granularity)
    return array.weights - before


@pytest.mark.parametrize("mode", [PulseMode.CPP, PulseMode.BATCHED])
@pytest.mark.parametrize("name", ["LinearStep", "SoftBounds", "SoftBoundsReference-subtract"])
def test_pulses_are_symmetric_at_the_new_points(name: str, mode: PulseMode) -> None:
    """C++ tile and compiled pass send the moved pulses: up and down are equal at the new point."""
    device = deepcopy(VARIED[name])
    device.dw_min_std = 0.0
    config = build_config("e-rider", device, update=UpdateParameters(**ONE_PULSE), pulse_mode=mode)
    tile = TrackingTile(8, 9, config)
    array = tile.tile.pipeline.fast
    pulsed(array, True)
    drift = SymmetricPointDrift(tile, trend=0.2)
    drift.advance()
    points = symmetric_points(tile).fast.values
    known = ~points.isnan()
    array.place(points.nan_to_num(0.0).float())
    up, down = pulsed(array, True), pulsed(array, False)
    size = (up.abs() + down.abs())[known]
    assert size.min() > 0.0
    # The point is a step away for the second pulse.
    assert ((up + down)[known].abs() / size).max() < 0.05


def test_cells_below_write_noise_keep_their_weights() -> None:
    """With batched pulses cells beyond the bounds that aihwkit can set stay where they are."""
    device = VARIED["ReRamArrayHfO2"]
    config = build_config("e-rider", device, pulse_mode=PulseMode.BATCHED)
    tile = TrackingTile(8, 9, config)
    tile.set_learning_rate(1.0)
    train(tile, 50)
    before = tile.get_hidden_parameters()
    SymmetricPointDrift(tile, walk=0.1, arrays=[0]).advance()
    after = tile.get_hidden_parameters()
    for name in ("persistent_weights_0", "fast_weights"):
        assert torch.equal(before[name], after[name])
    assert not torch.equal(before["dwmin_up_0"], after["dwmin_up_0"])
    assert torch.equal(before["dwmin_up_1"], after["dwmin_up_1"])


@pytest.mark.parametrize("name", WITHOUT_POINTS)
def test_devices_without_points_are_refused(name: str) -> None:
    """By the name of the array and its device."""
    with pytest.raises(ConfigError, match=r"fast has device=.*arrays=\[\.\.\.\]"):
        SymmetricPointDrift(tile_of(WITHOUT_POINTS[name]), walk=0.1)


def test_law() -> None:
    """Means and variances of each process over many cells, for one step and for several."""
    sizes = 200, 200
    points, start = torch.full(sizes, 0.3).double(), torch.zeros(sizes).double()
    generator = torch.Generator().manual_seed(0)
    for n_steps in (1, 9):

        def distance(pulses: float = 0.0, **numbers: float) -> torch.Tensor:
            law = DriftLaw(**{**dict.fromkeys(DriftLaw._fields, 0.0), **numbers}).checked()
            n_pulses = torch.full(sizes, pulses).double()
            return law.distance(points, start, n_pulses, n_steps, generator)  # noqa: B023

        # Deviations of 40,000 cells are good to 0.4 %, their means to 0.5 % of the deviation.
        walk = distance(walk=0.1)
        assert walk.std().item() == pytest.approx(0.1 * n_steps**0.5, rel=0.02)
        assert walk.mean().item() == pytest.approx(0.0, abs=0.02 * 0.1 * n_steps**0.5)
        assert torch.allclose(distance(trend=-0.02), torch.tensor(-0.02 * n_steps).double())
        assert torch.allclose(distance(3.0, wear=0.01), torch.tensor(0.03).double())
        left = 0.3 * 0.9**n_steps
        relaxed = 0.3 + distance(relaxation=-float(torch.tensor(0.9).log()))
        assert torch.allclose(relaxed, torch.tensor(left).double(), atol=1e-6)
        jumps = distance(jump_rate=0.05, jump_std=0.5)
        share = 1.0 - 0.95**n_steps
        assert (jumps != 0.0).double().mean().item() == pytest.approx(share, rel=0.1)
        assert jumps.std().item() == pytest.approx(0.5 * (0.05 * n_steps) ** 0.5, rel=0.05)


@pytest.mark.parametrize("kind", ["walk", "trend", "wear", "jumps"])
def test_several_steps_are_one_after_the_other(kind: str) -> None:
    """Mean and deviation after nine steps at once are those of nine, where points relax, too."""
    numbers = dict.fromkeys(DriftLaw._fields, 0.0)
    numbers.update(
        {
            "walk": {"walk": 0.1},
            "trend": {"trend": 0.1},
            "wear": {"wear": 0.1},
            "jumps": {"jump_rate": 0.3, "jump_std": 0.2},
        }[kind]
    )
    law = DriftLaw(**{**numbers, "relaxation": 0.4}).checked()
    generator = torch.Generator().manual_seed(0)
    start = torch.zeros(300, 300).double()
    n_pulses = torch.ones_like(start)
    found = []
    for n_steps in (9, 1):
        points = start + 0.2
        for _ in range(9 // n_steps):
            points += law.distance(points, start, n_steps * n_pulses, n_steps, generator)
        found.append(points)
    at_once, in_turn = found
    assert at_once.std().item() == pytest.approx(in_turn.std().item(), rel=0.02, abs=1e-9)
    assert at_once.mean().item() == pytest.approx(in_turn.mean().item(), abs=3e-3)
