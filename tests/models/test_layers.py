"""All kinds of layers: equal to torch's, and training."""

from __future__ import annotations

from copy import deepcopy
from itertools import cycle
from typing import Any, Callable, Dict

import pytest
import torch
from aihwkit.optim import AnalogSGD
from aihwkit.simulator.configs import FloatingPointRPUConfig, TorchInferenceRPUConfig

from aihwkit_dspt import TrackingTile, conversion_report, convert
from tests.helpers import perfect, quiet_config
from tests.layers.agad import cpp_config
from tests.models.layers import LAYERS, made, passes, tensors
from tests.table import METHODS

TOLERANCE = 2e-5
"""Sums in float32 of up to 600 products, in another order."""


def torch_tiles() -> Any:
    """Return aihwkit's tiles in plain torch, without noise."""
    return TorchInferenceRPUConfig(forward=perfect())


CONFIGS: Dict[str, Callable[[], Any]] = {
    "E-RIDER": lambda: quiet_config(**METHODS["E-RIDER"]),
    "C++ AGAD": cpp_config,
    "floating point": FloatingPointRPUConfig,
    "torch tiles": torch_tiles,
}
"""Configurations whose products are exact."""


@pytest.mark.parametrize(
    ("name", "config"),
    [*zip(LAYERS, cycle(list(CONFIGS)[1:])), *((name, "E-RIDER") for name in LAYERS)],
)
def test_equal_to_torch(name: str, config: str) -> None:
    """Outputs and input gradients, in training and evaluation, with and without gradients."""
    row = LAYERS[name]
    layer, x = made(row), torch.randn(LAYERS[name].shape)
    analog = convert(layer, CONFIGS[config]())
    assert conversion_report(analog).analog_share == 1.0
    assert len(list(analog.analog_tiles())) == row.n_tiles
    for training in (True, False):
        layer.train(training)
        analog.train(training)
        expected, found = passes(layer, row, x), passes(analog, row, x)
        for one, other in zip([*expected[0], expected[1]], [*found[0], found[1]], strict=True):
            assert one.shape == other.shape
            assert (one - other).abs().max() <= TOLERANCE
    with torch.no_grad():
        # torch's fast path for encoders leaves padded outputs out
        for one, other in zip(tensors(row.call(layer, x)), tensors(row.call(analog, x))):
            assert ((one - other).abs().max() <= TOLERANCE) or name == "encoder"


@pytest.mark.parametrize("name", LAYERS)
def test_training_moves_the_arrays(name: str) -> None:
    """All arrays learn; a copy and a loaded state have the same outputs."""
    row = LAYERS[name]
    analog, x = convert(made(row), CONFIGS["E-RIDER"]()), torch.randn(row.shape)
    fresh = convert(made(row), CONFIGS["E-RIDER"]())
    before = {key: tile.fast_weights for key, tile in analog.named_analog_tiles()}
    optimizer = AnalogSGD(analog.parameters(), lr=2.0)
    for _ in range(3):
        optimizer.zero_grad()
        passes(analog, row, x)
        optimizer.step()
    for key, tile in analog.named_analog_tiles():
        assert isinstance(tile, TrackingTile)
        assert not torch.equal(tile.fast_weights, before[key]), key
    fresh.load_state_dict(analog.state_dict())
    expected = passes(analog, row, x)[0]
    for other in (fresh, deepcopy(analog)):
        for one, two in zip(expected, passes(other, row, x)[0]):
            assert torch.equal(one, two)
