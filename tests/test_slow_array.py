"""``at_slow_weights``: the slow array alone inside the block, everything as before after it."""

from __future__ import annotations

import pytest
import torch
from aihwkit.exceptions import TileError
from aihwkit.nn import AnalogLinear
from aihwkit.simulator.configs import InferenceRPUConfig
from torch import nn

from aihwkit_dspt import at_slow_weights, to_inference
from tests.helpers import (
    difference,
    mixed_weight,
    perfect,
    quiet_config,
    quiet_tile,
    snapshot,
    train,
    used_weights,
)
from tests.layers.networks import MODELS, fit, output
from tests.table import METHODS


@pytest.mark.parametrize("name", METHODS)
def test_slow_weights_inside(name: str) -> None:
    """Forward and backward use W, not W_bar; the state afterwards is the same bit for bit."""
    tile = quiet_tile(**METHODS[name], in_chop_random=False)
    train(tile, 40)
    before = snapshot(tile)
    with at_slow_weights(tile) as inside:
        assert inside is tile
        for repeats in (1, 400):
            for used in used_weights(tile, repeats):
                torch.testing.assert_close(used, tile.slow_weights, rtol=1e-6, atol=1e-6)
        assert torch.equal(tile.tile.get_weights(), tile.slow_weights)
    assert not difference(before, snapshot(tile))
    if tile.rpu_config.device.gamma > 0.0:
        assert (mixed_weight(tile) - tile.slow_weights).abs().max() > 1e-3
    torch.testing.assert_close(tile.tile.get_weights().double(), mixed_weight(tile))


def trained(name: str) -> nn.Module:
    """Return a model trained for a few steps with E-RIDER."""
    make, shape = MODELS[name]
    model = make(quiet_config(**METHODS["E-RIDER"]))
    fit(model, shape)
    return model


@pytest.mark.parametrize("name", MODELS)
def test_inference_from_the_slow_array(name: str) -> None:
    """In every kind of layer the outputs inside the block are those of the inference tiles."""
    model = trained(name).eval()
    x = torch.randn(MODELS[name][1])
    mixed = output(model, x).detach()
    with at_slow_weights(model):
        slow = output(model, x).detach()
        analog = to_inference(model, InferenceRPUConfig(forward=perfect()))
    torch.testing.assert_close(output(analog, x).detach(), slow, rtol=1e-4, atol=1e-5)
    assert (slow - mixed).abs().max() > 1e-3
    torch.testing.assert_close(output(model, x).detach(), mixed)


def test_error_inside_restores() -> None:
    """A failed evaluation leaves the mixed weights."""
    tile = quiet_tile(**METHODS["E-RIDER"])
    train(tile, 40)
    before = tile.tile.get_weights()
    with pytest.raises(ZeroDivisionError), at_slow_weights(tile):
        raise ZeroDivisionError
    assert torch.equal(tile.tile.get_weights(), before)


def test_training_inside_is_an_error() -> None:
    """A gradient at W would train another model."""
    tile = quiet_tile(**METHODS["E-RIDER"])
    with pytest.raises(TileError, match="trained inside at_slow_weights"), at_slow_weights(tile):
        train(tile, 1)
    torch.testing.assert_close(tile.tile.get_weights().double(), mixed_weight(tile))


def test_model_without_tracking_tiles() -> None:
    """There is nothing to choose from."""
    with (
        pytest.raises(TileError, match="Linear has no TrackingTile"),
        at_slow_weights(AnalogLinear(2, 3)),
    ):
        pass
