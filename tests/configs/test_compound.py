"""``TrackingTransferCompound``: wrong settings fail at construction, right ones are kept."""

from __future__ import annotations

import pickle
from copy import deepcopy
from typing import Any, Dict

import numpy as np
import pytest
from aihwkit.exceptions import ConfigError
from aihwkit.simulator.configs.compounds import DynamicTransferCompound
from aihwkit.simulator.configs.devices import SoftBoundsDevice
from aihwkit.simulator.parameters.enums import RPUDataType
from aihwkit.simulator.parameters.training import UpdateParameters

from aihwkit_dspt import (
    ReferenceSync,
    ReferenceType,
    TrackingRPUConfig,
    TrackingTile,
    TrackingTransferCompound,
    TransferScope,
)
from aihwkit_dspt.configs.link_settings import of_link, residual_scales
from tests.table import METHODS

NAN, INF = float("nan"), float("inf")
ZERO = {"reference": ReferenceType.ZERO}
STATIC = {"reference": ReferenceType.STATIC}

BAD_NUMBERS = {
    "gamma": (-0.1, NAN, INF, "0.1", None, True, 1e300),
    "in_chop_prob": (-0.1, 1.1, NAN, None, 1e-300, 1e-12),
    "out_chop_prob": (-0.1, 1.1, NAN),
    "transfer_every": (NAN, INF, "1"),
    "fast_lr": (-1.0, NAN, 1e39, 10**20),
    "transfer_lr": (-1.0, INF),
    "step": (0.0, -1.0),
    "momentum": (-0.1, 1.1),
    "buffer_granularity": (-1.0,),
    "auto_granularity": (-1.0, NAN),
    "auto_momentum": (-0.1, 1.1),
    "buffer_cap": (-1.0,),
    "tail_weightening": (0.0, -1.0),
    "eta": (0.0, -0.1, 1.1, NAN, "0.1"),
}

FLAGS = (
    "in_chop_random",
    "auto_scale",
    "correct_gradient_magnitudes",
    "forget_buffer",
    "no_buffer",
    "scale_fast_lr",
    "scale_transfer_lr",
    "transfer_columns",
    "units_in_mbatch",
    "experimental_correct_accumulation",
)

BAD_CHOICES: Dict[str, Any] = {
    **dict.fromkeys(FLAGS, (1, None, "yes")),
    "reference": ("Dynamic", None, ReferenceSync.EVERY_READ),
    "reference_sync": ("EveryRead", None),
    "transfer_scope": ("Array", True),
    "unit_cell_devices": (
        [SoftBoundsDevice()],
        [SoftBoundsDevice(), SoftBoundsDevice(), "HfO2"],
        [SoftBoundsDevice, SoftBoundsDevice],
        [SoftBoundsDevice(), "HfO2"],
        (SoftBoundsDevice(), SoftBoundsDevice()),
        None,
    ),
    "reference_device": ("SoftBoundsDevice", SoftBoundsDevice),
    "n_reads_per_transfer": (0, 2),
    "random_selection": (True, 1, None),
    "with_reset_prob": (0.1,),
    "no_self_transfer": (False, 1, NAN),
    "gamma_vec": ([0.1, 1.0], None, 0.1),
    "transfer_every_vec": ([1.0],),
    "transfer_lr_vec": ([1.0],),
}

CONTRADICTIONS: Dict[str, Any] = {
    "chopper missing, flip sync": ("in_chop_prob", {"in_chop_prob": 0.0}, "EVERY_READ"),
    "chopper missing, eta": (
        "eta",
        {"in_chop_prob": 0.0, "reference_sync": ReferenceSync.EVERY_READ},
        "eta in (0, 1]",
    ),
    "eta, zero": ("eta", {**ZERO, "eta": 0.1}, "DYNAMIC"),
    "eta, static": ("eta", {**STATIC, "eta": 0.1}, "DYNAMIC"),
    "sync, zero": ("reference_sync", {**ZERO, "reference_sync": ReferenceSync.EVERY_READ}, "leave"),
    "sync, static": (
        "reference_sync",
        {**STATIC, "reference_sync": ReferenceSync.EVERY_READ},
        "leave",
    ),
    "accumulation, zero": (
        "experimental_correct_accumulation",
        {**ZERO, "experimental_correct_accumulation": True},
        "DYNAMIC",
    ),
    "sweeps and events": ("sweep_every", {"sweep_every": 9.0, "transfer_every": 5.0}, "every=5.0"),
    "sweeps and events of links": (
        "sweep_every",
        {"sweep_every": 9.0, "transfer_every_vec": [5.0]},
        "transfer_every_vec=[5.0]",
    ),
    "device, zero": ("reference_device", {**ZERO, "reference_device": SoftBoundsDevice()}, "None"),
    "no pulse": (
        "transfer_update.desired_bl",
        {"transfer_update": UpdateParameters(desired_bl=0)},
        "1 or more",
    ),
}


