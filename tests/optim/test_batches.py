"""One batch in other ways: in parts, recomputed, and in other data types."""

from __future__ import annotations

from copy import deepcopy
from typing import Any, Tuple

import pytest
import torch
import torch.nn.functional as F
from aihwkit.exceptions import TileError
from aihwkit.nn.conversion import convert_to_analog
from aihwkit.optim import AnalogSGD
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from aihwkit_dspt import ERIDERReRamArrayHfO2Preset
from tests.helpers import difference
from tests.optim.models import KINDS, batch, indexed, loss_of, states, tracking_network


def pair(model: nn.Module) -> Tuple[Tuple[Any, Any], Tuple[Any, Any]]:
    """Return a model and its copy, each with an optimizer."""
    twin = deepcopy(model)
    return (model, AnalogSGD(model.parameters(), lr=0.1)), (
        twin,
        AnalogSGD(twin.parameters(), lr=0.1),
    )


def take_step(optimizer: Any) -> None:
    torch.manual_seed(1)  # the choppers draw
    optimizer.step()
    optimizer.zero_grad()


def test_images_in_parts_are_one_batch() -> None:
    """Those of an indexed convolution; aihwkit's own counts each part as a mini-batch."""
    (whole, one), (parts, other) = pair(indexed(KINDS["E-RIDER"]()))
    for _ in range(10):
        images = torch.randn(6, 2, 5, 5)
        whole(images).square().sum().backward()
        for part in images.split(2):
            parts(part).square().sum().backward()
        take_step(one)
        take_step(other)
        # The bias gradient is summed in another order.
        next(parts.analog_tiles()).bias.data.copy_(next(whole.analog_tiles()).bias)
        assert difference(states(whole), states(parts)) is None


@pytest.mark.parametrize("use_reentrant", [False, True])
def test_recomputed_activations(use_reentrant: bool) -> None:
    """``torch.utils.checkpoint`` runs forward twice; nothing is kept twice, bit for bit."""
    (plain, one), (recomputing, other) = pair(tracking_network())
    for _ in range(10):
        x, y = batch()
        loss_of(plain, x, y).backward()
        start = x.clone().requires_grad_()
        outputs = checkpoint(recomputing, start, use_reentrant=use_reentrant)
        assert not any(t.analog_ctx.analog_input for t in recomputing.analog_tiles())
        F.cross_entropy(outputs, y).backward()
        for tile in recomputing.analog_tiles():
            assert len(tile.analog_ctx.analog_input) == 1
        take_step(one)
        take_step(other)
        assert difference(states(plain), states(recomputing)) is None


@pytest.mark.parametrize("use_reentrant", [False, True])
def test_recomputed_activations_at_the_bound(use_reentrant: bool) -> None:
    """Noise may take an output over its bound in one of the two forward passes only."""
    config = ERIDERReRamArrayHfO2Preset()
    config.forward.out_bound = 0.3
    config.forward.out_noise = 0.1
    model = convert_to_analog(nn.Linear(4, 2), config)
    for _ in range(30):
        x = 0.2 * torch.randn(1, 4)
        outputs = checkpoint(model, x.requires_grad_(), use_reentrant=use_reentrant)
        outputs.square().sum().backward()


@pytest.mark.parametrize("indexes", [False, True])
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_autocast(dtype: torch.dtype, indexes: bool) -> None:
    """Tiles take what digital layers give in half precision, and train as in single precision."""
    if indexes:
        layers: nn.Module = nn.Sequential(nn.Conv2d(1, 2, 1), indexed(KINDS["E-RIDER"]()))
        x = torch.randn(4, 1, 5, 5)
    else:
        layers, x = nn.Sequential(nn.Linear(4, 6), tracking_network()), torch.randn(5, 4)
    (single, one), (half, other) = pair(layers)

    def loss(outputs: Tensor) -> Tensor:
        return 0.1 * outputs.float().square().sum()

    for _ in range(5):
        loss(single[1](single[0](x).to(dtype).float())).backward()
        with torch.autocast("cpu", dtype):
            inner = half[0](x)
            assert inner.dtype is dtype
            outputs = half[1](inner)
        assert outputs.dtype is torch.float32
        loss(outputs).backward()
        for model in (single, half):
            for tile in (m for m in model.modules() if hasattr(m, "analog_ctx")):
                assert tile.analog_ctx.analog_input[0].dtype is torch.float32
        take_step(one)
        take_step(other)
        assert half[0].weight.grad is None
    tiles = [[m for m in model.modules() if hasattr(m, "analog_ctx")] for model in (single, half)]
    for first, second in zip(*tiles):
        assert torch.allclose(first.fast_weights, second.fast_weights, atol=0.03)


def test_other_types_are_refused_without_autocast() -> None:
    """As before: the message says how to convert them."""
    model = tracking_network()
    with pytest.raises(TileError, match=r"x_input has data type torch.bfloat16"):
        model(torch.randn(5, 6, dtype=torch.bfloat16))
