"""A torchvision-like network to analog and back, with exclusions and per-layer settings."""

from __future__ import annotations

from typing import Any, List

import pytest
import torch
from aihwkit.nn import AnalogConv2d, AnalogLinear, AnalogLinearMapped, AnalogSequential
from aihwkit.nn.conversion import (
    _DEFAULT_MAPPED_CONVERSION_MAP,
    convert_to_analog,
    convert_to_digital,
)
from aihwkit.simulator.configs import InferenceRPUConfig
from torch import nn

from aihwkit_dspt import TrackingTile
from tests.helpers import mixed_weight, quiet_config, used_weights
from tests.layers.agad import assert_same, cpp_config, our_config
from tests.layers.networks import MODELS, ResNet, fit, output, sgd
from tests.table import METHODS

IMAGES = MODELS["resnet"][1]

ALL_LAYERS = [
    "conv1",
    "layer1.0.conv1",
    "layer1.0.conv2",
    "layer2.0.conv1",
    "layer2.0.conv2",
    "layer2.0.downsample.0",
    "fc",
]


def analog_names(model: nn.Module) -> List[str]:
    """Return the names of the layers with analog tiles."""
    return [
        name
        for name, module in model.named_modules()
        if isinstance(module, (AnalogConv2d, AnalogLinear))
    ]


@pytest.mark.parametrize("method", METHODS)
def test_resnet_trains(method: str) -> None:
    """One tile per layer; all of them learn beside digital batch norms; the algebra holds."""
    model = convert_to_analog(ResNet(), quiet_config(**METHODS[method]))
    assert analog_names(model) == ALL_LAYERS
    tiles = list(model.analog_tiles())
    assert len(tiles) == model.analog_tile_count() == len(ALL_LAYERS)
    statistics = model.bn1.running_mean.clone()
    fit(model, IMAGES)
    assert not torch.equal(model.bn1.running_mean, statistics)
    for tile in tiles:
        assert isinstance(tile, TrackingTile)
        assert tile.fast_weights.abs().max() > 0.01
        assert (used_weights(tile)[0] - mixed_weight(tile)).abs().max() <= 1e-6


def test_resnet_is_cpp_agad() -> None:
    """With ``gamma=0`` the network trains as on aihwkit's tiles, in every state.

    Channels are cut and summed in the same order by the same C++, so 1e-6 leaves rounding only.
    """
    digital = ResNet()
    theirs, ours = (convert_to_analog(digital, make()) for make in (cpp_config, our_config))
    optimizers = sgd(theirs), sgd(ours)
    for _ in range(5):
        x, y = torch.randn(IMAGES), torch.randint(0, 10, IMAGES[:1])
        for model, optimizer in zip((theirs, ours), optimizers):
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(x), y).backward()
            optimizer.step()
        assert_same(theirs, ours)
    assert all(tile.fast_weights.any() for tile in ours.analog_tiles())


@pytest.mark.parametrize("way", ["excluded modules", "conversion map"])
def test_exclusions(way: str) -> None:
    """What is excluded stays digital and trains digitally."""
    config = quiet_config(**METHODS["E-RIDER"])
    if way == "excluded modules":
        model = convert_to_analog(ResNet(), config, exclude_modules=["conv1", "layer1"])
        assert analog_names(model) == ALL_LAYERS[3:]
    else:
        model = convert_to_analog(ResNet(), config, conversion_map={nn.Linear: AnalogLinear})
        assert analog_names(model) == ["fc"]
    before = model.conv1.weight.detach().clone()
    fit(model, IMAGES)
    assert not torch.equal(model.conv1.weight, before)
    assert all(tile.fast_weights.any() for tile in model.analog_tiles())


def test_per_layer_configurations() -> None:
    """``specific_rpu_config_fun`` chooses settings, methods and even aihwkit's own tiles."""

    def choose(name: str, module: nn.Module, config: Any) -> Any:
        if name == "conv1":
            return InferenceRPUConfig()
        config.device.gamma = 0.2 if name == "fc" else 0.1
        if isinstance(module, nn.Conv2d) and module.kernel_size == (1, 1):
            return quiet_config(**METHODS["RIDER"])
        return config

    base = quiet_config(**METHODS["E-RIDER"])
    model = convert_to_analog(ResNet(), base, specific_rpu_config_fun=choose)
    assert base.device.gamma == 0.1
    settings = {
        name: (
            module.analog_module.rpu_config.device.gamma,
            module.analog_module.tile.pipeline.link.tracks,
        )
        for name, module in model.named_modules()
        if isinstance(getattr(module, "analog_module", None), TrackingTile)
    }
    assert list(settings) == ALL_LAYERS[1:]
    assert settings["fc"][0] == 0.2
    assert settings["layer1.0.conv1"][0] == 0.1
    rider = model.layer2[0].downsample[0].analog_module
    assert rider.rpu_config.device.in_chop_prob == 0.0
    fit(model, IMAGES)
    for tile in model.analog_tiles():
        if isinstance(tile, TrackingTile):
            assert tile.fast_weights.abs().max() > 0.01


def test_mapped_conversion() -> None:
    """aihwkit's map of mapped layers splits large layers over several tiles."""
    config = quiet_config(**METHODS["E-RIDER"])
    config.mapping.max_input_size, config.mapping.max_output_size = 18, 4
    model = convert_to_analog(ResNet(), config, conversion_map=_DEFAULT_MAPPED_CONVERSION_MAP)
    assert isinstance(model.fc, AnalogLinearMapped)
    # 8 outputs on arrays of 4: two parts; 8 channels of 3x3 on 18 inputs: four parts.
    assert len(list(model.layer2[0].conv2.analog_tiles())) == 8
    assert isinstance(model.layer1, AnalogSequential)
    fit(model, IMAGES, n_steps=4)
    assert all(tile.fast_weights.any() for tile in model.analog_tiles())


@pytest.mark.parametrize("name", MODELS)
def test_to_digital_and_back(name: str) -> None:
    """Digital and analog outputs agree under perfect IO (1e-5: sums of other order)."""
    make, shape = MODELS[name]
    model = make(quiet_config(**METHODS["E-RIDER"]))
    fit(model, shape, n_steps=4)
    model.eval()
    digital = convert_to_digital(model)
    assert not any(isinstance(module, TrackingTile) for module in digital.modules())
    tiles = [tile for tile in model.modules() if isinstance(tile, TrackingTile)]
    assert any((tile.fast_weights != tile.reference).any() for tile in tiles)
    x = torch.randn(shape)
    expected = output(model, x)
    assert torch.allclose(output(digital, x), expected, atol=1e-5)
    # Within the bounds of the devices nothing is clipped on the way back.
    assert all(tile.get_weights()[0].abs().max() <= 0.6 for tile in tiles)
    again = convert_to_analog(digital, quiet_config(**METHODS["E-RIDER"])).eval()
    assert any(isinstance(module, TrackingTile) for module in again.modules())
    assert torch.allclose(output(again, x), expected, atol=1e-5)
