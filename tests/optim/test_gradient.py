"""The gradient of an array is that of a digital layer at its place."""

from __future__ import annotations

from copy import deepcopy

import pytest
import torch
from aihwkit.exceptions import ArgumentError, TileError
from aihwkit.nn.conversion import convert_to_digital
from torch import nn

from aihwkit_dspt import analog_grad_norms
from aihwkit_dspt.optim import gradient
from tests.helpers import quiet_config
from tests.layers.agad import cpp_config
from tests.layers.networks import MODELS, RNNS, output
from tests.optim.models import KINDS, batch, indexed, loss_of, network, tracking_network
from tests.table import METHODS

LAYERS = {
    **{name: value for name, value in MODELS.items() if name not in RNNS and name != "resnet"},
    "conv2d-indexed": (indexed, (5, 2, 5, 5)),
}


CASES = [(name, False) for name in LAYERS] + [(n, True) for n in LAYERS if "mapped" not in n]
"""Layer and whether its bias is analog; that of mapped layers is digital."""


@pytest.mark.parametrize("mapping", ["plain", "omega"])
@pytest.mark.parametrize(("name", "analog_bias"), CASES)
def test_it_is_the_digital_one(name: str, mapping: str, analog_bias: bool) -> None:
    """For every layer; a mapped one has the parts of one gradient on its tiles."""
    make, shape = LAYERS[name]
    config = quiet_config(**METHODS["E-RIDER"], digital_bias=not analog_bias)
    config.mapping.weight_scaling_omega = 0.5 if mapping == "omega" else 0.0
    config.mapping.max_input_size = config.mapping.max_output_size = 5 * ("mapped" in name)
    model = nn.Sequential(make(config))
    digital = convert_to_digital(deepcopy(model))
    x = torch.randn(shape)
    norms = []
    for each in (model, digital):
        output(each, x).square().sum().backward()
    found = list(analog_grad_norms(model).values())
    for layer in digital.modules():
        if isinstance(getattr(layer, "weight", None), nn.Parameter):
            values = dict(layer.named_parameters())
            parts = values.values() if analog_bias else [values["weight"]]
            norms.append(torch.stack([part.grad.norm() for part in parts]).norm())
    assert torch.tensor(found).norm().item() == pytest.approx(torch.stack(norms).norm().item())
    if "mapped" not in name:
        assert found == pytest.approx(torch.stack(norms).tolist(), rel=1e-4)


@pytest.mark.parametrize("block", [1, 7, 10**6])
def test_blocks(block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """However much of the gradient is in memory at a time, and after two backward passes."""
    model = tracking_network()
    for _ in range(2):
        loss_of(model, *batch()).backward()
    monkeypatch.setattr(gradient, "BLOCK", block)
    for tile, norm in zip(model.analog_tiles(), analog_grad_norms(model).values()):
        context = tile.analog_ctx
        whole = torch.cat(context.analog_grad_output).t() @ torch.cat(context.analog_input)
        assert norm == pytest.approx(whole.norm().item())


@pytest.mark.parametrize("kind", KINDS)
def test_names_and_what_keeps_nothing(kind: str) -> None:
    """Tiles by name, zero before a backward pass and for a frozen tile."""
    model = network(KINDS[kind]())
    assert analog_grad_norms(model) == {"0.analog_module": 0.0, "3.analog_module": 0.0}
    loss_of(model, *batch()).backward()
    assert min(analog_grad_norms(model).values()) > 0.0
    for tile in model.analog_tiles():
        tile.requires_grad_(False)
        tile.analog_ctx.reset()
    assert set(analog_grad_norms(model).values()) == {0.0}


def test_recurrent_network() -> None:
    """All time steps are one gradient."""
    make, shape = MODELS["lstm"]
    model = make(quiet_config(**METHODS["E-RIDER"]))
    output(model, torch.randn(shape)).square().sum().backward()
    assert len(next(model.analog_tiles()).analog_ctx.analog_input) == shape[0]
    assert min(analog_grad_norms(model).values()) > 0.0


def test_refusals() -> None:
    """What has no tile, and an index matrix that only C++ knows."""
    with pytest.raises(ArgumentError, match=r"pass a torch.nn.Module"):
        analog_grad_norms(3)  # type: ignore[arg-type]
    with pytest.raises(TileError, match="Linear has no analog tile"):
        analog_grad_norms(nn.Linear(2, 2))
    model = nn.Sequential(indexed(cpp_config()))
    model(torch.randn(2, 2, 5, 5)).sum().backward()
    with pytest.raises(TileError, match=r"keeps its index matrix to itself. Pass use"):
        analog_grad_norms(model)
