"""An optimizer that is copied, pickled or sent with its model trains the copied model."""

from __future__ import annotations

from typing import Any, List

import pytest
import torch
from torch import Tensor, multiprocessing, nn
from torch.optim import AdamW

from aihwkit_dspt import analog_grad_norms, analog_optimizer
from tests.helpers import difference, quiet_config
from tests.resume_cases import LAYERS, everything, make, train
from tests.saved_copies import COPIES
from tests.table import METHODS


@pytest.mark.parametrize("layer", LAYERS)
@pytest.mark.parametrize("copy", COPIES)
@pytest.mark.parametrize("order", [[0, 1, 2], [2, 1, 0], [1, 0, 2]], ids=str)
def test_both_train_on(layer: str, copy: str, order: List[int]) -> None:
    """Model, optimizer and schedule in any order: the copy trains as the original does."""
    run = make(layer, "E-RIDER")
    train(layer, *run)
    found = COPIES[copy]([run[index] for index in order])
    copied = [found[order.index(index)] for index in range(3)]
    for parts in (run, copied):
        torch.manual_seed(1)
        train(layer, *parts)
    assert difference(everything(*run), everything(*copied)) is None


@pytest.mark.parametrize("copy", COPIES)
def test_an_optimizer_alone(copy: str) -> None:
    """Its parameters are copies, as with torch's optimizers; the model's stay its own."""
    model, optimizer, _ = make("linear", "E-RIDER")
    before = everything(model, optimizer, optimizer)
    copied = COPIES[copy](optimizer)
    contexts = [each for group in copied.param_groups for each in group["params"]]
    assert not {id(each) for each in contexts} & {id(each) for each in model.parameters()}
    assert difference(before, everything(model, optimizer, optimizer)) is None


@pytest.mark.parametrize("copy", COPIES)
def test_frozen_layers_stay_frozen(copy: str) -> None:
    """In the model and in the optimizer of the copy, which has the parameters in the same order."""
    model, _, _ = make("linear", "E-RIDER")
    model[0].requires_grad_(False)
    optimizer = analog_optimizer(model, AdamW, lr=0.01)
    other, trainer = COPIES[copy]((model, optimizer))
    names = [name for name, _ in model.named_parameters()]
    assert [name for name, _ in other.named_parameters()] == names
    wanted = {id(each): each.requires_grad for each in other.parameters()}
    given = [each for group in trainer.param_groups for each in group["params"]]
    assert {id(each): each.requires_grad for each in given} == wanted
    assert not all(wanted.values())


def weights_of(model: nn.Module, answers: Any) -> None:
    """Answer from a spawned process."""
    with torch.no_grad():
        answers.put(model(torch.eye(6)[:3]).tolist())


def test_a_spawned_process() -> None:
    """It gets the model by value, with what the layers hold."""
    config = quiet_config(**METHODS["E-RIDER"])
    model = LAYERS["linear"][0](config).eval()
    context = multiprocessing.get_context("spawn")
    answers = context.Queue()
    process = context.Process(target=weights_of, args=(model, answers))
    process.start()
    found = torch.tensor(answers.get(timeout=240))
    process.join()
    with torch.no_grad():
        assert torch.equal(found, model(torch.eye(6)[:3]))


def test_gradient_hooks() -> None:
    """They see the norm of what is kept, and what they return takes its place."""
    model, _, _ = make("linear", "E-RIDER")
    seen: List[Tensor] = []

    def halve(grad: Tensor) -> Tensor:
        seen.append(grad.clone())
        return grad / 2

    context = model[0].analog_module.analog_ctx
    handle = context.register_hook(halve)
    model(torch.rand(3, 6)).square().sum().backward()
    assert float(seen[0]) > 0.0
    assert analog_grad_norms(model)["0.analog_module"] == pytest.approx(float(seen[0]) / 2)
    handle.remove()
    calls: List[float] = []
    context.register_post_accumulate_grad_hook(lambda each: calls.append(float(each.grad)))
    context.register_hook(lambda grad: None)
    model.zero_grad()
    model(torch.rand(3, 6)).square().sum().backward()
    assert len(seen) == len(calls) == 1
    assert calls[0] == pytest.approx(analog_grad_norms(model)["0.analog_module"])
