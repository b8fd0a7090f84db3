"""Half and double precision: as far as the host's tiles have it, else refused by name."""

from __future__ import annotations

from typing import Any, Callable, Dict

import pytest
import torch
from aihwkit.exceptions import ConfigError, TileError
from aihwkit.nn import AnalogLinear
from aihwkit.simulator.parameters.enums import RPUDataType
from aihwkit.simulator.rpu_base import devices
from torch import nn

from tests.helpers import difference, quiet_config, snapshot
from tests.layers.networks import fit, mixed_layers, sgd
from tests.table import METHODS

OTHER = [RPUDataType.HALF, RPUDataType.DOUBLE]


@pytest.mark.parametrize("data_type", OTHER)
def test_data_type_of_the_configuration(data_type: RPUDataType) -> None:
    """``runtime.data_type`` trains if aihwkit was built with it, else it is refused at once."""
    config = quiet_config(**METHODS["E-RIDER"])
    config.runtime.data_type = data_type
    if not hasattr(devices, data_type.value):
        with pytest.raises(ConfigError, match=rf"runtime\.data_type={data_type}"):
            AnalogLinear(6, 4, rpu_config=config)
        return
    layer = AnalogLinear(6, 4, rpu_config=config)
    optimizer = sgd(layer)
    for _ in range(10):
        x = torch.randn(5, 6, dtype=data_type.as_torch())
        layer(x).square().sum().backward()
        optimizer.step()
    tile = next(layer.analog_tiles())
    assert tile.fast_weights.dtype is data_type.as_torch()
    assert tile.fast_weights.abs().max() > 0.01


WAYS: Dict[str, Callable[[nn.Module], Any]] = {
    "half()": lambda module: module.half(),
    "double()": lambda module: module.double(),
    "bfloat16()": lambda module: module.bfloat16(),
    "to(dtype)": lambda module: module.to(torch.float16),
    "to(device, dtype)": lambda module: module.to("cpu", torch.float64),
    "to(dtype=...)": lambda module: module.to(dtype=torch.bfloat16),
}


@pytest.mark.parametrize("name", WAYS)
def test_conversion_of_a_model_is_refused(name: str) -> None:
    """The arrays cannot change their type: the message names the field; the tile is as it was."""
    converted = mixed_layers()
    tile = next(converted.analog_tiles())
    before = snapshot(tile)
    with pytest.raises(TileError, match=r"runtime\.data_type") as error:
        WAYS[name](converted)
    assert len(str(error.value)) < 500
    assert difference(before, snapshot(tile)) is None
    assert tile.bias.dtype is torch.float32


def test_conversion_to_the_same_type() -> None:
    """``float()`` and ``to(torch.float32)`` do nothing, and training goes on."""
    converted = mixed_layers()
    before = snapshot(next(converted.analog_tiles()))
    assert converted.float() is converted
    assert converted.to(torch.float32) is converted
    assert converted.to("cpu", torch.float32) is converted
    assert difference(before, snapshot(next(converted.analog_tiles()))) is None
    fit(converted, (5, 6))
    assert next(converted.analog_tiles()).fast_weights.abs().max() > 0.01
