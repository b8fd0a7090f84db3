"""A torch optimizer that trains no array says so at its first step."""

from __future__ import annotations

from copy import deepcopy
from typing import Any, Type

import pytest
import torch
from aihwkit.exceptions import ArgumentError, TileError
from aihwkit.optim import AnalogAdam, AnalogOptimizer, AnalogSGD
from aihwkit.optim.context import AnalogContext
from aihwkit.simulator.configs.configs import InferenceRPUConfig
from torch import nn
from torch.optim import SGD, Adam, AdamW, Optimizer

from aihwkit_dspt import analog_optimizer, convert, to_inference
from tests.helpers import difference
from tests.optim.models import KINDS, batch, loss_of, network, states, tracking_network

PLAIN = [SGD, Adam, AdamW, torch.optim.RMSprop, torch.optim.Adagrad]


@pytest.mark.parametrize("with_closure", [False, True])
@pytest.mark.parametrize("optimizer_class", PLAIN)
@pytest.mark.parametrize("kind", KINDS)
def test_the_first_step_is_refused(
    kind: str, optimizer_class: Type[Optimizer], with_closure: bool
) -> None:
    """Naming the optimizer and the way that works; no vector stays in memory."""
    model = network(KINDS[kind]())
    optimizer: Any = optimizer_class(model.parameters(), lr=1e-3)
    tiles = list(model.analog_tiles())
    before = [tile.get_weights() for tile in tiles]

    def closure() -> torch.Tensor:
        optimizer.zero_grad()
        loss = loss_of(model, *batch())
        loss.backward()
        return loss

    for _ in range(3):
        message = rf"{optimizer_class.__name__} trains no analog tile, but was given 2 of them"
        with pytest.raises(ArgumentError, match=message):
            optimizer.step(closure) if with_closure else (closure(), optimizer.step())
        assert not any(tile.analog_ctx.has_gradient() for tile in tiles)
    for tile, (weights, _) in zip(tiles, before):
        assert torch.equal(tile.get_weights()[0], weights)


@pytest.mark.parametrize(
    "make",
    [
        lambda model: AnalogSGD(model.parameters(), lr=0.1),
        lambda model: AnalogAdam(model.parameters(), lr=0.1),
        lambda model: AnalogOptimizer(AdamW, model.parameters(), lr=0.1),
        lambda model: analog_optimizer(model, AdamW),
    ],
)
@pytest.mark.parametrize("kind", KINDS)
def test_analog_optimizers_pass(kind: str, make: Any) -> None:
    """They train the tiles, which keep nothing."""
    model = network(KINDS[kind]())
    optimizer = make(model)
    before = [tile.get_weights()[0] for tile in model.analog_tiles()]
    for _ in range(20):
        optimizer.zero_grad()
        loss_of(model, *batch()).backward()
        optimizer.step()
    for tile, weights in zip(model.analog_tiles(), before):
        assert not tile.analog_ctx.has_gradient()
        assert not torch.equal(tile.get_weights()[0], weights)


def test_two_optimizers() -> None:
    """One for digital parameters, one for arrays: nothing to refuse."""
    model = tracking_network()
    contexts = {id(tile.analog_ctx) for tile in model.analog_tiles()}
    digital = AdamW([p for p in model.parameters() if id(p) not in contexts])
    arrays = AnalogSGD([p for p in model.parameters() if id(p) in contexts], lr=0.1)
    twin = deepcopy(model)
    both = analog_optimizer(twin, AdamW, analog_lr=0.1)
    for _ in range(5):
        data = batch()
        for each, optimizers in ((model, (digital, arrays)), (twin, (both,))):
            loss_of(each, *data).backward()
            for optimizer in optimizers:
                optimizer.step()
                optimizer.zero_grad()
    assert difference(states(model), states(twin)) is None


def test_what_needs_no_pulses_passes() -> None:
    """Frozen arrays with trained digital parameters, and aihwkit's hardware-aware training."""
    frozen = tracking_network()
    for tile in frozen.analog_tiles():
        tile.requires_grad_(False)
    aware = to_inference(tracking_network(), InferenceRPUConfig()).train()
    for model in (frozen, aware):
        optimizer = AdamW(model.parameters(), lr=1e-3)
        for _ in range(2):
            loss_of(model, *batch()).backward()
            optimizer.step()


