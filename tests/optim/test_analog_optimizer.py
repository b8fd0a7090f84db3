"""One optimizer for digital parameters and arrays."""

from __future__ import annotations

import pickle
from copy import deepcopy
from pathlib import Path
from typing import Any, Dict, Type

import pytest
import torch
from aihwkit.exceptions import ArgumentError
from aihwkit.nn import AnalogLinear
from aihwkit.optim import AnalogSGD
from torch import nn
from torch.optim import SGD, Adam, AdamW, Optimizer, RMSprop

from aihwkit_dspt import analog_optimizer, load_checkpoint, save_checkpoint
from tests.helpers import difference
from tests.optim.models import KINDS, batch, loss_of, network, states, tracking_network

CLASSES = [SGD, Adam, AdamW, RMSprop]


def digital(model: Any) -> Any:
    """Return the digital parameters of a model."""
    return [value for name, value in model.named_parameters() if "analog_ctx" not in name]


def arrays(model: Any) -> Any:
    """Return the parameters that stand for arrays."""
    return [tile.analog_ctx for tile in model.analog_tiles()]


def step(model: nn.Module, optimizer: Any, *data: torch.Tensor) -> None:
    """Train for one step."""
    loss_of(model, *data).backward()
    optimizer.step()
    optimizer.zero_grad()


@pytest.mark.parametrize("optimizer_class", CLASSES)
@pytest.mark.parametrize("kind", KINDS)
def test_it_is_two_optimizers(kind: str, optimizer_class: Type[Optimizer]) -> None:
    """Digital parameters as the optimizer of torch trains them, and arrays as AnalogSGD does."""
    model = network(KINDS[kind]())
    twin = deepcopy(model)
    both = analog_optimizer(model, optimizer_class, lr=0.01, weight_decay=0.1, analog_lr=0.2)
    assert isinstance(both, optimizer_class)
    separate = (
        optimizer_class(digital(twin), lr=0.01, weight_decay=0.1),
        AnalogSGD(arrays(twin), lr=0.2),
    )
    for _ in range(10):
        data = batch()
        step(model, both, *data)
        loss_of(twin, *data).backward()
        for optimizer in separate:
            optimizer.step()
            optimizer.zero_grad()
        for one, other in zip(digital(model), digital(twin)):
            assert torch.equal(one, other)
        for one, other in zip(model.analog_tiles(), twin.analog_tiles()):
            assert torch.equal(one.get_weights()[0], other.get_weights()[0])
            assert one.get_learning_rate() == pytest.approx(0.2)


def test_schedules_act_on_both_rates() -> None:
    """And aihwkit's regrouping, which gives arrays the digital rate, changes nothing."""
    model = tracking_network()
    optimizer: Any = analog_optimizer(model, AdamW, lr=0.01, analog_lr=0.2)
    optimizer.regroup_param_groups(model)
    schedule = torch.optim.lr_scheduler.ExponentialLR(optimizer, 0.5)
    for power in range(3):
        step(model, optimizer, *batch())
        rates = [group["lr"] for group in optimizer.param_groups]
        assert rates == [0.01 * 0.5**power, 0.2 * 0.5**power]
        for tile in model.analog_tiles():
            assert tile.get_learning_rate() == pytest.approx(rates[1])
        schedule.step()


@pytest.mark.parametrize("named", [False, True])
def test_groups(named: bool) -> None:
    """Each group has its digital and its analog part, with the rates that it names."""
    model = tracking_network()
    parts = [model[0], model[3]]
    values: Any = [list(part.named_parameters() if named else part.parameters()) for part in parts]
    optimizer = analog_optimizer(
        [{"params": values[0], "lr": 0.3, "analog_lr": 0.4}, {"params": values[1]}],
        SGD,
        lr=0.1,
        analog_lr=0.2,
    )
    found = [(group["lr"], group.get("analog", False)) for group in optimizer.param_groups]
    assert found == [(0.3, False), (0.1, False), (0.4, True), (0.2, True)]
    assert [len(group["params"]) for group in optimizer.param_groups] == [1, 1, 1, 1]


