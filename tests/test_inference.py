"""``to_inference``: weights in, weights out, then aihwkit's programming noise and drift."""

from __future__ import annotations

from typing import Any, List

import pytest
import torch
from aihwkit.exceptions import ArgumentError, ConfigError, ModuleError, TileError
from aihwkit.inference import PCMLikeNoiseModel
from aihwkit.nn import AnalogLinear, AnalogSequential
from aihwkit.nn.conversion import convert_to_analog, convert_to_digital
from aihwkit.simulator.configs import InferenceRPUConfig, SingleRPUConfig, TorchInferenceRPUConfig
from aihwkit.simulator.tiles.inference import InferenceTileWithPeriphery
from torch import nn

from aihwkit_dspt import TrackingTile, to_inference
from tests.helpers import difference, mixed_weight, perfect, quiet_config, quiet_tile, snapshot
from tests.layers.networks import MODELS, ResNet, fit, output
from tests.table import METHODS


def perfect_inference(**mapping: Any) -> InferenceRPUConfig:
    """Return an inference configuration without noise in forward."""
    config = InferenceRPUConfig(forward=perfect())
    for name, value in mapping.items():
        setattr(config.mapping, name, value)
    return config


def trained(name: str, **mapping: Any) -> nn.Module:
    """Return a model trained for a few steps with E-RIDER."""
    config = quiet_config(**METHODS["E-RIDER"])
    for field, value in mapping.items():
        setattr(config.mapping, field, value)
    make, shape = MODELS[name]
    model = make(config)
    fit(model, shape)
    return model


def tiles_of(model: nn.Module) -> List[Any]:
    """Return the tracking tiles of a model."""
    return [tile for tile in model.modules() if isinstance(tile, TrackingTile)]


def digital_outputs(name: str, *models: nn.Module) -> List[torch.Tensor]:
    """Return the outputs of the digital equivalents on the same random batch."""
    x = torch.randn(MODELS[name][1])
    return [output(convert_to_digital(model).eval(), x).detach() for model in models]


SMALL = {"max_input_size": 8, "max_output_size": 3}
SMALL_BLOCKS = {"max_input_size": 18, "max_output_size": 5}
"""For the many layers of the residual network, whose arrays have up to 72 inputs."""


@pytest.mark.parametrize("mapping", [{}, SMALL], ids=["whole", "split"])
@pytest.mark.parametrize("name", MODELS)
def test_weights_in_weights_out(name: str, mapping: Any) -> None:
    """Equal bit for bit, in any layer and any split; the trained model is left as it was."""
    if mapping and name in ("conv1d", "conv3d"):
        pytest.skip("aihwkit evaluates them on one tile only")
    if mapping and name == "resnet":
        mapping = SMALL_BLOCKS
    model = trained(name, **mapping)
    before = [snapshot(tile) for tile in tiles_of(model)]
    inference = to_inference(model, perfect_inference(**mapping))
    for tile, state in zip(tiles_of(model), before, strict=True):
        assert difference(state, snapshot(tile)) is None
    assert model.training
    assert not inference.training
    assert tiles_of(inference) == []
    tiles = list(inference.analog_tiles())
    assert all(isinstance(tile, InferenceTileWithPeriphery) for tile in tiles)
    assert len(tiles) == len(before)
    first, second = digital_outputs(name, model, inference)
    assert torch.equal(first, second)
    assert first.abs().max() > 0.01


@pytest.mark.parametrize("method", METHODS)
def test_weights_are_the_mixed_weights(method: str) -> None:
    """``W + gamma*c*(P - Q~)``; the bound is float rounding of the sum."""
    layer = AnalogLinear(6, 4, rpu_config=quiet_config(**METHODS[method]))
    fit(layer, (5, 6), n_steps=40)
    tile = next(layer.analog_tiles())
    weight, bias = to_inference(layer, perfect_inference()).get_weights()
    assert (weight - mixed_weight(tile)).abs().max() <= 1e-6
    assert torch.equal(bias, tile.bias)
    assert bias.abs().max() > 0.0


SCALED = {
    "weight_scaling_omega": 0.6,
    "weight_scaling_columnwise": True,
    "learn_out_scaling": True,
    "out_scaling_columnwise": True,
}


@pytest.mark.parametrize("analog_bias", [False, True])
def test_scales_are_part_of_the_weights(analog_bias: bool) -> None:
    """Mapping and learned output scales go into the weight, exactly, if none are asked for.

    New scales (``weight_scaling_omega``) divide and multiply: 1e-6 is float rounding.
    """
    model = trained("linear", digital_bias=not analog_bias, **SCALED)
    assert tiles_of(model)[0].out_scaling_alpha.std() > 0.0, "nothing learned"
    for config, tolerance in (
        (perfect_inference(), 0.0),
        (perfect_inference(digital_bias=False), 0.0),
        (perfect_inference(**SCALED), 1e-6),
    ):
        inference = to_inference(model, config)
        for given, found in zip(model.get_weights(), inference.get_weights()):
            assert (given - found).abs().max() <= tolerance
        first, second = digital_outputs("linear", model, inference)
        assert (first - second).abs().max() <= tolerance
    raw = next(inference.analog_tiles()).tile.get_weights()
    assert torch.allclose(raw[:, :6].abs().amax(1), torch.tensor(0.6))


def test_split_follows_the_new_configuration() -> None:
    """A layer that was one array in training can be several for inference, and back."""
    for before, after in (({}, SMALL), (SMALL, {})):
        for name, n_tiles in (("linear-mapped", 6), ("conv2d-mapped", 2)):
            model = trained(name, **before)
            assert model.analog_tile_count() == (n_tiles if before else 1)
            inference = to_inference(model, perfect_inference(**after))
            assert inference.analog_tile_count() == (n_tiles if after else 1)
            assert torch.equal(*digital_outputs(name, model, inference))


