"""Whatever happens inside ``torch.inference_mode()``, training goes on afterwards."""

from __future__ import annotations

from copy import deepcopy
from typing import Any, Callable, Dict

import pytest
import torch
from aihwkit.nn import AnalogLinear

from tests.helpers import quiet_config, quiet_device
from tests.layers.networks import sgd
from tests.table import METHODS


def build(method: str) -> Any:
    """Return a layer; E-RIDER has all there is: both choppers and an analog reference."""
    extra: Dict[str, Any] = {}
    if method == "E-RIDER":
        extra = {"out_chop_prob": 0.3, "reference_device": quiet_device()}
    return AnalogLinear(5, 4, rpu_config=quiet_config(**METHODS[method], **extra))


def fit(layer: Any) -> None:
    """Train for some steps."""
    optimizer = sgd(layer)
    for _ in range(12):
        optimizer.zero_grad()
        layer(torch.rand(3, 5)).square().sum().backward()
        optimizer.step()


def load(layer: Any) -> Any:
    """Return the layer with its own state."""
    layer.load_state_dict(layer.state_dict())
    return layer


def change(layer: Any) -> Any:
    """Return the layer with other weights, parameters and devices."""
    tile = layer.analog_module
    layer.set_weights(torch.rand(4, 5) * 0.2)
    tile.set_hidden_parameters(tile.get_hidden_parameters())
    tile.tile.decay_weights()
    tile.tile.diffuse_weights()
    tile.update(torch.rand(3, 5), torch.rand(3, 4))
    return layer


def update(layer: Any) -> Any:
    """Return the layer after updates by hand, sweeps and flips of choppers among them."""
    for _ in range(60):
        layer.analog_module.update(torch.rand(3, 5), torch.rand(3, 4))
    return layer


def evaluate(layer: Any) -> Any:
    """Return the layer after products with few and many vectors."""
    layer(torch.rand(3, 5))
    layer(torch.rand(200, 5))
    return layer


INSIDE: Dict[str, Callable[[Any], Any]] = {
    "load": load,
    "copy": deepcopy,
    "change": change,
    "update": update,
    "evaluate": evaluate,
}


@pytest.mark.parametrize("name", INSIDE)
@pytest.mark.parametrize("method", METHODS)
def test_training_goes_on(method: str, name: str) -> None:
    """Also on copies, and after a load outside."""
    layer = build(method)
    fit(layer)
    with torch.inference_mode():
        layer = INSIDE[name](layer)
    before = layer.analog_module.fast_weights
    fit(layer)
    fit(deepcopy(load(layer)))
    assert not torch.equal(before, layer.analog_module.fast_weights)


@pytest.mark.parametrize("method", METHODS)
def test_built_inside(method: str) -> None:
    """The tile trains; a digital bias is torch's own parameter, and stays what torch makes it."""
    with torch.inference_mode():
        config = quiet_config(**METHODS[method], digital_bias=False)
        layer = AnalogLinear(5, 4, rpu_config=config)
    fit(layer)
    fit(deepcopy(load(layer)))
    assert layer.analog_module.fast_weights.any()
