"""Inputs and errors of another data type than that of the arrays."""

from __future__ import annotations

from typing import Any, Dict

import pytest
import torch
from aihwkit.exceptions import TileError
from aihwkit.nn import AnalogConv2d, AnalogLinear
from aihwkit.simulator.parameters.io import IOParameters

from tests.helpers import perfect, quiet_config, snapshot
from tests.layers.networks import sgd
from tests.table import METHODS

OTHER = [torch.float64, torch.float16, torch.bfloat16, torch.int64]
READS = {"perfect": perfect(), "converters": IOParameters()}


def linear(read: str) -> Any:
    """Return a layer whose products take each way, depending on the number of vectors."""
    config = quiet_config(**METHODS["E-RIDER"])
    config.forward = config.backward = READS[read]
    return AnalogLinear(300, 200, rpu_config=config)


@pytest.mark.parametrize("dtype", OTHER, ids=str)
@pytest.mark.parametrize("read", READS)
def test_linear_layers_name_the_input(read: str, dtype: torch.dtype) -> None:
    """One error for all batch sizes, in every pass; nothing has been counted or changed by then."""
    layer = linear(read)
    tile = layer.analog_module
    before, counts = tile.fast_weights, tile.tile.pipeline.counters.state()
    for n_vectors in (1, 2, 8, 300):
        x, d = torch.ones(n_vectors, 300), torch.ones(n_vectors, 200)
        for call, name in (
            (lambda: layer(x.to(dtype)), "x_input"),  # noqa: B023
            (lambda: tile.backward(d.to(dtype)), "d_input"),  # noqa: B023
            (lambda: tile.update(x.to(dtype), d), "x_input"),  # noqa: B023
            (lambda: tile.update(x, d.to(dtype)), "d_input"),  # noqa: B023
        ):
            with pytest.raises(TileError, match=rf"{name} has data type {dtype}.*torch\.float32"):
                call()
    assert tile.tile.pipeline.counters.state() == counts
    assert torch.equal(tile.fast_weights, before)


@pytest.mark.parametrize("dtype", OTHER[:3], ids=str)
def test_convolutions_name_the_input(dtype: torch.dtype) -> None:
    """Indexed passes, too. (Integers have no index matrix: torch refuses them before.)"""
    layer = AnalogConv2d(2, 3, 3, rpu_config=quiet_config(**METHODS["E-RIDER"]))
    layer(torch.ones(1, 2, 5, 5))
    counts = layer.analog_module.tile.pipeline.counters.state()
    with pytest.raises(TileError, match=rf"x_input has data type {dtype}"):
        layer(torch.ones(1, 2, 5, 5, dtype=dtype))
    assert layer.analog_module.tile.pipeline.counters.state() == counts


@pytest.mark.parametrize("read", READS)
@pytest.mark.parametrize("n_vectors", [1, 3, 300])
def test_autocast_leaves_analog_products_alone(read: str, n_vectors: int) -> None:
    """Outputs and gradients have the data type of the arrays, as those of aihwkit's tiles."""
    layer = linear(read)
    x = torch.rand(n_vectors, 300, requires_grad=True)
    outputs: Dict[bool, torch.Tensor] = {}
    for enabled in (False, True):
        torch.manual_seed(1)
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=enabled):
            outputs[enabled] = layer(x)
    assert outputs[True].dtype is torch.float32
    if read == "perfect":
        assert torch.equal(outputs[True], outputs[False])
    with torch.autocast("cpu", dtype=torch.bfloat16):
        layer(x).square().mean().backward()
    assert x.grad is not None
    assert x.grad.dtype is torch.float32
    sgd(layer).step()
    assert snapshot(layer.analog_module)["used"][0].isfinite().all()
