"""A state with other settings than the tile's: said, and never understood as something else."""

from __future__ import annotations

import io
import pickle
import warnings
from pathlib import Path
from typing import Any, Callable, Dict, List, Tuple

import pytest
import torch
from aihwkit.exceptions import TileError
from aihwkit.nn import AnalogLinear, AnalogLinearMapped, AnalogSequential
from aihwkit.simulator.configs.devices import LinearStepDevice, SoftBoundsDevice
from aihwkit.simulator.parameters.training import UpdateParameters

from aihwkit_dspt import (
    ERIDERReRamArrayHfO2Preset,
    TrackingRPUConfig,
    TransferScope,
    build_config,
    load_checkpoint,
    save_checkpoint,
)
from tests.helpers import (
    difference,
    mixed_weight,
    quiet_config,
    quiet_device,
    snapshot,
    tile_of,
    train,
    used_weights,
)
from tests.table import METHODS

Settings = Dict[str, Any]
ERIDER = METHODS["E-RIDER"]


def layer_of(settings: Settings, n_updates: int = 0) -> AnalogLinear:
    """Return a square layer, trained."""
    layer = AnalogLinear(4, 4, rpu_config=quiet_config(digital_bias=False, **settings))
    tile = tile_of(layer)
    tile.set_learning_rate(0.1)
    train(tile, n_updates)
    return layer


def with_quiet(**changes: Any) -> List[SoftBoundsDevice]:
    return [quiet_device(), quiet_device(**changes)]


REFUSED: Dict[str, Tuple[Settings, Settings]] = {
    "transfer_columns is False": (
        {**ERIDER, "transfer_columns": False},
        {**ERIDER, "transfer_columns": True},
    ),
    "transfer_scope is": (ERIDER, {**ERIDER, "transfer_scope": TransferScope.ARRAY}),
    "in_chop_prob is 0.3": (ERIDER, {**ERIDER, "in_chop_prob": 0.1}),
    "in_chop_prob is 0.0": (
        METHODS["two-stage"],
        {**METHODS["two-stage"], "in_chop_prob": 0.3},
    ),
    "out_chop_prob is 0.2": ({**ERIDER, "out_chop_prob": 0.2}, ERIDER),
    "reference_device is SoftBoundsDevice in the state and None": (
        {**ERIDER, "reference_device": quiet_device()},
        ERIDER,
    ),
    "reference_device.dw_min is 0.01": (
        {**ERIDER, "reference_device": quiet_device()},
        {**ERIDER, "reference_device": quiet_device(dw_min=0.02)},
    ),
    r"unit_cell_devices\[1\].dw_min is 0.01": (
        ERIDER,
        {**ERIDER, "unit_cell_devices": with_quiet(dw_min=0.02)},
    ),
    # Its cells have the same parameters under the same names.
    r"unit_cell_devices\[0\] is SoftBoundsDevice in the state and LinearStepDevice": (
        {**ERIDER, "unit_cell_devices": [SoftBoundsDevice(), SoftBoundsDevice()]},
        {**ERIDER, "unit_cell_devices": [LinearStepDevice(), LinearStepDevice()]},
    ),
    "state is of E-RIDER, this tile simulates AGAD": (ERIDER, {**ERIDER, "gamma": 0.0}),
    "state is of RIDER, this tile simulates E-RIDER": (METHODS["RIDER"], ERIDER),
}
"""What the message says -> settings of the state, settings of the tile."""


@pytest.mark.parametrize("swapped", [False, True])
@pytest.mark.parametrize("way", ["state dict", "replaced", "extra", "format 1"])
@pytest.mark.parametrize("message", REFUSED)
def test_another_meaning_is_refused(message: str, way: str, swapped: bool) -> None:
    """By name, with both values, in both directions; the tile is as it was."""
    saved, own = REFUSED[message][:: -1 if swapped else 1]
    layer, other = layer_of(saved, 23), layer_of(own, 8)
    before = snapshot(tile_of(other))
    state = layer.state_dict()
    if way == "format 1":
        for value in state.values():
            if isinstance(value, dict):
                del value["state_extra"]["settings"]
                value["state_extra"]["format"] = [1]
    ways: Dict[str, Callable[[], Any]] = {
        "replaced": lambda: tile_of(layer).replace_with(tile_of(other).rpu_config),
        "extra": lambda: tile_of(other).tile.load_extra(tile_of(layer).tile.dump_extra()),
    }
    load = ways.get(way, lambda: other.load_state_dict(state, load_rpu_config=False))
    with pytest.raises(TileError, match=message.split(" is ", 1)[0] if swapped else message):
        load()
    assert difference(before, snapshot(tile_of(other))) is None


ALLOWED: Dict[str, Settings] = {
    "gamma": {"gamma": 0.4},
    "chop_prob_of_equal_period": {"in_chop_prob": 0.32},
    "random": {"in_chop_random": True},
    "transfer": {"transfer_every": 2.5, "units_in_mbatch": True, "transfer_lr": 0.1},
    "desired_bl": {"transfer_update": UpdateParameters(desired_bl=5)},
    "buffer": {"forget_buffer": False, "momentum": 0.1, "buffer_cap": 0.5, "no_buffer": True},
    "eta": {"eta": 0.01},
    "auto_scale": {"auto_scale": True, "scale_fast_lr": True},
    "seeds": {"construction_seed": 7, "unit_cell_devices": with_quiet(construction_seed=3)},
}
"""Settings that say how to go on."""


