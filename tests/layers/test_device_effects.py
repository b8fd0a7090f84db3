"""Decay, diffusion, drift and reset: what devices do on their own, as with aihwkit's compound."""

from __future__ import annotations

from math import sqrt
from typing import Any, Dict

import pytest
import torch
from aihwkit.nn import AnalogLinear
from aihwkit.simulator.parameters.inference import DriftParameter

from aihwkit_dspt import TrackingTile
from tests.helpers import mixed_weight, quiet_config, quiet_device, used_weights
from tests.layers.agad import assert_same, pair
from tests.layers.networks import MODELS, fit, sgd
from tests.table import METHODS

DECAY = {"lifetime": 50.0, "lifetime_dtod": 0.0, "reset": 0.05, "reset_dtod": 0.0, "reset_std": 0.0}
DRIFT = {"drift": DriftParameter(nu=0.1)}
DIFFUSION = {"diffusion": 0.01, "diffusion_dtod": 0.0}


def devices(fast: Dict[str, Any], slow: Dict[str, Any]) -> Dict[str, Any]:
    """Return quiet devices with the given effects."""
    return {"unit_cell_devices": [quiet_device(**fast), quiet_device(**slow)]}


def trained_tile(method: str, **settings: Any) -> TrackingTile:
    """Return the tile of a layer after some training."""
    layer = AnalogLinear(6, 4, rpu_config=quiet_config(**{**METHODS[method], **settings}))
    fit(layer, (5, 6), n_steps=20)
    tile: TrackingTile = next(layer.analog_tiles())
    return tile


def assert_mixed(tile: TrackingTile) -> None:
    """Forward uses the mixed weight of the arrays as they are now (1e-6: float rounding)."""
    for used in used_weights(tile):
        assert (used - mixed_weight(tile)).abs().max() <= 1e-6


@pytest.mark.parametrize(
    "effects", [(DECAY, DECAY), (DECAY, {}), ({}, DECAY)], ids=["both", "fast", "slow"]
)
def test_decay_while_training_is_cpp_agad(effects: Any) -> None:
    """``AnalogSGD`` calls ``post_update_step``: decay once per step on each array that has it."""
    theirs, ours = pair(MODELS["linear"][0], devices(*effects))
    assert next(ours.analog_tiles()).rpu_config.device.requires_decay()
    optimizers = sgd(theirs), sgd(ours)
    for _ in range(30):
        x = torch.randn(5, 6)
        for model, optimizer in zip((theirs, ours), optimizers):
            optimizer.zero_grad()
            (0.2 * (model(x) - 0.3).square().sum()).backward()
            optimizer.step()
        assert_same(theirs, ours)


CALLS = {
    "decay_weights": (DECAY, [(), (2.0,), (0.0,)]),
    "drift_weights": (DRIFT, [(1.0,), (10.0,), (100.0,)]),
    "reset": (DECAY, [()]),
    "reset_columns": (DECAY, [(1, 2, 1.0), (5, 3, 1.0)]),
    "post_update_step": (DECAY, [(), ()]),
}


@pytest.mark.parametrize("name", CALLS)
def test_calls_are_cpp_agad(name: str) -> None:
    """Each method of the tile does to every state what it does to that of the C++ compound."""
    effects, calls = CALLS[name]
    theirs, ours = pair(MODELS["linear"][0], devices(effects, effects))
    optimizers = sgd(theirs), sgd(ours)
    for _ in range(10):
        x = torch.randn(5, 6)
        for model, optimizer in zip((theirs, ours), optimizers):
            model(x).square().sum().backward()
            optimizer.step()
    before = next(ours.analog_tiles()).fast_weights
    for arguments in calls:
        for model in (theirs, ours):
            getattr(next(model.analog_tiles()), name)(*arguments)
        assert_same(theirs, ours)
    assert not torch.equal(next(ours.analog_tiles()).fast_weights, before)


@pytest.mark.parametrize("name", CALLS)
@pytest.mark.parametrize("method", METHODS)
def test_mixed_weight_follows(method: str, name: str) -> None:
    """Whatever moves the arrays, the model is evaluated at where they are."""
    effects, calls = CALLS[name]
    tile = trained_tile(method, **devices(effects, effects))
    fast, slow = tile.fast_weights, tile.slow_weights
    for arguments in calls:
        getattr(tile, name)(*arguments)
        assert_mixed(tile)
    assert not torch.equal(tile.fast_weights, fast)
    assert torch.equal(tile.slow_weights, slow) == name.startswith("reset")


def test_reference_array_decays_too() -> None:
    """An analog reference is made of devices like the others."""
    tile = trained_tile("E-RIDER", reference_device=quiet_device(dw_min=0.02, **DECAY))
    before = tile.reference
    tile.decay_weights()
    assert torch.allclose(tile.reference, 0.05 + (before - 0.05) * (1 - 1 / 50.0), atol=1e-6)
    assert_mixed(tile)


@pytest.mark.parametrize("method", METHODS)
def test_diffusion(method: str) -> None:
    """Steps of 0.01 on both arrays, one per ``post_update_step``.

    2000 cells: the standard deviation is known to 1/sqrt(4000) = 1.6 %, so 8 % is 5 sigma.
    """
    config = quiet_config(**{**METHODS[method], **devices(DIFFUSION, DIFFUSION)})
    tile = TrackingTile(40, 50, config)
    assert config.device.requires_diffusion()
    for _ in range(16):
        tile.post_update_step()
    for values in (tile.fast_weights, tile.slow_weights):
        assert values.std().item() == pytest.approx(0.01 * sqrt(16), rel=0.08)
    tile.diffuse_weights()
    assert tile.slow_weights.std().item() == pytest.approx(0.01 * sqrt(17), rel=0.08)
    assert_mixed(tile)


def test_nothing_happens_that_no_device_asks_for() -> None:
    """Without a lifetime, diffusion and drift every state stays bit for bit."""
    tile = trained_tile("E-RIDER")
    before = tile.get_hidden_parameters()
    tile.post_update_step()
    tile.drift_weights(100.0)
    tile.decay_weights(3.0)
    tile.diffuse_weights()
    after = tile.get_hidden_parameters()
    assert all(torch.equal(before[name], after[name]) for name in before)
