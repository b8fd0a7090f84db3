"""``build_config``: every name builds what it says; wrong arguments raise ``ArgumentError``."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from aihwkit.exceptions import ArgumentError, ConfigError
from aihwkit.nn import AnalogLinear
from aihwkit.simulator.configs.devices import SoftBoundsDevice
from aihwkit.simulator.configs.helpers import build_config as aihwkit_build_config
from aihwkit.simulator.parameters.io import IOParameters
from aihwkit.simulator.parameters.mapping import MappingParameter
from aihwkit.simulator.parameters.training import UpdateParameters

from aihwkit_dspt import (
    DeviceDefaults,
    ReferenceSync,
    ReferenceType,
    TrackingRPUConfig,
    TrackingTile,
    build_config,
)
from tests.table import AIHWKIT_ALGORITHMS, DEVICES, TRACKING_ALGORITHMS

EXPECTED = {
    "rider": (ReferenceType.DYNAMIC, ReferenceSync.EVERY_READ, False),
    "e-rider": (ReferenceType.DYNAMIC, ReferenceSync.CHOPPER_FLIP, True),
    "residual": (ReferenceType.ZERO, ReferenceSync.CHOPPER_FLIP, False),
    "two-stage": (ReferenceType.STATIC, ReferenceSync.CHOPPER_FLIP, False),
}


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("name", TRACKING_ALGORITHMS)
def test_tracking_names(name: str, device: str) -> None:
    """Each name gives its member of the family on any device, and a tile of it builds."""
    config = build_config(name, DEVICES[device])
    assert type(config) is TrackingRPUConfig
    assert config.tile_class is TrackingTile
    chosen = config.device
    chops = chosen.in_chop_prob > 0.0
    assert (chosen.reference, chosen.reference_sync, chops) == EXPECTED[name]
    assert chosen.gamma > 0.0
    assert isinstance(config.tile_class(3, 2, config), TrackingTile)
    assert name in TRACKING_ALGORITHMS
    assert type(build_config(name.upper(), DEVICES[device])) is TrackingRPUConfig


@pytest.mark.parametrize("name", AIHWKIT_ALGORITHMS)
def test_aihwkit_names_are_handed_on(name: str) -> None:
    """aihwkit's names give aihwkit's configs, unchanged."""
    arguments: Any = (SoftBoundsDevice(dw_min=0.01), IOParameters, UpdateParameters)
    mapping = MappingParameter(weight_scaling_omega=0.3)
    ours = build_config(name, *arguments, construction_seed=7, mapping=mapping)
    theirs = aihwkit_build_config(name, *arguments, construction_seed=7, mapping=mapping)
    assert type(ours) is type(theirs)
    assert ours == theirs


def test_all_aihwkit_names_are_known() -> None:
    """A name in aihwkit's docstring that we do not know would be a surprise to users."""
    import re

    from aihwkit_dspt.configs.build import AIHWKIT_ALGORITHMS as KNOWN

    text = str(aihwkit_build_config.__doc__).split("device:")[0].split("Valid choices are:")[1]
    documented = set(re.findall(r'"([\w-]+)"', text))
    assert documented == set(KNOWN) == set(AIHWKIT_ALGORITHMS)


@pytest.mark.parametrize("as_class", [True, False])
def test_given_parameters_are_used(as_class: bool) -> None:
    """Classes or instances; instances are copied and not changed."""
    device, io, up = SoftBoundsDevice(dw_min=0.02), IOParameters(out_noise=0.5), UpdateParameters()
    up.desired_bl = 17
    if as_class:
        config = build_config("e-rider", SoftBoundsDevice, IOParameters, UpdateParameters)
        device, io = SoftBoundsDevice(), IOParameters()
    else:
        config = build_config("e-rider", device, io, up)
    fast, slow = config.device.unit_cell_devices
    assert fast == slow == device
    assert fast is not slow
    assert config.forward == config.backward == io
    assert config.device.transfer_forward.out_noise == io.out_noise
    derived = DeviceDefaults.of(device)
    assert config.update.desired_bl == derived.desired_bl
    assert config.device.transfer_update.desired_bl == derived.transfer_bl
    assert up.desired_bl == 17
    assert fast is not device
    assert config.forward is not config.backward