def digital_only(model: Any) -> Any:
    """Return an optimizer that was given no array."""
    return AdamW([p for n, p in model.named_parameters() if "analog_ctx" not in n], lr=1e-3)


def test_a_forgotten_array_is_named_once() -> None:
    """It would keep the vectors of all batches."""
    model = tracking_network()
    optimizer = digital_only(model)

    def fit() -> None:
        for _ in range(30):
            loss_of(model, *batch()).backward()
            optimizer.step()

    with pytest.warns(UserWarning, match="no optimizer was given its parameter") as warned:
        fit()
    sizes = ["3 outputs keeps the vectors of 21", "5 outputs keeps the vectors of 21"]
    assert [size in str(each.message) for size, each in zip(sizes, warned)] == [True, True]
    assert len(warned) == 2


@pytest.mark.filterwarnings("error::UserWarning")
def test_what_is_not_forgotten_is_not_named() -> None:
    """Long accumulation, gradients without any step, and an optimizer that comes seldom."""
    model, other = tracking_network(), tracking_network()
    for _ in range(50):
        loss_of(model, *batch()).backward()
    often, seldom = digital_only(other), AnalogSGD(other.parameters(), lr=0.1)
    loss_of(other, *batch()).backward()
    seldom.step()
    for _ in range(60):
        loss_of(other, *batch()).backward()
        often.step()
    seldom.step()
    assert not any(tile.analog_ctx.has_gradient() for tile in other.analog_tiles())


def own_step(model: nn.Module) -> None:
    """Descend by hand."""
    with torch.no_grad():
        for value in model.parameters():
            value.sub_(0.1 * value.grad)


def own_average(model: nn.Module) -> None:
    """Average a copy by hand."""
    copied = deepcopy(model)
    with torch.no_grad():
        for average, value in zip(copied.parameters(), model.parameters()):
            average.mul_(0.9).add_(value, alpha=0.1)


def own_clamp(model: nn.Module) -> None:
    """Bound all weights by hand."""
    with torch.no_grad():
        for value in model.parameters():
            value.clamp_(-0.1, 0.1)


def own_target(model: nn.Module) -> None:
    """Let a target network follow, as agents and teachers do."""
    for target, value in zip(deepcopy(model).parameters(), model.parameters()):
        target.data.copy_(0.9 * target.data + 0.1 * value.data)


def own_momentum(model: nn.Module) -> None:
    """Let a key network follow."""
    for target, value in zip(deepcopy(model).parameters(), model.parameters()):
        target.data = target.data * 0.9 + value.data * 0.1


def own_copy(model: nn.Module) -> None:
    """Write an average without ``data``."""
    with torch.no_grad():
        for target, value in zip(deepcopy(model).parameters(), model.parameters()):
            target.copy_(0.9 * target + 0.1 * value)


def own_snapshot(model: nn.Module) -> None:
    """Keep the values of all parameters, as if these were the weights."""
    with torch.no_grad():
        [value.clone() for value in model.parameters()]


IN_PLACE = (own_step, own_clamp, own_snapshot)
OF_A_COPY = (own_average, own_target, own_momentum, own_copy)


@pytest.mark.parametrize(
    ("kind", "write"),
    [
        *(("E-RIDER", write) for write in (*IN_PLACE, *OF_A_COPY)),
        *(("C++ AGAD", write) for write in IN_PLACE),  # a copy has aihwkit's own contexts
    ],
)
def test_writes_into_the_parameter_of_an_array_are_refused(kind: str, write: Any) -> None:
    """They would not reach it; the message says what does."""
    model = network(KINDS[kind]())
    analog_optimizer(model, AdamW)  # of aihwkit's contexts it makes some with a gradient
    loss_of(model, *batch()).backward()
    with pytest.raises(TileError, match=r"(?s)AveragedWeights.*set_weights"):
        write(model)


def test_data_of_the_parameter_of_an_array() -> None:
    """It can be looked at, copied and pickled, and loads as before."""
    model = tracking_network()
    context = next(iter(model.analog_tiles())).analog_ctx
    assert context.data.device.type == "cpu"
    assert context.data.shape == context.shape
    state = deepcopy(model.state_dict())
    assert all(type(value) is not type(context.data) for value in state.values())
    model.load_state_dict(state)
    model.to("cpu")
    model.cpu()


