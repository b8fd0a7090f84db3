"""Clipping, GradScaler and zero_grad act on arrays as on digital parameters."""

from __future__ import annotations

from copy import deepcopy
from typing import Any, List

import pytest
import torch
from aihwkit.exceptions import ArgumentError, TileError
from aihwkit.optim import AnalogSGD
from torch import Tensor, nn
from torch.optim import SGD, AdamW

from aihwkit_dspt import analog_grad_norms, analog_optimizer
from tests.helpers import difference
from tests.optim.models import KINDS, batch, loss_of, network, states, tracking_network


def prepared(kind: str) -> Any:
    """Return a model whose arrays have gradients for torch."""
    model = network(KINDS[kind]())
    if kind != "E-RIDER":
        analog_optimizer(model)  # from now on aihwkit's tiles have them, too
    return model


def errors(model: Any) -> List[Tensor]:
    """Return the errors that are kept."""
    return [d for tile in model.analog_tiles() for d in tile.analog_ctx.analog_grad_output]


def all_norms(model: Any) -> Tensor:
    """Return the norms of all gradients, analog and digital."""
    digital = [
        p.grad.norm() for n, p in model.named_parameters() if "ctx" not in n and p.grad is not None
    ]
    return torch.tensor([*digital, *analog_grad_norms(model).values()])