@pytest.mark.parametrize("name", TRACKING_ALGORITHMS)
def test_keywords_reach_their_field(name: str) -> None:
    """Keywords of the compound and of the RPU configuration, and the seed."""
    mapping = MappingParameter(weight_scaling_omega=0.3)
    config = build_config(
        name, SoftBoundsDevice, gamma=0.7, fast_lr=0.2, mapping=mapping, construction_seed=5
    )
    assert (config.device.gamma, config.device.fast_lr) == (0.7, 0.2)
    assert config.device.construction_seed == 5
    assert config.mapping.weight_scaling_omega == 0.3


@pytest.mark.parametrize("name", TRACKING_ALGORITHMS)
def test_configs_share_nothing(name: str) -> None:
    """Changing one config leaves the next one alone."""
    first = build_config(name, SoftBoundsDevice)
    first.device.gamma = 0.9
    first.device.unit_cell_devices[0].dw_min = 0.5
    first.forward.out_noise = 0.5
    second = build_config(name, SoftBoundsDevice)
    assert second.device.gamma != 0.9
    assert second.device.unit_cell_devices[0].dw_min != 0.5
    assert second.forward.out_noise != 0.5


@pytest.mark.parametrize(
    ("arguments", "keywords", "message"),
    [
        (("e-ridder",), {}, r"algorithm='e-ridder' is not known; did you mean 'e-rider'\?; pass"),
        (("",), {}, "algorithm='' is not known"),
        (("rider",), {"gama": 1.0}, r"'gama' is a field neither .* did you mean 'gamma'"),
        (("e-rider",), {"mappping": None}, "did you mean 'mapping'"),
        (("residual",), {"device_": 1}, "'device_' is a field neither"),
        (("rider",), {"n_devices": 2}, "n_devices=2 is not valid for 'rider'.*pass 1"),
    ],
)
def test_wrong_arguments(arguments: Any, keywords: Any, message: str) -> None:
    """The message names the argument, the value and what to pass."""
    with pytest.raises(ArgumentError, match=message):
        build_config(*arguments, SoftBoundsDevice, **keywords)


def test_wrong_values() -> None:
    """A bad value of a known field is a ``ConfigError`` of the compound."""
    with pytest.raises(ConfigError, match="gamma=-1"):
        build_config("rider", SoftBoundsDevice, gamma=-1)
    with pytest.raises(ConfigError, match=r"eta=0\.1"):
        build_config("residual", SoftBoundsDevice, eta=0.1)


FIELDS = {
    "sgd": {"dw_min": 0.02},
    "mp": {"transfer_every": 3, "n_x_bins": 7},
    "mixed-precision": {"granularity": 0.25},
    "tiki-taka": {"fast_lr": 0.3, "with_reset_prob": 0.1},
    "ttv1": {"transfer_lr": 0.3},
    "tt": {"gamma": 0.2},
    "ttv2": {"fast_lr": 0.3, "auto_granularity": 500.0},
    "chopped-ttv2": {"in_chop_prob": 0.25},
    "ttv3": {"momentum": 0.1},
    "c-ttv2": {"out_chop_prob": 0.1},
    "agad": {"fast_lr": 0.3, "tail_weightening": 3.0},
    "ttv4": {"transfer_lr": 0.3, "transfer_every": 2.0},
}


@pytest.mark.parametrize("algorithm", AIHWKIT_ALGORITHMS)
@pytest.mark.parametrize("device", [SoftBoundsDevice(), SoftBoundsDevice])
def test_fields_of_aihwkits_compounds(algorithm: str, device: Any) -> None:
    """They are set on the compound, beside fields of the configuration; the rest is aihwkit's."""
    mapping = MappingParameter(digital_bias=False)
    config = build_config(algorithm, device, mapping=mapping, **FIELDS[algorithm])
    expected = aihwkit_build_config(algorithm, device, mapping=mapping)
    for name, value in FIELDS[algorithm].items():
        assert getattr(config.device, name) == value != getattr(expected.device, name)
        setattr(expected.device, name, value)
    assert config == expected
    assert AnalogLinear(3, 2, rpu_config=config)(torch.ones(1, 3)).isfinite().all()
    if not isinstance(device, type):
        assert device == SoftBoundsDevice()
    with pytest.raises(ArgumentError, match=r"mappingg.*did you mean"):
        build_config(algorithm, device, mappingg=mapping)
