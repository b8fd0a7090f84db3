"""The drift of a model's symmetric points: attached, followed, saved, refused."""

from __future__ import annotations

from copy import deepcopy
from pathlib import Path
from typing import Any, Dict

import pytest
import torch
from aihwkit.exceptions import ArgumentError, TileError
from torch import nn

from aihwkit_dspt import (
    SymmetricPointDrift,
    SymmetricPointMonitor,
    load_checkpoint,
    save_checkpoint,
    symmetric_points,
)
from aihwkit_dspt.tiles.of_model import tracking_tiles
from tests.drift.law import LAW
from tests.helpers import difference, quiet_config, quiet_device, snapshot
from tests.layers.networks import sgd
from tests.resume_cases import LAYERS
from tests.table import METHODS


def build(layer: str = "linear", n_devices: int = 2) -> Any:
    """Return a model in which nothing is random, and its batch."""
    make, shape = LAYERS[layer]
    devices = [quiet_device() for _ in range(n_devices)]
    settings = {**METHODS["E-RIDER"], "unit_cell_devices": devices}
    return make(quiet_config(**settings)), torch.ones(shape)


def fit(model: nn.Module, batch: torch.Tensor, n_steps: int) -> None:
    """Train, always on the same."""
    optimizer = sgd(model)
    for _ in range(n_steps):
        optimizer.zero_grad()
        model(batch).square().sum().backward()
        optimizer.step()


def points_of(model: nn.Module) -> list[torch.Tensor]:
    """Return the true points of all arrays."""
    found = []
    for tile in tracking_tiles(model).values():
        points = symmetric_points(tile)
        found += [points.fast.values, *(each.values for each in points.between), points.slow.values]
    return found


@pytest.mark.parametrize("layer", LAYERS)
def test_points_move_while_a_model_trains(layer: str) -> None:
    """After every second step of the optimizer; outside of the block nothing moves."""
    model, batch = build(layer)
    before = points_of(model)
    drift = SymmetricPointDrift(model, trend=0.01, every=2, seed=3)
    with drift:
        fit(model, batch, 5)
    assert drift.step == 5
    for was, found in zip(before, points_of(model)):
        assert torch.allclose(found - was, torch.tensor(0.04).double(), atol=1e-5)
    fit(model, batch, 4)
    assert drift.step == 5
    assert torch.allclose(points_of(model)[0] - before[0], torch.tensor(0.04).double(), atol=1e-5)


def test_the_truth_of_the_monitor_follows() -> None:
    """``Q - SP`` is that of the moved points."""
    model, batch = build()
    monitor = SymmetricPointMonitor(model)
    with SymmetricPointDrift(model, walk=0.05, seed=1):
        fit(model, batch, 3)
        for row, tile in zip(monitor.record().values(), tracking_tiles(model).values()):
            error = tile.sp_estimate.double() - symmetric_points(tile).fast.values
            assert error.std() > 0.02
            assert row["sp_error_rms"] == pytest.approx(error.square().mean().sqrt().item(), 1e-4)


def test_wear_grows_with_the_pulses_of_a_cell() -> None:
    """A cell that took twice the pulses has moved twice as far; one without pulses not at all."""
    model, _ = build()
    tile = next(iter(tracking_tiles(model).values()))
    fast = tile.tile.pipeline.fast
    drift = SymmetricPointDrift(model, wear=0.001, arrays=[0])
    before = symmetric_points(tile).fast.values
    steps = torch.zeros_like(fast.weights)
    steps[:, 0], steps[:, 1] = 2.0, 4.0
    # A pulse is 0.01 up and 0.008 down at zero, so 0.009 in the mean.
    fast.weights.copy_(0.009 * steps)
    drift.advance()
    moved = (symmetric_points(tile).fast.values - before) * 1000.0
    assert torch.allclose(moved[:, 2:], torch.tensor(0.0).double(), atol=1e-2)
    assert (moved[:, 1] / moved[:, 0]).mean().item() == pytest.approx(2.0, rel=0.05)
    assert moved[:, 0].mean().item() == pytest.approx(2.0, rel=0.05)
    drift.advance()
    again = (symmetric_points(tile).fast.values - before) * 1000.0
    assert torch.allclose(again, moved, atol=1e-2)