@pytest.mark.parametrize("foreach", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_clip_grad_norm(kind: str, foreach: bool) -> None:
    """The arrays count, and are clipped by the factor of all."""
    model = prepared(kind)
    for _ in range(2):
        loss_of(model, *batch()).backward()
    before, norms = deepcopy(errors(model)), all_norms(model)
    total = nn.utils.clip_grad_norm_(model.parameters(), 0.01, foreach=foreach)
    assert total.item() == pytest.approx(norms.norm().item())
    assert total.item() > 0.1
    for old, new in zip(before, errors(model)):
        assert torch.allclose(new, old * 0.01 / total, rtol=1e-4)
    assert torch.allclose(all_norms(model), norms * 0.01 / total, rtol=1e-4)


def test_small_gradients_are_not_clipped() -> None:
    """Bit for bit: a run with a limit that is never reached is a run without one."""
    plain = tracking_network()
    limited = deepcopy(plain)
    for _ in range(5):
        data = batch()
        for model in (plain, limited):
            optimizer = AnalogSGD(model.parameters(), lr=0.1)
            loss_of(model, *data).backward()
            if model is limited:
                nn.utils.clip_grad_norm_(model.parameters(), 1e6)
            optimizer.step()
            optimizer.zero_grad()
    assert difference(states(plain), states(limited)) is None


def test_clip_grad_value() -> None:
    """No entry of an array's gradient is above the limit: its norm is not."""
    model = tracking_network()
    loss_of(model, *batch()).backward()
    nn.utils.clip_grad_value_(model.parameters(), 0.01)
    assert max(analog_grad_norms(model).values()) == pytest.approx(0.01)


@pytest.mark.parametrize("shape", [(2,), (4, 8), (1, 8)])
def test_gradient_that_is_no_number(shape: Any) -> None:
    """A matrix of the size of the weights would be multiplied with the errors, or fail later."""
    model = tracking_network()
    loss_of(model, *batch()).backward()
    before = [error.clone() for error in errors(model)]
    context = next(model.analog_tiles()).analog_ctx
    for wrong in (torch.ones(shape), torch.ones((), dtype=torch.cfloat), 0.5, "0.5"):
        with pytest.raises(TileError, match=r"grad=.* of an array is not valid"):
            context.grad = wrong
    assert all(map(torch.equal, errors(model), before))
    context.grad = 0.5 * context.grad.reshape(1)
    assert torch.allclose(errors(model)[0], 0.5 * before[0])


def test_what_comes_after_clipping_is_not_clipped() -> None:
    """As torch's gradients: a later backward pass is added."""
    model = tracking_network()
    loss_of(model, *batch()).backward()
    nn.utils.clip_grad_norm_(model.parameters(), 1e-3)
    first = deepcopy(errors(model))
    second = batch()
    loss_of(model, *second).backward()
    twin = deepcopy(model)
    loss_of(twin, *second).backward()
    both, alone = (
        [tile.analog_ctx.analog_grad_output for tile in m.analog_tiles()] for m in (model, twin)
    )
    for kept, one, clipped in zip(both, alone, first):
        assert torch.equal(kept[0], clipped)
        assert torch.equal(kept[1], one[0])


@pytest.mark.parametrize("unscale", [False, True])
@pytest.mark.parametrize("kind", ["tracking", "helper"])
def test_grad_scaler(kind: str, unscale: bool) -> None:
    """Bit for bit the training without it: scales are powers of two."""
    plain = tracking_network()
    scaled = deepcopy(plain)
    scaler = torch.amp.GradScaler("cpu", init_scale=2.0**14, growth_interval=2)
    optimizers = []
    for model in (plain, scaled):
        helper = analog_optimizer(model, SGD, lr=0.1, analog_lr=0.1)
        optimizers.append(helper if kind == "helper" else AnalogSGD(model.parameters(), lr=0.1))
    for _ in range(6):
        data = batch()
        loss_of(plain, *data).backward()
        scaler.scale(loss_of(scaled, *data)).backward()
        if unscale:
            scaler.unscale_(optimizers[1])
            for model in (plain, scaled):
                nn.utils.clip_grad_norm_(model.parameters(), 0.25)
        optimizers[0].step()
        scaler.step(optimizers[1])
        scaler.update()
        for optimizer in optimizers:
            optimizer.zero_grad()
    assert scaler.get_scale() == 2.0**17
    assert difference(states(plain), states(scaled)) is None


def test_grad_scaler_skips_a_step_that_overflows() -> None:
    """Nothing is updated, and what was kept is not used by the next step."""
    model = tracking_network()
    optimizer = AnalogSGD(model.parameters(), lr=0.1)
    scaler = torch.amp.GradScaler("cpu", init_scale=2.0**4)
    before = states(model)
    (scaler.scale(loss_of(model, *batch())) * float("inf")).backward()
    scaler.step(optimizer)
    scaler.update()
    optimizer.zero_grad()
    assert scaler.get_scale() == 2.0**3
    assert difference(before, states(model)) is None
    assert not any(tile.analog_ctx.has_gradient() for tile in model.analog_tiles())


def test_grad_scaler_with_a_fused_optimizer() -> None:
    """It unscales within its step, where it does not see the arrays."""
    model = tracking_network()
    optimizer = analog_optimizer(model, AdamW, lr=1e-3, fused=True)
    scaler = torch.amp.GradScaler("cpu", init_scale=2.0**4)
    scaler.scale(loss_of(model, *batch())).backward()
    with pytest.raises(ArgumentError, match="fused=True of AnalogAdamW is not valid"):
        scaler.step(optimizer)


@pytest.mark.parametrize("way", ["zero_grad", "grad", "del", "model"])
def test_zero_grad_drops_what_is_kept(way: str) -> None:
    """aihwkit's own contexts keep it for the next step."""
    model = tracking_network()
    optimizer = AnalogSGD(model.parameters(), lr=0.1)
    loss_of(model, *batch()).backward()
    for tile in model.analog_tiles():
        if way == "grad":
            tile.analog_ctx.grad = None
        elif way == "del":
            del tile.analog_ctx.grad
    if way in ("zero_grad", "model"):
        (optimizer if way == "zero_grad" else model).zero_grad()
    before = states(model)
    for group in optimizer.param_groups:
        group["params"] = [p for p in group["params"] if p.grad is None]
    optimizer.step()
    assert difference(before, states(model)) is None


def test_a_frozen_array_has_no_gradient() -> None:
    """It is neither counted nor clipped, and keeps no vectors."""
    model = tracking_network()
    tile = list(model.analog_tiles())[1]
    tile.requires_grad_(False)
    loss_of(model, *batch()).backward()
    assert tile.analog_ctx.grad is None
    assert not tile.analog_ctx.analog_input