BAD_LINKS: Dict[str, Any] = {
    "gamma": ([], [0.1], [0.1, 0.2, 0.3], [0.1, -0.1], [0.1, "1"]),
    "transfer_every_vec": ([1.0], [1.0] * 4, [1.0, NAN], [1.0, 0.2], 1.0),
    "transfer_lr_vec": ([1.0], [1.0] * 4, [1.0, -1.0], (1.0, 1.0)),
    "gamma_vec": ([0.1, 0.2, 1.0],),
    "join_sweeps": (-1, [], [1, 2], [-1], [NAN], NAN, "1", True),
}


@pytest.mark.parametrize(
    ("field", "value"),
    [(field, value) for field, values in BAD_LINKS.items() for value in values],
    ids=str,
)
def test_bad_setting_of_links_is_refused(field: str, value: Any) -> None:
    """In a chain of three arrays, with the field and its value."""
    with pytest.raises(ConfigError, match=rf"{field}.*is not valid: .*pass"):
        TrackingTransferCompound(
            unit_cell_devices=[SoftBoundsDevice()] * 3, units_in_mbatch=False, **{field: value}
        )


def test_settings_of_links() -> None:
    """One number for each link, the fastest first; an entry for the slowest device is not used."""
    devices = [SoftBoundsDevice(dw_min=0.001 * number) for number in (1, 2, 3)]
    config = TrackingTransferCompound(
        unit_cell_devices=devices, gamma=0.5, transfer_every=2.0, transfer_lr_vec=[1.0, 2.0, 9.0]
    )
    links = [of_link(config, number, 7.0) for number in range(2)]
    assert residual_scales(config) == [link.gamma for link in links] == [0.25, 0.5]
    assert [link.transfer_every for link in links] == [2.0, 14.0]
    assert [link.transfer_lr for link in links] == [1.0, 2.0]
    assert [link.unit_cell_devices for link in links] == [devices[:2], devices[1:]]
    config.gamma, config.transfer_every_vec = [0.3, 0.7], [3.0, 4.0]
    links = [of_link(config, number, 7.0) for number in range(2)]
    assert [(link.gamma, link.transfer_every) for link in links] == [(0.3, 3.0), (0.7, 4.0)]
    with pytest.raises(ConfigError, match=r"transfer_lr_vec=\[0.0, 1.0\].*positive"):
        TrackingTransferCompound(
            unit_cell_devices=devices,
            transfer_lr_vec=[0.0, 1.0],
            correct_gradient_magnitudes=True,
        )


@pytest.mark.parametrize(
    ("field", "value"),
    [(field, value) for field, values in BAD_NUMBERS.items() for value in values]
    + [(field, value) for field, values in BAD_CHOICES.items() for value in values],
    ids=lambda value: str(value)[:30],
)
def test_bad_value_is_refused(field: str, value: Any) -> None:
    """One bad value raises ``ConfigError`` with field, value and what to pass instead."""
    with pytest.raises(ConfigError) as caught:
        TrackingTransferCompound(**{field: value})
    message = str(caught.value)
    wrong, name = value, field
    if field == "unit_cell_devices" and isinstance(value, list) and len(value) > 1:
        number = next(i for i, item in enumerate(value) if not isinstance(item, SoftBoundsDevice))
        wrong, name = value[number], f"unit_cell_devices[{number}]"
    assert message.startswith(f"{name}={wrong!r} is not valid: ")
    assert "pass" in message.split(": ", 1)[1] or field == "no_self_transfer"


@pytest.mark.parametrize(
    ("field", "settings", "remedy"), CONTRADICTIONS.values(), ids=list(CONTRADICTIONS)
)
def test_contradiction_is_refused(field: str, settings: Dict[str, Any], remedy: str) -> None:
    """Settings that are valid alone but not together; the remedy is named."""
    with pytest.raises(ConfigError) as caught:
        TrackingTransferCompound(**settings)
    assert str(caught.value).startswith(f"{field}=")
    assert remedy in str(caught.value).split("is not valid: ", 1)[1]


@pytest.mark.parametrize(
    ("wrong", "right"),
    [("gama", "gamma"), ("in_chop_probability", "in_chop_prob"), ("transfer_evry", None)],
)
def test_misspelled_field_is_refused(wrong: str, right: Any) -> None:
    """At construction and on assignment, with the nearest name."""
    right = right or "transfer_every"
    with pytest.raises(ConfigError, match=f"no field '{wrong}'; did you mean '{right}'"):
        TrackingTransferCompound(**{wrong: 0.5})
    device = TrackingTransferCompound()
    with pytest.raises(ConfigError, match=f"no field '{wrong}'; did you mean '{right}'"):
        setattr(device, wrong, 0.5)
    with pytest.raises(ConfigError, match="no field 'xyzzy'"):
        TrackingRPUConfig(xyzzy=1)
    with pytest.raises(ConfigError, match="no field 'devise'; did you mean 'device'"):
        TrackingRPUConfig().devise = device  # type: ignore[attr-defined]