@pytest.mark.parametrize("rate", [{}, {"analog_lr": 0.4}])
def test_a_group_that_is_added_later_is_split(rate: Dict[str, float]) -> None:
    """As when a layer is unfrozen: its arrays have a rate of their own, and learn."""
    model = tracking_network()
    layers = [layer for layer in model if isinstance(layer, AnalogLinear)]
    optimizer = analog_optimizer(layers[1], AdamW, lr=0.01, analog_lr=0.2)
    optimizer.add_param_group({"params": layers[0].parameters(), "lr": 0.3, **rate})
    optimizer.add_param_group({"params": [nn.Parameter(torch.zeros(2))]})
    found = [(group["lr"], group.get("analog", False)) for group in optimizer.param_groups]
    analog_lr = rate.get("analog_lr", 0.2)
    assert found == [(0.01, False), (0.2, True), (0.3, False), (analog_lr, True), (0.01, False)]
    before = layers[0].analog_module.fast_weights
    step(model, optimizer, *batch())
    assert not torch.equal(layers[0].analog_module.fast_weights, before)
    with pytest.raises(ArgumentError, match=r"analog_lr=-1.0 is not valid"):
        optimizer.add_param_group({"params": layers[0].parameters(), "analog_lr": -1.0})


def test_named_parameters() -> None:
    """torch's optimizers take them, and clipping works with aihwkit's own tiles, too."""
    layer = AnalogLinear(4, 3, rpu_config=KINDS["C++ AGAD"]())
    optimizer = analog_optimizer(layer.named_parameters(), AdamW, analog_lr=0.5)
    assert [group["lr"] for group in optimizer.param_groups] == [0.001, 0.5]
    layer(torch.ones(2, 4)).sum().backward()
    assert layer.analog_module.analog_ctx.grad > 0.0


@pytest.mark.parametrize("way", ["state_dict", "checkpoint"])
def test_a_run_goes_on_as_if_never_stopped(way: str, tmp_path: Path) -> None:
    """Bit for bit, moments and schedule included."""

    def made() -> Any:
        model = tracking_network()
        optimizer = analog_optimizer(model, AdamW, lr=0.01, analog_lr=0.2)
        return model, optimizer, torch.optim.lr_scheduler.ExponentialLR(optimizer, 0.9)

    run, other = made(), made()
    data = [batch() for _ in range(8)]
    for one in data[:4]:
        step(*run[:2], *one)
        run[2].step()
    if way == "checkpoint":
        save_checkpoint(tmp_path / "run.pt", *run)
        load_checkpoint(tmp_path / "run.pt", *other)
    else:
        for part, saved in zip(other, run):
            state = saved.state_dict()
            part.load_state_dict(state if part is other[0] else deepcopy(state))
    for model, optimizer, schedule in (run, other):
        torch.manual_seed(1)  # the choppers draw
        for one in data[4:]:
            step(model, optimizer, *one)
            schedule.step()
    assert difference(states(run[0]), states(other[0])) is None


@pytest.mark.parametrize("copy", [deepcopy, lambda value: pickle.loads(pickle.dumps(value))])
def test_copies(copy: Any) -> None:
    """A model and its optimizer are copied together; moments and rates are kept."""
    model = tracking_network()
    optimizer = analog_optimizer(model, AdamW, lr=0.01, analog_lr=0.2)
    step(model, optimizer, *batch())
    copied = copy(optimizer)
    assert type(copied) is type(optimizer)
    assert difference(copied.state_dict(), optimizer.state_dict()) is None


def test_layers_alone() -> None:
    """A model without digital parameters, and one layer of it."""
    layer = AnalogLinear(4, 3, bias=False, rpu_config=KINDS["E-RIDER"]())
    assert len(analog_optimizer(layer, AdamW).param_groups) == 1
    assert len(analog_optimizer(layer.parameters(), SGD, analog_lr=0.5).param_groups) == 1


def test_refusals() -> None:
    """Named, with what to pass."""
    model = tracking_network()
    with pytest.raises(ArgumentError, match="params has no analog tile: convert the model"):
        analog_optimizer(nn.Linear(2, 2))
    with pytest.raises(ArgumentError, match="optimizer_class='adam' is not valid: pass a class"):
        analog_optimizer(model, "adam")  # type: ignore[arg-type]
    with pytest.raises(
        ArgumentError, match="optimizer_class=LBFGS is not valid: it takes one group"
    ):
        analog_optimizer(model, torch.optim.LBFGS)
    for rate in (-0.1, float("nan"), "0.1", None):
        with pytest.raises(ArgumentError, match=r"analog_lr=.* is not valid: pass a number in"):
            analog_optimizer(model, analog_lr=rate)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="momentum"):
        analog_optimizer(model, AdamW, momentum=0.9)