def test_averages_of_states_are_refused() -> None:
    """As target networks are made of them, too."""
    model = tracking_network()
    first, second = model.state_dict(), deepcopy(model).state_dict()
    with pytest.raises(TileError, match="AveragedWeights"):
        {name: 0.9 * value + 0.1 * second[name] for name, value in first.items()}


def test_a_gradient_that_was_set_by_hand() -> None:
    """Only what is kept can learn: the gradients of another model are refused, zeros are not."""
    model = tracking_network()
    copied = deepcopy(model)
    loss_of(copied, *batch()).backward()
    context, other = (next(iter(each.analog_tiles())).analog_ctx for each in (model, copied))
    with pytest.raises(TileError, match="no backward pass has been"):
        context.grad = other.grad
    for value in model.parameters():
        value.grad = torch.zeros(value.shape)
    assert context.grad is None
    loss_of(model, *batch()).backward()
    assert context.grad > 0.0
    context.grad = torch.zeros(context.shape)
    assert context.grad == 0.0
    assert not any(errors.any() for errors in context.analog_grad_output)


def test_replaced_parameters_are_refused() -> None:
    """The weights are not in them."""
    model = tracking_network()
    given = dict(model.named_parameters())
    x = batch()[0]
    outputs = torch.func.functional_call(model, given, (x,))
    digital = {
        name: torch.zeros_like(value)
        for name, value in given.items()
        if not isinstance(value, AnalogContext)
    }
    assert not torch.equal(torch.func.functional_call(model, digital, (x,)), outputs)
    numbers = {name: torch.ones(()) for name in given if name not in digital}
    with pytest.raises(TileError, match="functional_call"):
        torch.func.functional_call(model, numbers, (x,))


def test_a_penalty_of_all_parameters_is_refused() -> None:
    """It would miss the arrays; aihwkit 1.2 refuses it by itself. Without them it works."""
    model = tracking_network()
    optimizer = analog_optimizer(model, AdamW)

    def train(parameters: Any) -> None:
        penalty = torch.stack([each.pow(2).sum() for each in parameters]).sum()
        (loss_of(model, *batch()) + 0.01 * penalty).backward()
        optimizer.step()

    with pytest.raises(TileError, match=r"penalty|penalties"):
        train(model.parameters())
    optimizer.zero_grad()
    train([each for each in model.parameters() if not isinstance(each, AnalogContext)])


class Elsewhere(nn.Module):
    """Computes with what is no array."""

    def __init__(self, way: str) -> None:
        super().__init__()
        self.layer, self.head = nn.Linear(6, 5), nn.Linear(5, 3)
        self.way, self.call = way, lambda x: torch.relu(self.layer(x))  # digital for ever

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the outputs of the head."""
        weight: Any = self.layer.weight
        h = {
            "a lambda": lambda: self.call(x),
            "centred weights": lambda: nn.functional.linear(x, weight - weight.mean()),
            "not at all": lambda: x[..., :5],
            "seldom": lambda: self.layer(x) if torch.rand(()) < 0.5 else x[..., :5],
        }[self.way]()
        return self.head(h)


@pytest.mark.parametrize("way", ["a lambda", "centred weights", "not at all"])
def test_an_array_that_no_pass_reaches_is_named_once(way: str) -> None:
    """The loss may fall without it, by the other layers."""
    model = convert(Elsewhere(way), KINDS["E-RIDER"]())
    optimizer = analog_optimizer(model, AdamW)

    def fit() -> None:
        for _ in range(30):
            optimizer.zero_grad()
            loss_of(model, *batch()).backward()
            optimizer.step()

    with pytest.warns(UserWarning, match="6 inputs and 5 outputs has got no vectors in 20") as all_:
        fit()
    assert len(all_) == 1


@pytest.mark.filterwarnings("error::UserWarning")
@pytest.mark.parametrize("way", ["frozen", "seldom"])
def test_an_array_that_is_left_alone_on_purpose_is_not_named(way: str) -> None:
    """It is frozen, or used in some of the batches."""
    model = convert(Elsewhere("not at all" if way == "frozen" else way), KINDS["E-RIDER"]())
    if way == "frozen":
        model.layer.requires_grad_(False)
    optimizer = analog_optimizer(model, AdamW)
    for _ in range(50):
        optimizer.zero_grad()
        loss_of(model, *batch()).backward()
        optimizer.step()