@pytest.mark.parametrize("name", ALLOWED)
def test_settings_that_say_how_to_go_on(name: str) -> None:
    """All arrays and stages are taken over, the tile's settings stay, and it trains by them."""
    layer, other = layer_of(ERIDER, 23), layer_of({**ERIDER, **ALLOWED[name]}, 8)
    tile, loaded = tile_of(layer), tile_of(other)
    own = loaded.rpu_config
    other.load_state_dict(layer.state_dict(), load_rpu_config=False)
    assert loaded.rpu_config == own
    for quantity in ("fast_weights", "slow_weights", "reference", "sp_estimate", "transfer_buffer"):
        assert torch.equal(getattr(loaded, quantity), getattr(tile, quantity)), quantity
    assert torch.equal(loaded.chopper, tile.chopper)
    train(loaded, 23)
    expected = mixed_weight(loaded).float()
    assert all(torch.allclose(used, expected, atol=1e-6) for used in used_weights(loaded))


def changed(config: Any) -> Any:
    """Return a configuration with other values at several depths."""
    config.device.gamma = 0.4
    config.device.transfer_update.desired_bl = 3
    config.device.unit_cell_devices[1].dw_min = 0.02
    config.forward.out_noise = 0.25
    return config


NAMED = (
    "device.gamma is 0.1 in the state and 0.4 in this tile",
    "device.transfer_update.desired_bl is 1 in the state and 3 in this tile",
    "device.unit_cell_devices[1].dw_min is 0.01 in the state and 0.02 in this tile",
    "forward.out_noise is 0.06 in the state and 0.25 in this tile",
)


def networks() -> Tuple[AnalogSequential, AnalogSequential]:
    """Return two networks of several tiles; the second has other settings."""
    both = []
    for config in (quiet_config(**ERIDER), changed(quiet_config(**ERIDER))):
        config.mapping.max_input_size = 3
        both.append(
            AnalogSequential(
                AnalogLinearMapped(6, 4, rpu_config=config), AnalogLinear(4, 2, rpu_config=config)
            )
        )
    return both[0], both[1]


@pytest.mark.parametrize("way", ["load_checkpoint", "load_state_dict"])
def test_replaced_settings_are_said_once(way: str, tmp_path: Path) -> None:
    """Each field with both values, which of them holds, and how to keep the others."""
    saved, own = networks()
    save_checkpoint(tmp_path / "c.pt", saved)
    for number in range(2):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            if way == "load_checkpoint":
                load_checkpoint(tmp_path / "c.pt", own)
            else:
                own.load_state_dict(saved.state_dict())
        # The second time they are the same.
        assert len(caught) == 1 - number
        for warning in caught:
            assert warning.category is UserWarning
            message = str(warning.message)
            assert all(part in message for part in NAMED)
            assert message.count(" in the state and ") == len(NAMED)
            assert "Those of the state are in force now" in message
            assert "load_rpu_config=False" in message
    for tile in own.analog_tiles():
        assert tile.rpu_config.device.gamma == tile.tile.pipeline.config.gamma == 0.1


def test_settings_of_the_script_are_kept(tmp_path: Path) -> None:
    """Without a word, for one load; those that give the state its meaning have to be equal."""
    saved, own = networks()
    save_checkpoint(tmp_path / "c.pt", saved)
    with pytest.raises(TileError, match=r"unit_cell_devices\[1\].dw_min is 0.01"):
        load_checkpoint(tmp_path / "c.pt", own, load_rpu_config=False)
    config = quiet_config(**ERIDER)
    config.forward.out_noise = 0.25
    gentle = AnalogLinear(4, 4, rpu_config=config)
    save_checkpoint(tmp_path / "c.pt", AnalogLinear(4, 4, rpu_config=quiet_config(**ERIDER)))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        load_checkpoint(tmp_path / "c.pt", gentle, load_rpu_config=False)
    (tile,) = gentle.analog_tiles()
    assert tile.load_rpu_config
    assert tile.rpu_config.forward.out_noise == 0.25


def test_no_settings_are_shared() -> None:
    """Neither with the state dict nor with a second tile that it is loaded into."""
    layer, first, second = (layer_of(ERIDER) for _ in range(3))
    state = layer.state_dict()
    for other in (first, second):
        other.load_state_dict(state)
    layers = (layer, first, second)
    for one in layers:
        tile_of(one).rpu_config.forward.out_noise = 0.5
        others = [tile_of(other).rpu_config for other in layers if other is not one]
        assert all(config.forward.out_noise == 0.06 for config in others)
        tile_of(one).rpu_config.forward.out_noise = 0.06


def test_presets_and_their_base_are_compared_by_field() -> None:
    """A preset with the values of a plain configuration is no other setting."""
    preset = ERIDERReRamArrayHfO2Preset()
    plain = TrackingRPUConfig(
        device=preset.device,
        forward=preset.forward,
        backward=preset.backward,
        update=preset.update,
        mapping=preset.mapping,
    )
    layers = [AnalogLinear(4, 4, rpu_config=config) for config in (preset, plain)]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        layers[1].load_state_dict(layers[0].state_dict())


@pytest.mark.parametrize("bias", [False, True])
def test_a_state_is_as_large_as_that_of_aihwkit(bias: bool) -> None:
    """Nothing is stored twice, in a file or in a pickle."""
    sizes = {}
    for algorithm in ("agad", "e-rider"):
        config = build_config(algorithm, SoftBoundsDevice())
        config.mapping.digital_bias = not bias
        layer = AnalogLinear(100, 100, bias=bias, rpu_config=config)
        file = io.BytesIO()
        torch.save(layer.state_dict(), file)
        sizes[algorithm] = file.tell(), len(pickle.dumps(layer))
    for agad, erider in zip(*sizes.values()):
        assert erider <= 1.1 * agad
