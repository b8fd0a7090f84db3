"""What aihwkit shows of a model: summaries, prints, tiles, parameters."""

from __future__ import annotations

import pytest
import torch
from aihwkit.exceptions import ArgumentError
from aihwkit.nn import AnalogLinear
from aihwkit.simulator.parameters.enums import AnalogMVType
from aihwkit.simulator.parameters.io import IOParameters
from aihwkit.utils.analog_info import analog_summary
from torch import Tensor

from aihwkit_dspt import TrackingTile
from tests.helpers import quiet_config
from tests.layers.agad import pair
from tests.layers.networks import MODELS, RNNS, fit
from tests.table import METHODS, PRESETS, preset


@pytest.mark.parametrize("name", [name for name in MODELS if name not in RNNS])
def test_summary_is_that_of_cpp_agad(name: str) -> None:
    """Same shapes, tiles, utilisation and reuse; aihwkit's summary takes no recurrent network."""
    make, shape = MODELS[name]
    split = {"max_input_size": 8, "max_output_size": 4} if "mapped" in name else {}
    summaries = [analog_summary(model, shape) for model in pair(make, **split)]
    assert repr(summaries[0]) == repr(summaries[1])
    assert summaries[1].total_tile_number >= 1


@pytest.mark.parametrize("name", MODELS)
def test_as_many_tiles_as_cpp_agad(name: str) -> None:
    """``analog_tiles()`` yields one tile per layer, by the same name; nothing inside shows up."""
    theirs, ours = pair(MODELS[name][0])
    names = [tile_name for tile_name, _ in ours.named_analog_tiles()]
    assert names == [tile_name for tile_name, _ in theirs.named_analog_tiles()]
    assert len(names) == len(list(ours.analog_layers()))
    for tile in ours.analog_tiles():
        assert isinstance(tile, TrackingTile)
        assert list(tile.children()) == []
    for kind in ("named_parameters", "named_buffers"):
        first, second = (
            [(key, value.shape) for key, value in getattr(model, kind)()]
            for model in (theirs, ours)
        )
        assert first == second


@pytest.mark.parametrize("method", METHODS)
def test_printed_model(method: str) -> None:
    """The print of a layer says what is simulated, once per tile."""
    layer = AnalogLinear(6, 4, rpu_config=quiet_config(**METHODS[method]))
    text = repr(layer)
    assert text.count("TrackingSimulatorTile<float>(6,4)") == 1
    assert "TrackingRPUConfig" in text
    assert f"gamma={METHODS[method].get('gamma', 0.0)}" in text
    fit(layer, (5, 6))
    assert repr(layer) == text


@pytest.mark.parametrize("name", PRESETS)
def test_printed_preset(name: str) -> None:
    """The print of a configuration has its name, both devices and what is not a default."""
    config = preset(name)
    text = str(config)
    assert text.startswith(f"{name}(")
    assert "TrackingTransferCompound" in text
    assert f"gamma={preset(name).device.gamma}" in text
    for device in config.device.unit_cell_devices:
        assert text.count(type(device).__name__) >= 2
    assert str(config) == str(preset(name))


@pytest.mark.parametrize("method", METHODS)
def test_hidden_parameters_of_a_layer(method: str) -> None:
    """A new layer takes all of them over through aihwkit's interface, and computes the same."""
    layers = [AnalogLinear(6, 4, rpu_config=quiet_config(**METHODS[method])) for _ in range(2)]
    fit(layers[0], (5, 6), n_steps=20)
    tiles = [next(layer.analog_tiles()) for layer in layers]
    hidden = tiles[0].get_hidden_parameters()
    tiles[1].set_hidden_parameters(hidden)
    found = tiles[1].get_hidden_parameters()
    assert list(found) == list(hidden)
    assert all(torch.equal(found[name], hidden[name]) for name in hidden)
    tiles[1].bias.data.copy_(tiles[0].bias)
    x = torch.randn(5, 6)
    assert torch.equal(layers[0](x), layers[1](x))


def test_hidden_update_index_is_cpp_agad() -> None:
    """A compound has no choice of device: index 0, and setting it is accepted."""
    for model in pair(MODELS["linear"][0]):
        tile = next(model.analog_tiles())
        assert tile.get_hidden_update_index() == 0
        tile.set_hidden_update_index(0)
        assert tile.get_hidden_update_index() == 0


@pytest.mark.parametrize("gamma", [0.0, 0.1])
@pytest.mark.parametrize("direction", ["forward", "backward"])
def test_parameters_of_the_passes(direction: str, gamma: float) -> None:
    """What aihwkit draws for the read of a tile can be read and set, and acts."""
    config = quiet_config(**{**METHODS["E-RIDER"], "gamma": gamma})
    io = IOParameters(
        mv_type=AnalogMVType.POS_NEG_SEPARATE, w_read_asymmetry_dtod=0.1, out_noise=0.0
    )
    setattr(config, direction, io)
    tile = next(AnalogLinear(6, 4, rpu_config=config).analog_tiles())
    get, put = (getattr(tile, f"{way}_{direction}_parameters") for way in ("get", "set"))
    asymmetry = get()["w_asymmetry"]
    assert asymmetry.numel() == 24
    assert asymmetry.std() > 0.03

    def use() -> Tensor:
        if direction == "forward":
            return tile.forward(-torch.ones(1, 6))
        return tile.tile.backward(-torch.ones(1, 4))

    before = use()
    put({"w_asymmetry": asymmetry + 1.0})
    assert torch.allclose(get()["w_asymmetry"], asymmetry + 1.0)
    assert (use() - before).abs().max() > 0.1
    with pytest.raises(ArgumentError, match="no_such_name"):
        put({"no_such_name": asymmetry})


@pytest.mark.parametrize("method", METHODS)
def test_realistic_read(method: str) -> None:
    """Weights that are estimated with forward passes are the mixed weights (least squares)."""
    layer = AnalogLinear(6, 4, rpu_config=quiet_config(**METHODS[method]))
    fit(layer, (5, 6), n_steps=20)
    exact, estimated = layer.get_weights(), layer.get_weights(realistic=True)
    for one, other in zip(exact, estimated):
        assert torch.allclose(one, other, atol=1e-5)