@pytest.mark.parametrize("value", [-1.0, NAN, "x"])
def test_assigned_value_is_checked_when_a_tile_is_built(value: Any) -> None:
    """A bad assignment after construction does not reach the simulation."""
    config = TrackingRPUConfig(device=TrackingTransferCompound(in_chop_prob=0.1))
    config.device.unit_cell_devices = [SoftBoundsDevice(), SoftBoundsDevice()]
    config.device.gamma = value
    with pytest.raises(ConfigError, match="gamma="):
        TrackingTile(2, 3, config)


def test_tile_needs_devices() -> None:
    """aihwkit's default of no devices is fine for a config, not for a tile."""
    with pytest.raises(ConfigError, match="unit_cell_devices"):
        TrackingTile(2, 3, TrackingRPUConfig())


def test_tile_needs_a_tracking_compound() -> None:
    """aihwkit's own compound on our tile is refused by name."""
    devices = [SoftBoundsDevice(), SoftBoundsDevice()]
    config = TrackingRPUConfig(device=TrackingTransferCompound(unit_cell_devices=devices))
    config.device = DynamicTransferCompound(unit_cell_devices=devices)
    with pytest.raises(ConfigError, match="device=DynamicTransferCompound"):
        TrackingTile(2, 3, config)


@pytest.mark.parametrize("name", METHODS)
def test_as_bindings_is_refused(name: str) -> None:
    """A single C++ compound cannot track: aihwkit's tile must not silently simulate AGAD."""
    with pytest.raises(ConfigError, match="TrackingRPUConfig"):
        TrackingTransferCompound(**METHODS[name]).as_bindings(RPUDataType.FLOAT)


@pytest.mark.parametrize("name", METHODS)
def test_copies_are_equal_and_independent(name: str) -> None:
    """``deepcopy`` and pickle keep each field, and share nothing mutable."""
    devices = [SoftBoundsDevice(dw_min=0.01), SoftBoundsDevice(dw_min=0.02)]
    config = TrackingRPUConfig(
        device=TrackingTransferCompound(unit_cell_devices=devices, **METHODS[name])
    )
    for copy in (deepcopy(config), pickle.loads(pickle.dumps(config))):
        assert type(copy) is TrackingRPUConfig
        assert copy.device == config.device
        assert str(copy) == str(config)
        copy.device.unit_cell_devices[0].dw_min = 0.5
        assert config.device.unit_cell_devices[0].dw_min == 0.01
        with pytest.raises(ConfigError, match="gama"):
            copy.device.gama = 1.0


@pytest.mark.parametrize("name", METHODS)
def test_printing_names_what_was_chosen(name: str) -> None:
    """The printed config shows each setting that differs from the default."""
    default = TrackingTransferCompound()
    text = str(TrackingRPUConfig(device=TrackingTransferCompound(**METHODS[name])))
    for field, value in METHODS[name].items():
        if value != getattr(default, field):
            assert f"{field}=" in text
            assert str(value) in text


@pytest.mark.parametrize(
    ("prob", "period"),
    [(1.0, 2), (0.5, 2), (0.4, 3), (0.3, 4), (0.1, 10), (0.05, 20), (0.007, 143), (0.0, 2)],
)
def test_chop_period(prob: float, period: int) -> None:
    """``max(ceil(1/p), 2)`` in single precision, as C++ ``getNumInChopSamples``."""
    device = TrackingTransferCompound(
        in_chop_prob=prob, eta=0.1, reference_sync=ReferenceSync.EVERY_READ
    )
    expected = max(int(np.ceil(np.float32(1) / np.float32(prob))), 2) if prob > 0 else 2
    assert device.chop_period() == period == expected


@pytest.mark.parametrize(
    ("settings", "eta"),
    [
        ({"in_chop_prob": 0.1, "tail_weightening": 5.0}, 0.5),
        ({"in_chop_prob": 0.05, "tail_weightening": 5.0}, 0.25),
        ({"in_chop_prob": 0.5, "tail_weightening": 5.0}, 1.0),
        ({"in_chop_prob": 0.1, "tail_weightening": 5.0, "eta": 0.03}, 0.03),
    ],
)
def test_eta_rule(settings: Dict[str, Any], eta: float) -> None:
    """``eta = min(tail_weightening / period, 1)`` unless given."""
    assert TrackingTransferCompound(**settings).estimator_eta() == pytest.approx(eta, rel=1e-6)


def test_defaults_are_agad() -> None:
    """Without settings the compound is aihwkit's AGAD."""
    device = TrackingTransferCompound()
    assert device.gamma == 0.0
    assert device.reference is ReferenceType.DYNAMIC
    assert device.reference_sync is ReferenceSync.CHOPPER_FLIP
    assert device.transfer_scope is TransferScope.LINE
    for name, value in vars(DynamicTransferCompound()).items():
        assert getattr(device, name) == value, name
