"""Training loops that are not one forward, one backward, one step."""

from __future__ import annotations

from copy import deepcopy
from itertools import pairwise
from typing import Any

import pytest
import torch
from aihwkit.nn import AnalogConv2d, AnalogLinear, AnalogLinearMapped, AnalogSequential
from aihwkit.optim import AnalogSGD
from torch import Tensor, nn

from tests.covering import covering
from tests.helpers import difference, mixed_weight, quiet_config, snapshot, states, used_weights
from tests.layers.agad import assert_same, pair
from tests.layers.networks import MODELS, RNNS, fit, output, sgd
from tests.table import METHODS


def layer(method: str, **settings: Any) -> AnalogLinear:
    """Return a layer on a tracking tile."""
    return AnalogLinear(6, 4, rpu_config=quiet_config(**{**METHODS[method], **settings}))


def square(model: nn.Module, x: Tensor) -> Tensor:
    """Return a loss that is a sum over the batch."""
    return 0.2 * (model(x) - 1.0).square().sum()


@pytest.mark.parametrize("way", ["two forwards", "two backwards"])
@pytest.mark.parametrize("method", METHODS)
def test_parts_of_a_batch(method: str, way: str) -> None:
    """Several forwards (or backwards) before one step are one batch, bit for bit.

    aihwkit keeps the vectors in the order of the backward passes; autograd goes through the
    forwards from the last to the first.
    """
    parts, whole = layer(method, units_in_mbatch=False), None
    whole = deepcopy(parts)
    optimizers = sgd(parts), sgd(whole)
    for _ in range(15):
        first, second = torch.randn(3, 6), torch.randn(2, 6)
        for optimizer in optimizers:
            optimizer.zero_grad()
        if way == "two forwards":
            (square(parts, first) + square(parts, second)).backward()
            square(whole, torch.cat([second, first])).backward()
        else:
            square(parts, first).backward()
            square(parts, second).backward()
            square(whole, torch.cat([first, second])).backward()
        for optimizer in optimizers:
            optimizer.step()
        # The bias gradient is summed in another order.
        next(whole.analog_tiles()).bias.data.copy_(next(parts.analog_tiles()).bias)
        assert difference(states(parts), states(whole)) is None
    assert next(parts.analog_tiles()).fast_weights.abs().max() > 0.01


def test_tied_layer_is_cpp_agad() -> None:
    """A layer that is used twice is one tile that learns from both uses."""

    def tied(config: Any) -> AnalogSequential:
        shared = AnalogLinear(5, 5, rpu_config=config)
        return AnalogSequential(shared, nn.Tanh(), shared)

    theirs, ours = pair(tied)
    assert len(list(ours.analog_tiles())) == 1
    optimizers = sgd(theirs), sgd(ours)
    for _ in range(30):
        x = torch.randn(4, 5)
        for model, optimizer in zip((theirs, ours), optimizers):
            optimizer.zero_grad()
            square(model, x).backward()
            optimizer.step()
        assert_same(theirs, ours)
    assert next(ours.analog_tiles()).sp_estimate.abs().max() > 0.01


@pytest.mark.parametrize("method", METHODS)
def test_no_grad_and_eval(method: str) -> None:
    """Forward alone changes nothing and leaves nothing behind for the next step."""
    model = layer(method)
    fit(model, (5, 6))
    before = states(model)
    x = torch.randn(7, 6)
    with torch.no_grad():
        plain = model(x)
    assert torch.equal(model.eval()(x), plain)
    assert torch.equal(model.train()(x), plain)
    sgd(model).step()
    assert difference(before, states(model)) is None


EMPTY = {
    "linear": (lambda c: AnalogLinear(6, 4, rpu_config=c), (0, 6)),
    "linear-3d": (lambda c: AnalogLinear(6, 4, rpu_config=c), (3, 0, 6)),
    "mapped": (lambda c: AnalogLinearMapped(6, 4, rpu_config=c), (0, 6)),
    "lstm": (RNNS["lstm"], (3, 0, 3)),
}


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("name", EMPTY)
def test_empty_batch(name: str, method: str) -> None:
    """No samples: empty output and gradient, no pulse, no transfer, no counting."""
    make, shape = EMPTY[name]
    model = make(quiet_config(**METHODS[method]))
    fit(model, (*shape[:-2], 3, shape[-1]))
    before = states(model)
    x = torch.zeros(shape, requires_grad=True)
    optimizer = sgd(model)
    output(model, x).sum().backward()
    optimizer.step()
    assert x.grad is not None
    assert x.grad.shape == shape
    assert difference(before, states(model)) is None


def test_empty_batch_of_images() -> None:
    """aihwkit's convolutions cannot shape an empty output; the tiles are left as they are."""
    model = AnalogConv2d(2, 3, 3, rpu_config=quiet_config(**METHODS["E-RIDER"]))
    before = states(model)
    with pytest.raises(RuntimeError, match="cannot reshape tensor of 0 elements"):
        model(torch.zeros(0, 2, 5, 5))
    assert difference(before, states(model)) is None


