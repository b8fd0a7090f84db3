"""Mapped convolutions with output scales, which aihwkit multiplies in along the wrong axis."""

from __future__ import annotations

from typing import Any, Dict, Tuple

import pytest
import torch
from aihwkit.nn import AnalogConv1dMapped, AnalogConv2dMapped, AnalogConv3dMapped
from aihwkit.simulator.configs.devices import SoftBoundsDevice
from aihwkit.simulator.parameters.mapping import MappingParameter
from torch.nn import functional

from aihwkit_dspt import build_config
from tests.device_table import quiet

CASES: Dict[str, Tuple[Any, Any, Tuple[int, ...], Dict[str, Any]]] = {
    "1d": (AnalogConv1dMapped, functional.conv1d, (2, 4, 5), {}),
    "2d": (AnalogConv2dMapped, functional.conv2d, (2, 4, 3, 5), {"use_indexed": False}),
    "2d indexed": (AnalogConv2dMapped, functional.conv2d, (2, 4, 3, 5), {"use_indexed": True}),
    "3d": (AnalogConv3dMapped, functional.conv3d, (2, 4, 3, 4, 5), {}),
}


@pytest.mark.parametrize("max_output_size", [0, 2])
@pytest.mark.parametrize("name", list(CASES))
def test_scales_of_output_channels(name: str, max_output_size: int) -> None:
    """Every output channel has its own scale; outputs and gradients of the scales follow it."""
    layer, convolve, shape, settings = CASES[name]
    config: Any = build_config("e-rider", quiet(SoftBoundsDevice))
    config.forward.is_perfect = config.backward.is_perfect = True
    config.mapping = MappingParameter(
        digital_bias=True,
        learn_out_scaling=True,
        out_scaling_columnwise=True,
        max_input_size=0,
        max_output_size=max_output_size,
    )
    torch.manual_seed(1)
    analog = layer(4, 3, 2, bias=True, rpu_config=config, **settings)
    tiles = list(analog.analog_tiles())
    assert len(tiles) == (2 if max_output_size else 1)
    for tile in tiles:
        tile.out_scaling_alpha.data.copy_(1.0 + torch.rand(tile.out_size))
    x = torch.randn(shape)
    weight, bias = analog.get_weights(apply_weight_scaling=True)
    expected = convolve(x, weight.reshape(3, 4, *[2] * (len(shape) - 2)), bias)
    output = analog(x)
    torch.testing.assert_close(output, expected, rtol=1e-5, atol=1e-5)
    output.square().sum().backward()
    found = torch.cat([tile.out_scaling_alpha.grad.flatten() for tile in tiles])
    alpha = torch.cat([tile.out_scaling_alpha.detach().flatten() for tile in tiles])
    channels = (1, -1, *[1] * (len(shape) - 2))
    unscaled = (expected - bias.view(channels)) / alpha.view(channels)
    axes = [0, *range(2, len(shape))]
    torch.testing.assert_close(found, (2.0 * expected * unscaled).sum(axes), rtol=1e-4, atol=1e-4)
