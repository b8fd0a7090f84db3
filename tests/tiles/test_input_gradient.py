"""The input gradient is computed where it is asked for, and only there."""

from __future__ import annotations

from typing import Any, List

import pytest
import torch
from aihwkit.nn import AnalogConv1d, AnalogLinear
from aihwkit.simulator.configs.devices import SoftBoundsDevice
from aihwkit.simulator.parameters.io import IOParameters

from aihwkit_dspt import build_config


def layer(kind: str, **settings: Any) -> Any:
    """Return an analog layer without noise in forward and backward."""
    io_parameters = IOParameters(is_perfect=True)
    config = build_config("e-rider", SoftBoundsDevice(), io_parameters=io_parameters, **settings)
    if kind == "linear":
        return AnalogLinear(5, 4, bias=False, rpu_config=config)
    return AnalogConv1d(1, 4, 5, bias=False, rpu_config=config)


@pytest.mark.parametrize("kind", ["linear", "conv1d"])
def test_input_gradient(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """With an input that needs it, the gradient is ``d W_bar``; else nothing is computed.

    Either way input and error wait for the update.
    """
    model = layer(kind)
    tile = model.analog_module
    called: List[str] = []
    for name in ("backward", "backward_indexed"):
        plain = getattr(tile.tile, name)
        monkeypatch.setattr(
            tile.tile,
            name,
            lambda *args, plain=plain, name=name: called.append(name) or plain(*args),
        )
    x = torch.rand(3, 5) if kind == "linear" else torch.rand(3, 1, 5)
    d = torch.randn(3, 4)
    output = model(x)
    output.backward(d.view_as(output))
    assert not called
    assert tile.analog_ctx.has_gradient()
    x.requires_grad_()
    output = model(x)
    output.backward(d.view_as(output))
    assert len(called) == 1
    assert torch.allclose(x.grad.view(3, 5), d @ tile.get_weights()[0], atol=1e-5)


def test_clipped_outputs_have_no_gradient() -> None:
    """Errors of outputs beyond the converter's bound do not reach the input, as in aihwkit."""
    bounded = IOParameters(out_bound=0.1, out_noise=0.0, out_res=-1.0, inp_res=-1.0)
    model = layer("linear", forward=bounded)
    model.set_weights(torch.full((4, 5), 0.5))
    x = torch.ones(1, 5, requires_grad=True)
    model(x).sum().backward()
    assert torch.equal(x.grad, torch.zeros(1, 5))
