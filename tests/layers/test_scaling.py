"""Mapping and output scales around the tile: as with aihwkit's C++ compound."""

from __future__ import annotations

from typing import Any, Dict

import pytest
import torch
from aihwkit.nn import AnalogLinear

from tests.helpers import mixed_weight, quiet_config, used_weights
from tests.layers.agad import assert_same, pair
from tests.layers.networks import MODELS, fit, sgd
from tests.table import METHODS

OMEGA = {"weight_scaling_omega": 0.5}
COLUMNS = {**OMEGA, "weight_scaling_columnwise": True}
MAPPINGS: Dict[str, Dict[str, Any]] = {
    "omega": OMEGA,
    "columnwise": COLUMNS,
    "lr-compensation": {**COLUMNS, "weight_scaling_lr_compensation": True},
    "learned": {"learn_out_scaling": True},
    "learned-columnwise": {**COLUMNS, "learn_out_scaling": True, "out_scaling_columnwise": True},
}


@pytest.mark.parametrize("model", ["linear", "conv2d", "linear-mapped"])
@pytest.mark.parametrize("name", MAPPINGS)
def test_scaled_training_is_cpp_agad(name: str, model: str) -> None:
    """With ``gamma=0`` scales, weights and states stay equal to aihwkit's."""
    make, shape = MODELS[model]
    split = {"max_input_size": 5} if "mapped" in model else {}
    theirs, ours = pair(make, **MAPPINGS[name], **split)
    optimizers = sgd(theirs, 0.05), sgd(ours, 0.05)
    for _ in range(15):
        x = torch.randn(shape)
        for one, optimizer in zip((theirs, ours), optimizers):
            optimizer.zero_grad()
            (0.1 * (one(x) - 0.3).square().sum()).backward()
            optimizer.step()
        assert_same(theirs, ours)
    for one, other in zip(theirs.analog_tiles(), ours.analog_tiles()):
        assert torch.allclose(one.get_scales(), other.get_scales(), atol=1e-6)
        assert other.fast_weights.abs().max() > 0.01
        if "weight_scaling_omega" in MAPPINGS[name]:
            assert not torch.equal(other.get_mapping_scales(), torch.ones(()))


@pytest.mark.parametrize("method", METHODS)
def test_scales_are_part_of_the_layer_weight(method: str) -> None:
    """Forward and ``get_weights`` use scale times mixed weight (1e-6: float rounding)."""
    config = quiet_config(**METHODS[method])
    for field, value in MAPPINGS["learned-columnwise"].items():
        setattr(config.mapping, field, value)
    layer = AnalogLinear(6, 4, rpu_config=config)
    fit(layer, (5, 6), n_steps=20)
    tile = next(layer.analog_tiles())
    scales = tile.get_scales()
    assert scales.std() > 0.0
    weight, bias = layer.get_weights()
    assert (weight - scales.view(-1, 1) * mixed_weight(tile)).abs().max() <= 1e-6
    x = torch.randn(5, 6)
    assert torch.allclose(layer(x), torch.nn.functional.linear(x, weight, bias), atol=1e-6)


@pytest.mark.parametrize("omega", [0.2, 0.5])
@pytest.mark.parametrize("level", ["layer", "tile"])
@pytest.mark.parametrize("method", METHODS)
def test_remap(method: str, level: str, omega: float) -> None:
    """The layer's weight is kept, the largest weight of a row of the array is ``omega``.

    The residual is zero afterwards, so that the slow array holds all of the weight.
    """
    config = quiet_config(**METHODS[method])
    for field, value in COLUMNS.items():
        setattr(config.mapping, field, value)
    layer = AnalogLinear(6, 4, rpu_config=config)
    fit(layer, (5, 6), n_steps=20)
    tile = next(layer.analog_tiles())
    estimate = tile.sp_estimate
    before = layer.get_weights()
    if level == "layer":
        layer.remap_analog_weights(omega)
    else:
        tile.remap_weights(omega)
    for old, new in zip(before, layer.get_weights()):
        assert (old - new).abs().max() <= 1e-6
    rows = tile.slow_weights.abs().amax(1)
    assert torch.allclose(rows, torch.full_like(rows, omega), atol=1e-6)
    assert torch.equal(tile.fast_weights, tile.reference)
    assert torch.equal(tile.sp_estimate, estimate)
    assert (used_weights(tile)[0] - tile.slow_weights).abs().max() <= 1e-6
