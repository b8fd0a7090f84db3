"""aihwkit's own plots of tracking configurations, against those of its C++ AGAD."""

from __future__ import annotations

import subprocess
import sys
from typing import Any, Iterator

import matplotlib as mpl
import numpy as np
import pytest
from aihwkit.simulator.configs.compounds import DynamicTransferCompound
from aihwkit.simulator.configs.configs import SingleRPUConfig, UnitCellRPUConfig
from aihwkit.simulator.tiles.analog import AnalogTile

from aihwkit_dspt import TrackingTile, build_config
from tests.helpers import deterministic, perfect, quiet_config, quiet_device
from tests.table import DEVICES, METHODS, PRESETS, preset

mpl.use("Agg")

from aihwkit.utils import visualization
from matplotlib import pyplot as plt

ALTERNATING = np.sign(np.cos(np.pi * np.arange(60)))
UP_AND_DOWN = np.repeat([1.0, -1.0, 1.0], 40)
AGAD = {
    "in_chop_prob": 0.3,
    "fast_lr": 0.5,
    "transfer_lr": 0.3,
    "transfer_every": 1.0,
    "units_in_mbatch": True,
}


@pytest.fixture(autouse=True)
def _closed_figures() -> Iterator[None]:
    yield
    plt.close("all")


def agad_configs() -> tuple[Any, Any]:
    """Return AGAD by aihwkit and as the tracking method, without any randomness."""
    compound = DynamicTransferCompound(
        unit_cell_devices=[quiet_device(), quiet_device()],
        transfer_forward=perfect(),
        transfer_update=deterministic(1),
        **AGAD,
    )
    theirs = UnitCellRPUConfig(
        device=compound, forward=perfect(), backward=perfect(), update=deterministic()
    )
    return theirs, quiet_config(**{**METHODS["AGAD"], **AGAD})


@pytest.mark.parametrize("direction", [ALTERNATING, UP_AND_DOWN], ids=["alternating", "up, down"])
@pytest.mark.parametrize("use_forward", [False, True])
def test_pulse_response_is_that_of_agad(direction: Any, use_forward: bool) -> None:
    traces = []
    for config in agad_configs():
        plt.clf()
        tile = visualization.get_tile_for_plotting(config, 3, w_init=0.1)
        traces.append(visualization.plot_pulse_response(tile, direction, use_forward))
        assert len(plt.gca().lines) == 3
    assert isinstance(tile, TrackingTile)
    assert np.abs(traces[0] - traces[1]).max() < 1e-6
    assert np.ptp(traces[0]) > 0.01


def test_the_mixed_weight_is_drawn() -> None:
    """With gamma the response of the fast array shows at once, one step per pulse."""
    settings = {**METHODS["residual"], "gamma": 0.5, "transfer_every": 0.0, "fast_lr": 0.01}
    tile = visualization.get_tile_for_plotting(quiet_config(**settings), 2, w_init=0.0)
    single = SingleRPUConfig(device=quiet_device(), forward=perfect(), update=deterministic())
    plain = visualization.get_tile_for_plotting(single, 2, w_init=0.0)
    assert type(plain) is AnalogTile
    plain.set_learning_rate(0.01)
    start = tile.slow_weights.numpy()
    mixed = visualization.compute_pulse_response(tile, UP_AND_DOWN) - start
    fast = visualization.compute_pulse_response(plain, UP_AND_DOWN)
    assert np.abs(mixed - 0.5 * fast).max() < 1e-6
    assert np.ptp(fast) > 0.1


@pytest.mark.parametrize("name", [*PRESETS[:3], *PRESETS[-3:]])
def test_presets(name: str) -> None:
    config = preset(name)
    tile = visualization.get_tile_for_plotting(config, 2)
    assert np.isfinite(visualization.plot_pulse_response(tile, ALTERNATING)).all()
    assert config == preset(name)


@pytest.mark.parametrize("name", DEVICES)
def test_symmetry_of_the_compound(name: str) -> None:
    """These functions put the compound into a configuration of aihwkit's."""
    compound = build_config("e-rider", DEVICES[name]()).device
    visualization.plot_device_symmetry(compound, n_pulses=20, n_traces=2)
    assert [len(line.get_ydata()) for line in plt.gca().lines] == [20, 20]
    axes = plt.figure().add_subplot()
    visualization.plot_device_compact(compound, n_steps=10, n_traces=2, n_loops=1, axes=axes)
    assert [len(line.get_ydata()) for line in axes.lines] == [20, 20]
    assert axes.get_title() == "TrackingTransferCompound"


@pytest.mark.parametrize("first", ["aihwkit_dspt", "aihwkit.utils.visualization"])
def test_in_either_order_of_imports(first: str) -> None:
    """And the plotting module is not imported for nothing."""
    script = f"""
import sys, matplotlib
matplotlib.use("Agg")
import {first}
assert ("aihwkit.utils.visualization" in sys.modules) == ("visualization" in "{first}")
from aihwkit_dspt import TrackingTile, build_config
from aihwkit.simulator.configs.devices import SoftBoundsDevice
from aihwkit.utils.visualization import get_tile_for_plotting
assert type(get_tile_for_plotting(build_config("e-rider", SoftBoundsDevice()), 3)) is TrackingTile
"""
    subprocess.run([sys.executable, "-c", script], check=True)
