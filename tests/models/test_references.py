"""Models that hold their layers in lists, methods and objects of their own, too."""

from __future__ import annotations

import functools
from copy import deepcopy
from typing import Any, Callable, Dict

import pytest
import torch
from aihwkit.optim import AnalogSGD
from torch import Tensor, nn

from aihwkit_dspt import conversion_report, convert
from tests.helpers import quiet_config
from tests.table import METHODS


class Helper:
    """An object that is no module."""

    def __init__(self, layer: nn.Module) -> None:
        self.layer = layer


class Held(nn.Module):
    """Calls its layer by what it holds outside of torch's registers."""

    def __init__(self, layer: nn.Module, hold: Callable[[nn.Module], Any], call: Any) -> None:
        super().__init__()
        self.layer, self.held, self.call = layer, hold(layer), call

    def forward(self, x: Tensor) -> Tensor:
        """Return the output of the layer."""
        return self.call(self.held, x)


def in_module(layer: nn.Module) -> nn.Module:
    """Return another module with the layer in a list."""
    module = nn.Identity()
    module.__dict__["layers"] = [layer]
    return module


HELD: Dict[str, Any] = {
    "a list": (lambda layer: [layer], lambda held, x: held[0](x)),
    "a dictionary of tuples": (lambda layer: {"a": (1, layer)}, lambda held, x: held["a"][1](x)),
    "an object": (Helper, lambda held, x: held.layer(x)),
    "its method": (lambda layer: layer.forward, lambda held, x: held(x)),
    "a partial": (functools.partial, lambda held, x: held(x)),
    "another module": (in_module, lambda held, x: held.layers[0](x)),
}


@pytest.mark.parametrize("kind", ["linear", "attention", "recurrent", "grouped"])
@pytest.mark.parametrize("name", HELD)
def test_what_holds_a_layer_holds_the_analog_one(name: str, kind: str) -> None:
    """The digital one is used by nobody: the array computes, and learns."""
    hold, call = HELD[name]
    layer, shape = {
        "linear": (nn.Linear(4, 4), (2, 4)),
        "attention": (nn.TransformerEncoderLayer(4, 2, 4, 0.0), (3, 2, 4)),
        "recurrent": (nn.GRUCell(4, 4), (2, 4)),
        "grouped": (nn.Conv1d(4, 4, 1, groups=2), (2, 4, 3)),
    }[kind]
    for value in layer.parameters():
        nn.init.uniform_(value, -0.4, 0.4)
    model = Held(layer, hold, call)
    analog = convert(model, quiet_config(**METHODS["E-RIDER"]))
    assert conversion_report(analog).analog_share == 1.0
    analog = deepcopy(analog)
    x = torch.randn(shape)
    assert (model(x) - analog(x)).abs().max() <= 1e-5
    before = [tile.fast_weights for tile in analog.analog_tiles()]
    analog(x).square().sum().backward()
    AnalogSGD(analog.parameters(), lr=1.0).step()
    after = [tile.fast_weights for tile in analog.analog_tiles()]
    assert any(not torch.equal(each, old) for each, old in zip(after, before))
    assert type(model.layer) is type(layer)


def test_parameters_in_a_list() -> None:
    """A product with the weight in it is that of the layer."""
    model = Held(nn.Linear(4, 4), lambda layer: [layer.weight], lambda held, x: x @ held[0].t())
    nn.init.uniform_(model.layer.weight, -0.4, 0.4)
    analog = convert(model, quiet_config(**METHODS["E-RIDER"]))
    x = torch.randn(2, 4)
    assert (model(x) - analog(x)).abs().max() <= 1e-5
    analog.layer.set_weights(torch.zeros(4, 4), torch.zeros(4))
    assert analog(x).abs().max() == 0.0


def test_what_two_modules_hold_stays_one() -> None:
    """Lists that are shared stay shared, and so does what they hold."""
    shared = nn.Linear(4, 4)
    model = nn.Sequential(Held(shared, lambda layer: [layer], None), nn.Linear(4, 4))
    model[1].__dict__["friends"] = model[0].held
    model[0].__dict__["again"] = model[0].held
    analog = convert(model, quiet_config(**METHODS["E-RIDER"]))
    assert analog[0].held is analog[0].again
    assert analog[0].held[0] is analog[0].layer
    assert model[0].held[0] is shared
