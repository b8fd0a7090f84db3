"""Vision and language models convert, train, and keep working in evaluation."""

from __future__ import annotations

from copy import deepcopy
from typing import Any, List

import pytest
import torch
from aihwkit.exceptions import TileError
from aihwkit.optim import AnalogSGD
from aihwkit.simulator.configs import FloatingPointRPUConfig
from aihwkit.simulator.configs.devices import SoftBoundsDevice
from torch import Tensor, nn

from aihwkit_dspt import build_config, conversion_report, convert
from tests.helpers import quiet_config
from tests.models.networks import NETWORKS, logits, loss_of


@pytest.mark.parametrize("name", NETWORKS)
def test_networks_convert(name: str) -> None:
    """The stated share becomes analog, and both modes work, with and without gradients."""
    model = convert(NETWORKS[name].make(), FloatingPointRPUConfig(), **NETWORKS[name].settings)
    report = conversion_report(model)
    assert report.analog_share is not None
    assert report.analog_share >= NETWORKS[name].share
    x, y = NETWORKS[name].data()
    loss_of(model, x, y).backward()
    model.eval()
    shape = logits(model, x).shape
    with torch.no_grad():
        assert logits(model, x).shape == shape
    assert logits(deepcopy(model), x).shape == shape


@pytest.mark.parametrize(
    "name",
    [
        "TransformerEncoder",
        "LSTM",
        *(pytest.param(name, marks=pytest.mark.slow) for name in ("ViT", "U-Net")),
    ],
)
def test_networks_compile(name: str) -> None:
    """``torch.compile`` leaves the tiles alone, and what shows their weights."""
    model = convert(NETWORKS[name].make(), quiet_config()).eval()
    x = NETWORKS[name].data()[0][:2]
    torch._dynamo.reset()
    compiled: Any = torch.compile(model, backend="eager")
    with torch.no_grad():
        assert torch.equal(logits(compiled, x), logits(model, x))
    torch._dynamo.reset()


def test_adapters_on_arrays() -> None:
    """PEFT reads the weights of analog layers; it cannot merge into them, and says so."""
    package = pytest.importorskip("peft")
    model = convert(NETWORKS["LLaMA"].make(), quiet_config())
    adapted = package.get_peft_model(model, package.LoraConfig(r=4, target_modules=["q_proj"]))
    x, y = NETWORKS["LLaMA"].data()
    before = [tile.fast_weights for tile in model.analog_tiles()]
    optimizer = AnalogSGD(adapted.parameters(), lr=0.1)
    loss_of(adapted, x, y).backward()
    optimizer.step()
    for tile, weights in zip(model.analog_tiles(), before):
        assert torch.equal(tile.fast_weights, weights)
    trained = {name: value for name, value in adapted.named_parameters() if value.requires_grad}
    assert len(trained) == 4
    assert all(value.grad is not None for value in trained.values())
    with pytest.raises(TileError, match="set_weights"):
        adapted.merge_and_unload()


def train(model: nn.Module, x: Tensor, y: Tensor, lr: float, steps: int) -> float:
    """Return the mean loss of the last five steps."""
    optimizer = AnalogSGD(model.parameters(), lr=lr)
    losses: List[float] = []
    for _ in range(steps):
        optimizer.zero_grad()
        loss = loss_of(model, x, y)
        losses.append(loss.item())
        if loss.requires_grad:  # of LoRA nothing but arrays is trained
            loss.backward()
            optimizer.step()
    return sum(losses[-5:]) / 5


@pytest.mark.slow
@pytest.mark.parametrize("name", NETWORKS)
def test_networks_train(name: str) -> None:
    """The loss ends clearly below that with frozen arrays and all else trained.

    Seen were 0.01 to 0.8 of it; the pulses of aihwkit's tiles have no seed.
    """
    network = NETWORKS[name]
    rpu_config = build_config("e-rider", SoftBoundsDevice(dw_min=0.002))  # 1,000 states
    model = convert(network.make(), rpu_config, **network.settings)
    x, y = network.data()
    frozen = deepcopy(model)
    for tile in frozen.analog_tiles():
        tile.analog_ctx.requires_grad_(False)
    reached = train(model, x, y, network.lr, network.steps)
    assert reached < 0.9 * train(frozen, x, y, network.lr, network.steps)