def test_excluded_layers_stay_digital() -> None:
    """Only what was analog becomes analog; batch norm keeps its statistics."""
    config = quiet_config(**METHODS["E-RIDER"])
    model = convert_to_analog(ResNet(), config, exclude_modules=["conv1", "layer1"])
    fit(model, MODELS["resnet"][1])
    inference = to_inference(model, perfect_inference())
    assert type(inference.conv1) is nn.Conv2d
    assert len(list(inference.analog_tiles())) == 4
    assert torch.equal(inference.bn1.running_mean, model.bn1.running_mean)
    assert torch.equal(*digital_outputs("resnet", model, inference))


def test_plain_module_is_wrapped() -> None:
    """A user's own module gets aihwkit's methods; a layer used twice stays one layer."""
    layer = AnalogLinear(4, 4, rpu_config=quiet_config(**METHODS["E-RIDER"]))
    inference = to_inference(nn.Sequential(layer, nn.Tanh(), layer), perfect_inference())
    assert inference[0] is inference[2]
    assert inference[0] is not layer
    assert len(list(inference.analog_tiles())) == 1
    inference.program_analog_weights()
    inference.drift_analog_weights(1.0)


@pytest.mark.parametrize("config_class", [InferenceRPUConfig, TorchInferenceRPUConfig])
def test_programming_and_drift(config_class: Any) -> None:
    """PCM-like programming scatters the weights; drift shrinks them as ``(t/20 s)^-nu``.

    The mean drift exponent is about 0.05, so a year loses about half and a day a third; noise on
    the sum of 600 cells is a few percent. The scatter is of order 2 to 10 % of the largest weight.
    """
    layer = AnalogLinear(30, 20, rpu_config=quiet_config(**METHODS["E-RIDER"]))
    fit(layer, (5, 30))
    config = config_class(
        forward=perfect(), noise_model=PCMLikeNoiseModel(g_max=25.0), drift_compensation=None
    )
    inference = to_inference(layer, config)
    target = inference.get_weights()[0]
    inference.program_analog_weights()
    programmed = inference.get_weights()[0]
    error = (programmed - target).std() / target.abs().max()
    assert 0.005 < error < 0.2
    sums = []
    for t_inference in (20.0, 86400.0, 365 * 86400.0):
        inference.drift_analog_weights(t_inference)
        sums.append(inference.get_weights()[0].abs().sum())
    assert 0.5 < sums[1] / sums[0] < 0.9
    assert sums[2] < 0.95 * sums[1]
    # Each tile has its own configuration: a noise model given here does not leak.
    assert next(inference.analog_tiles()).rpu_config is not config


def test_learned_input_ranges_are_kept() -> None:
    """If both configurations have them and the split is the same; otherwise an error says so."""
    config, new = quiet_config(**METHODS["E-RIDER"]), perfect_inference()
    for each in (config, new):
        each.pre_post.input_range.enable = True
        each.pre_post.input_range.init_from_data = 5
    layer = AnalogLinear(6, 4, rpu_config=config)
    fit(layer, (5, 6))
    tile = next(layer.analog_tiles())
    assert tile.input_range.item() != config.pre_post.input_range.init_value
    inference = to_inference(layer, new)
    kept = next(inference.analog_tiles())
    assert torch.equal(kept.input_range, tile.input_range)
    assert torch.equal(kept.input_range_update_idx, tile.input_range_update_idx)
    x = torch.randn(5, 6)
    assert torch.allclose(inference(x), layer.eval()(x), atol=1e-6)
    new.mapping.max_input_size = 3
    with pytest.raises(ConfigError, match="max_input_size"):
        to_inference(layer, new)


def test_other_training_tiles_are_converted_too() -> None:
    """Else aihwkit's ``program_analog_weights`` would fail on them."""
    model = AnalogSequential(
        AnalogLinear(4, 4, rpu_config=quiet_config(**METHODS["E-RIDER"])),
        AnalogLinear(4, 2, rpu_config=SingleRPUConfig()),
    )
    inference = to_inference(model, perfect_inference())
    inference.program_analog_weights()
    assert torch.equal(model[1].get_weights()[0], inference[1].get_weights()[0]) is False
    again = to_inference(model, perfect_inference())
    assert torch.equal(model[1].get_weights()[0], again[1].get_weights()[0])


def test_what_aihwkit_cannot_split() -> None:
    """Its plain 1d and 3d convolutions fail at the first forward; here at the conversion."""
    for name in ("conv1d", "conv3d"):
        with pytest.raises(ConfigError, match="max_input_size=0"):
            to_inference(trained(name), perfect_inference(**SMALL))


def test_wrong_arguments() -> None:
    """The message names what to pass."""
    layer = AnalogLinear(6, 4, rpu_config=quiet_config())
    with pytest.raises(ConfigError, match=r"SingleRPUConfig.*InferenceRPUConfig"):
        to_inference(layer, SingleRPUConfig())
    with pytest.raises(ConfigError, match="instance of aihwkit's InferenceRPUConfig"):
        to_inference(layer, InferenceRPUConfig)
    with pytest.raises(ArgumentError, match=r"torch\.nn\.Module"):
        to_inference([layer], InferenceRPUConfig())
    for without in (nn.Linear(2, 2), AnalogLinear(2, 2, rpu_config=SingleRPUConfig())):
        with pytest.raises(TileError, match="TrackingRPUConfig"):
            to_inference(without, InferenceRPUConfig())
    with pytest.raises(ModuleError, match="tile '0' is in no analog layer"):
        to_inference(nn.Sequential(quiet_tile()), InferenceRPUConfig())
