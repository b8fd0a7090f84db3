"""Presets: one of each algorithm for each device of aihwkit, all of which build and print."""

from __future__ import annotations

import pickle
from copy import deepcopy

import pytest

import aihwkit_dspt
from aihwkit_dspt import ReferenceSync, ReferenceType, TrackingTile
from tests.table import DEVICES, PRESETS, preset


@pytest.mark.parametrize("name", PRESETS)
def test_preset(name: str) -> None:
    """The preset names its algorithm and its device, and a tile of it works."""
    config = preset(name)
    expected = DEVICES[name.removeprefix("E").removeprefix("RIDER").removesuffix("Preset")]
    assert [type(device) for device in config.device.unit_cell_devices] == [expected] * 2 or (
        config.device.unit_cell_devices == [expected(), expected()]
    )
    assert config.device.reference is ReferenceType.DYNAMIC
    every_read = config.device.reference_sync is ReferenceSync.EVERY_READ
    assert every_read == (not name.startswith("ERIDER"))
    assert (config.device.in_chop_prob > 0.0) == name.startswith("ERIDER")
    tile = config.tile_class(2, 3, config)
    assert isinstance(tile, TrackingTile)
    assert f"gamma={config.device.gamma}" in str(config)
    assert "TrackingSimulatorTile" in repr(tile)


@pytest.mark.parametrize("name", PRESETS)
def test_copies(name: str) -> None:
    """``deepcopy`` and pickle keep class and settings; two presets share nothing."""
    config = preset(name)
    for copy in (deepcopy(config), pickle.loads(pickle.dumps(config))):
        assert type(copy) is type(config)
        assert str(copy) == str(config)
    before, config.device.gamma = config.device.gamma, 0.9
    assert preset(name).device.gamma == before < 0.9


def test_no_preset_is_missing_or_extra() -> None:
    """Public presets = two algorithms times aihwkit's pulsed device presets."""
    public = {name for name in aihwkit_dspt.__all__ if name.endswith("Preset")}
    assert public == set(PRESETS)
    # The list, in case aihwkit should lose one.
    assert len(PRESETS) == 2 * 10