def three_layers(config: Any) -> AnalogSequential:
    """Return three layers of which the middle one gets frozen."""
    sizes = (6, 5, 4, 3)
    layers = [AnalogLinear(a, b, rpu_config=config) for a, b in pairwise(sizes)]
    return AnalogSequential(*layers)


@pytest.mark.parametrize(
    ("method", "way", "position"), covering(METHODS, ["requires_grad_", "left out"], [0, 1, 2])
)
def test_frozen_layer(method: str, way: str, position: int) -> None:
    """A frozen tile stays as it is bit for bit, gradients flow through it, the others learn."""
    model = three_layers(quiet_config(**METHODS[method]))
    fit(model, (5, 6))
    frozen = model[position]
    if way == "requires_grad_":
        frozen.requires_grad_(False)
        parameters = list(model.parameters())
    else:
        inside = {id(value) for value in frozen.parameters()}
        parameters = [value for value in model.parameters() if id(value) not in inside]
    optimizer = AnalogSGD(parameters, lr=0.1)
    optimizer.regroup_param_groups(model)
    before = states(model)
    for _ in range(10):
        square(model, torch.randn(5, 6)).backward()
        optimizer.step()
    for index, (old, new) in enumerate(zip(before, states(model))):
        assert (difference(old, new) is None) == (index == position)


def test_frozen_and_thawed() -> None:
    """A copy of a frozen layer is frozen; after ``requires_grad_(True)`` it learns again."""
    model = three_layers(quiet_config(**METHODS["E-RIDER"]))
    fit(model, (5, 6))
    model[1].requires_grad_(False)
    copy = deepcopy(model)
    before = states(copy)
    fit(copy, (5, 6))
    assert difference(before[1], states(copy)[1]) is None
    copy[1].requires_grad_(True)
    fit(copy, (5, 6))
    assert difference(before[1], states(copy)[1]) is not None


def test_frozen_layer_keeps_no_trace() -> None:
    """Nobody takes the vectors of a frozen layer: they must not pile up."""
    model = three_layers(quiet_config(**METHODS["E-RIDER"]))
    model[1].requires_grad_(False)
    for _ in range(10):
        square(model, torch.randn(5, 6)).backward()
    assert len(next(model[1].analog_tiles()).analog_ctx.analog_input) <= 1


SCHEDULES = {
    "step": lambda optimizer: torch.optim.lr_scheduler.StepLR(optimizer, 7, 0.5),
    "cosine": lambda optimizer: torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 20),
    "off": lambda optimizer: torch.optim.lr_scheduler.LambdaLR(optimizer, lambda i: float(i < 5)),
}


@pytest.mark.parametrize("name", SCHEDULES)
def test_schedule_is_cpp_agad(name: str) -> None:
    """Tiles follow the learning rate of the schedule as aihwkit's do, zero included."""
    theirs, ours = pair(MODELS["linear"][0])
    optimizers = sgd(theirs), sgd(ours)
    schedules = [SCHEDULES[name](optimizer) for optimizer in optimizers]
    for _ in range(25):
        x = torch.randn(5, 6)
        for model, optimizer, schedule in zip((theirs, ours), optimizers, schedules):
            optimizer.zero_grad()
            square(model, x).backward()
            optimizer.step()
            schedule.step()
        assert_same(theirs, ours)
    rates = [next(model.analog_tiles()).get_learning_rate() for model in (theirs, ours)]
    assert rates[0] == pytest.approx(rates[1], rel=1e-6)
    assert next(ours.analog_tiles()).fast_weights.abs().max() > 0.01


def test_regrouping_changes_nothing_else() -> None:
    """``regroup_param_groups`` gives each tile its group; the training is the same."""
    plain = three_layers(quiet_config(**METHODS["E-RIDER"]))
    grouped = deepcopy(plain)
    optimizers = [AnalogSGD(model.parameters(), lr=0.1) for model in (plain, grouped)]
    optimizers[1].regroup_param_groups(grouped)
    assert len(optimizers[0].param_groups) == 1
    assert len(optimizers[1].param_groups) == 4
    for _ in range(10):
        x = torch.randn(5, 6)
        for model, optimizer in zip((plain, grouped), optimizers):
            optimizer.zero_grad()
            square(model, x).backward()
            optimizer.step()
    assert difference(states(plain), states(grouped)) is None


def test_groups_have_their_own_learning_rate() -> None:
    """A group with a learning rate of zero rests, the other learns."""
    model = three_layers(quiet_config(**METHODS["E-RIDER"]))
    groups = [
        {"params": list(model[0].parameters()), "lr": 0.0},
        {"params": [*model[1].parameters(), *model[2].parameters()]},
    ]
    optimizer = AnalogSGD(groups, lr=0.1)
    before = states(model)
    for _ in range(10):
        square(model, torch.randn(5, 6)).backward()
        optimizer.step()
    tiles = list(model.analog_tiles())
    assert difference(before[0], snapshot(tiles[0])) is None
    for tile in tiles[1:]:
        assert tile.fast_weights.abs().max() > 0.01
        assert (used_weights(tile)[0] - mixed_weight(tile)).abs().max() <= 1e-6
