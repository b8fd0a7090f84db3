"""Backward passes that are not for the arrays, or go on from a backward pass."""

from __future__ import annotations

from typing import Any, Callable, Dict

import pytest
import torch
from aihwkit.exceptions import TileError
from aihwkit.nn import AnalogConv2d, AnalogLinear
from aihwkit.optim import AnalogSGD
from torch import Tensor, nn

from aihwkit_dspt import analog_grad_norms
from tests.helpers import quiet_config
from tests.optim.models import indexed
from tests.table import METHODS


def config() -> Any:
    """Return a configuration whose products are exact."""
    return quiet_config(**METHODS["E-RIDER"])


LAYERS = {
    "linear": (lambda: AnalogLinear(4, 3, rpu_config=config()), (2, 4)),
    "convolution": (lambda: AnalogConv2d(2, 3, 2, rpu_config=config()), (2, 2, 4, 4)),
    "indexed": (lambda: indexed(config()), (5, 2, 5, 5)),
}


def network(name: str) -> nn.Sequential:
    """Return a layer between digital parameters."""
    make, shape = LAYERS[name]
    return nn.Sequential(nn.BatchNorm1d(4) if len(shape) == 2 else nn.BatchNorm2d(2), make())


def loss_of(model: nn.Module, x: Tensor) -> Tensor:
    """Return a loss whose gradient depends on the output."""
    return model(x).square().sum()


OTHER: Dict[str, Callable[[nn.Module, Tensor], Any]] = {
    "grad": lambda model, x: torch.autograd.grad(loss_of(model, x), x),
    "grad of digital parameters": lambda model, x: torch.autograd.grad(
        loss_of(model, x), list(model[0].parameters())
    ),
    "inputs": lambda model, x: loss_of(model, x).backward(inputs=[x]),
}


@pytest.mark.parametrize("name", LAYERS)
@pytest.mark.parametrize("other", OTHER)
def test_gradients_of_something_else_do_not_train_arrays(name: str, other: str) -> None:
    """The step takes the vectors of the pass that was for all parameters, and no others."""
    model = network(name)
    x = torch.randn(LAYERS[name][1]).requires_grad_()
    loss_of(model, x).backward()
    norms = analog_grad_norms(model)
    OTHER[other](model, x)
    tile = next(model[1].analog_tiles())
    assert len(tile.analog_ctx.analog_input) == len(tile.analog_ctx.analog_grad_output) == 1
    assert analog_grad_norms(model) == norms
    AnalogSGD(model.parameters(), lr=0.1).step()
    before = tile.fast_weights
    OTHER[other](model, x)
    AnalogSGD(model.parameters(), lr=0.1).step()
    assert torch.equal(tile.fast_weights, before)


@pytest.mark.parametrize("name", LAYERS)
def test_second_derivatives_are_refused(name: str) -> None:
    """A gradient penalty would miss all that goes through the array."""
    model = network(name)
    x = torch.randn(LAYERS[name][1]).requires_grad_()
    loss = loss_of(model, x)
    with pytest.raises(TileError, match=r"no second derivative.*convert_to_digital"):
        torch.autograd.grad(loss, x, create_graph=True)
    loss_of(model, x).backward(retain_graph=True)
