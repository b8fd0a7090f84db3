"""Backward passes that are not for the arrays, or go on from a backward pass."""

from __future__ import annotations

from copy import deepcopy
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


def in_turns(model: AnalogLinear, other: nn.Module, frozen: bool) -> Tensor:
    """Return the fast array of a model after steps of two that are trained in turns.

    The pass for the other one goes through the model, which is frozen, or whose gradient of it is
    thrown away, as in a GAN.
    """
    optimizer = AnalogSGD(model.parameters(), lr=1.0)
    for _ in range(3):
        model.requires_grad_(not frozen)
        loss_of(model, other(torch.ones(2, 4))).backward()
        model.requires_grad_(True)
        if not frozen:
            optimizer.zero_grad()
        loss_of(model, torch.ones(2, 4)).backward()
        optimizer.step()
        optimizer.zero_grad()
    fast: Tensor = model.analog_module.fast_weights
    return fast


def test_arrays_do_not_learn_from_a_pass_in_which_they_were_frozen() -> None:
    """The errors that go through a frozen array are right, and its vectors are not kept."""
    model = AnalogLinear(4, 3, rpu_config=config())
    results = []
    for frozen in (False, True):
        each, other = deepcopy(model), nn.Linear(4, 4, bias=False)
        nn.init.eye_(other.weight)
        results.append((in_turns(each, other, frozen), other.weight.grad))
    assert torch.equal(results[0][0], results[1][0])
    assert torch.equal(results[0][1], results[1][1])
    assert not torch.equal(results[0][0], model.analog_module.fast_weights)


def test_vectors_of_before_are_kept_while_an_array_is_frozen() -> None:
    """As torch keeps a gradient: a pass through it leaves them alone."""
    model = AnalogLinear(4, 3, rpu_config=config())
    twin, x = deepcopy(model), torch.ones(2, 4)
    for each in (model, twin):
        loss_of(each, x).backward()
    model.requires_grad_(False)
    loss_of(model, x.requires_grad_()).backward()
    assert len(model.analog_module.analog_ctx.analog_input) == 1
    model.requires_grad_(True)
    for each in (model, twin):
        AnalogSGD(each.parameters(), lr=1.0).step()
    assert torch.equal(model.analog_module.fast_weights, twin.analog_module.fast_weights)