@pytest.mark.parametrize("n_devices", [2, 3])
def test_resume_is_exact(n_devices: int, tmp_path: Path) -> None:
    """Save, load, continue = never stopped: points, devices and everything that they change."""
    model, batch = build(n_devices=n_devices)
    drift = SymmetricPointDrift(model, **LAW, every=2, seed=5)
    with drift:
        fit(model, batch, 5)
        save_checkpoint(tmp_path / "run.pt", model, drift=drift.state_dict())
        fit(model, batch, 5)
    resumed, _ = build(n_devices=n_devices)
    again = SymmetricPointDrift(resumed, **LAW, every=2, seed=6)
    again.load_state_dict(load_checkpoint(tmp_path / "run.pt", resumed)["drift"])
    with again:
        fit(resumed, batch, 5)
    for one, other in zip(tracking_tiles(model).values(), tracking_tiles(resumed).values()):
        assert difference(snapshot(one), snapshot(other)) is None
    assert difference(plain(drift), plain(again)) is None


def plain(drift: SymmetricPointDrift) -> Dict[str, Any]:
    """Return the state of a drift without what is no number."""
    state = drift.state_dict()
    return {"step": state["step"], "random": state["random"], "arrays": state["arrays"]}


def test_a_copy_does_not_drift() -> None:
    """A copy of the model has the devices of then; the drift goes on with its own model."""
    model, batch = build()
    with SymmetricPointDrift(model, trend=0.02):
        fit(model, batch, 2)
        copied = deepcopy(model)
        before = points_of(copied)
        assert all(map(torch.equal, before, points_of(model)))
        fit(model, batch, 2)
    assert all(map(torch.equal, before, points_of(copied)))
    assert not torch.equal(before[0], points_of(model)[0])


def test_bounds_reflect() -> None:
    """Whatever the speed, points stay in the range of their cells."""
    model, _ = build()
    drift = SymmetricPointDrift(model, walk=0.5, seed=2)
    for _ in range(20):
        drift.advance()
        for points in points_of(model):
            assert not points.isnan().any()
            assert points.abs().max() <= 0.6 * 0.96 + 1e-5


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"walk": -0.1}, "walk=-0.1"),
        ({"trend": float("nan")}, "trend=nan"),
        ({"wear": "much"}, "wear='much'"),
        ({"jump_rate": 2.0}, "jump_rate=2.0"),
        ({"every": 0}, "every=0"),
        ({"arrays": [2]}, "arrays=2"),
        ({"seed": -1}, "seed=-1"),
    ],
)
def test_wrong_numbers_are_refused(settings: Dict[str, Any], message: str) -> None:
    """By name and value."""
    with pytest.raises(ArgumentError, match=message):
        SymmetricPointDrift(build()[0], **settings)


def test_what_does_not_fit_is_refused() -> None:
    """Models without such tiles, states of another drift; nothing is changed then."""
    with pytest.raises(
        TileError, match=r"TrackingTile.*a tracking tile with gamma=0 equals its AGAD"
    ):
        SymmetricPointDrift(nn.Linear(2, 3), walk=0.1)
    model, _ = build()
    drift = SymmetricPointDrift(model, walk=0.1)
    with drift, pytest.raises(ArgumentError, match="in use"):
        drift.__enter__()
    before = drift.state_dict()
    other = SymmetricPointDrift(model, walk=0.1, arrays=[0])
    states = [
        None,
        {"step": 1},
        SymmetricPointDrift(model, walk=0.2).state_dict(),
        other.state_dict(),
        {**before, "arrays": {name: {} for name in before["arrays"]}},
    ]
    for state in states:
        with pytest.raises(ArgumentError, match="state"):
            drift.load_state_dict(state)
    with pytest.raises(ArgumentError, match="n_steps"):
        drift.advance(0)
    assert difference(plain(drift), {name: before[name] for name in plain(drift)}) is None
