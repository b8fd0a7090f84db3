"""Settings that are changed after a tile was built: refused by name, in whatever way."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import fields
from typing import Any, Callable, Dict

import pytest
import torch
from aihwkit.exceptions import ConfigError
from aihwkit.nn import AnalogConv2d, AnalogLinear, AnalogLinearMapped
from aihwkit.simulator.tiles.transfer import TorchTransferTile

from aihwkit_dspt import TrackingRPUConfig, TrackingTile, TrackingTransferCompound
from tests.helpers import PROPERTIES, mixed_weight, quiet_config, snapshot, train
from tests.table import METHODS


def layer() -> Any:
    """Return a layer of which a copy and a resumed run can be made."""
    return AnalogLinear(6, 4, rpu_config=quiet_config(**METHODS["E-RIDER"]))


def agrees(model: Any) -> bool:
    """Return whether the running tile, its copy and a resumed run have one gamma and one weight."""
    resumed = layer()
    resumed.load_state_dict(model.state_dict())
    tiles = [next(one.analog_tiles()) for one in (model, deepcopy(model), resumed)]
    gammas = {tile.tile.pipeline.config.gamma for tile in tiles}
    gammas |= {tile.rpu_config.device.gamma for tile in tiles}
    weights = [snapshot(tile)["used"][0] for tile in tiles]
    return len(gammas) == 1 and all(bool((one == weights[0]).all()) for one in weights)


@pytest.mark.parametrize("name", [item.name for item in fields(TrackingTransferCompound)])
def test_fields_of_the_compound(name: str) -> None:
    """They cannot be set on a tile, of its configuration or its simulator tile; nothing changes."""
    model = layer()
    tile = model.analog_module
    for device in (tile.rpu_config.device, tile.tile.pipeline.config):
        value = getattr(device, name)
        with pytest.raises(ConfigError, match=rf"{name}=.*load_rpu_config=False"):
            setattr(device, name, value)
    assert agrees(model)


@pytest.mark.parametrize("name", [item.name for item in fields(TrackingRPUConfig)])
def test_fields_of_the_configuration(name: str) -> None:
    """Nor can those of the RPU configuration."""
    config = layer().analog_module.rpu_config
    with pytest.raises(ConfigError, match=rf"{name}=.* cannot be set here"):
        setattr(config, name, getattr(config, name))


def set_gradient_pulses(config: Any) -> None:
    config.update.desired_bl = 3


def set_transfer_pulses(config: Any) -> None:
    config.device.transfer_update.desired_bl = 3


def set_noise(config: Any) -> None:
    config.forward.out_noise = 0.5


def set_pulse_size(config: Any) -> None:
    config.device.unit_cell_devices[0].dw_min = 0.5


NESTED: Dict[str, Callable[[Any], None]] = {
    "update.desired_bl=3": set_gradient_pulses,
    "device.transfer_update.desired_bl=3": set_transfer_pulses,
    "forward.out_noise=0.5": set_noise,
    r"device.unit_cell_devices\[0\].dw_min=0.5": set_pulse_size,
}


@pytest.mark.parametrize("message", NESTED)
@pytest.mark.parametrize("way", ["copy", "state", "train", "eval"])
def test_fields_of_aihwkits_parameters(message: str, way: str) -> None:
    """They do not tell when they are set; the next copy, state or change of the mode does."""
    model = layer()
    NESTED[message](model.analog_module.rpu_config)
    ways: Dict[str, Callable[[], Any]] = {
        "copy": lambda: deepcopy(model),
        "state": model.state_dict,
        "train": model.train,
        "eval": model.eval,
    }
    with pytest.raises(ConfigError, match=rf"rpu_config\.{message} was set"):
        ways[way]()


def set_gamma(config: Any) -> None:
    config.device.gamma = 0.4


@pytest.mark.parametrize("change", [set_gamma, set_gradient_pulses, set_transfer_pulses, set_noise])
def test_what_the_message_says_works(change: Callable[[Any], None]) -> None:
    """A model of the changed configuration goes on from the state, by its own settings."""
    model = layer()
    train(model.analog_module, 23)
    config = deepcopy(model.analog_module.rpu_config)
    change(config)
    other = AnalogLinear(6, 4, rpu_config=config)
    tile = other.analog_module
    other.load_state_dict(model.state_dict(), load_rpu_config=False)
    assert tile.rpu_config == tile.tile.built_from == config
    for name in PROPERTIES:
        assert torch.equal(getattr(tile, name), getattr(model.analog_module, name)), name
    train(tile, 23)
    assert torch.allclose(tile.tile.get_weights(), mixed_weight(tile).float(), atol=1e-6)


@pytest.mark.parametrize(
    "build",
    [
        lambda config: AnalogLinear(6, 4, rpu_config=config),
        lambda config: AnalogLinearMapped(6, 4, rpu_config=config),
        lambda config: AnalogConv2d(2, 3, 3, rpu_config=config),
    ],
    ids=["linear", "mapped", "convolution"],
)
def test_the_given_configuration_stays_free(build: Callable[[Any], Any]) -> None:
    """It builds other models with other settings; so does a copy of that of a tile."""
    config = quiet_config(**METHODS["E-RIDER"])
    model = build(config)
    config.device.gamma = 0.7
    copied = deepcopy(next(model.analog_tiles()).rpu_config)
    copied.device.gamma = 0.7
    for one in (config, copied):
        assert next(build(one).analog_tiles()).tile.pipeline.config.gamma == 0.7


@pytest.mark.parametrize("tile_class", [TorchTransferTile, object, None, "TrackingTile"])
def test_tile_classes_that_do_not_track(tile_class: Any) -> None:
    """aihwkit would build them without a word, and leave the method out."""
    config = TrackingRPUConfig()
    with pytest.raises(ConfigError, match=r"tile_class=.*pass TrackingTile or a subclass"):
        config.tile_class = tile_class
    with pytest.raises(ConfigError, match=r"tile_class=.*pass TrackingTile or a subclass"):
        TrackingRPUConfig(tile_class=tile_class)

    class Own(TrackingTile):
        """A tile of somebody's own."""

    config.tile_class = Own
    assert config.tile_class is Own
