"""Chosen symmetric points and numbers of states, checked by drawing arrays."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import replace
from math import sqrt

import pytest
import torch
from aihwkit.exceptions import ArgumentError, ConfigError
from aihwkit.simulator.configs.compounds import ReferenceUnitCell, VectorUnitCell
from aihwkit.simulator.configs.devices import (
    IdealDevice,
    PowStepReferenceDevice,
    SoftBoundsDevice,
    SoftBoundsPmaxDevice,
    SoftBoundsReferenceDevice,
)
from aihwkit.simulator.presets.devices import ReRamArrayHfO2PresetDevice

from aihwkit_dspt.devices import (
    dw_min_for_states,
    n_states,
    response,
    symmetric_points,
    with_symmetric_point,
)
from tests.device_table import ALL_VARIED
from tests.devices.simulated import make_tile


@pytest.mark.parametrize(
    ("device", "size"),
    [
        (SoftBoundsReferenceDevice(up_down_dtod=0.2, construction_seed=5), 512),
        (ReRamArrayHfO2PresetDevice(construction_seed=5), 512),
        # aihwkit iterates for the points of this one: 0.2 ms per cell.
        (PowStepReferenceDevice(up_down_dtod=0.2, construction_seed=5, dw_min=0.01), 96),
    ],
    ids=["SoftBoundsReference", "ReRamArrayHfO2", "PowStepReference"],
)
@pytest.mark.parametrize(("mean", "std"), [(0.3, 0.1), (-0.2, 0.0)])
def test_effective_points_are_drawn_as_chosen(device, size, mean, std):
    before = deepcopy(device)
    chosen = with_symmetric_point(device, mean, std)
    assert device == before
    assert type(chosen) is type(device)
    result = symmetric_points(chosen, make_tile(chosen, size).get_hidden_parameters())
    n_cells = size**2 - result.n_missing
    # aihwkit's own estimate of the points of power devices is good to some 1e-6.
    assert result.n_missing <= 0.001 * size**2
    # 5 sigma: false alarm 6e-7.
    values = result.values[~torch.isnan(result.values)]
    assert abs(float(values.mean()) - mean) < 5.0 * std / sqrt(n_cells) + 1e-5
    assert abs(float(values.std()) - std) < 5.0 * std / sqrt(2.0 * n_cells) + 1e-4


def test_power_devices_with_many_states_estimate_long_enough():
    chosen = with_symmetric_point(PowStepReferenceDevice(dw_min=1e-4), 0.0, 0.1)
    assert chosen.n_estimation_steps == 120000
    few = with_symmetric_point(PowStepReferenceDevice(dw_min=1e-2), 0.0, 0.1)
    assert few.n_estimation_steps == -1


def test_devices_without_reference_are_refused():
    for device in (SoftBoundsDevice(), IdealDevice(), ALL_VARIED["ExpStep"]):
        with pytest.raises(ConfigError, match=type(device).__name__):
            with_symmetric_point(device, 0.1, 0.1)


@pytest.mark.parametrize(("mean", "std", "field"), [(float("nan"), 0.1, "mean"), (0, -0.1, "std")])
def test_invalid_distributions_are_refused(mean, std, field):
    with pytest.raises(ArgumentError, match=field):
        with_symmetric_point(SoftBoundsReferenceDevice(), mean, std)


def test_paper_counts_2000_states():
    assert n_states(SoftBoundsDevice(dw_min=1e-3, w_min=-1.0, w_max=1.0)) == 2000.0


@pytest.mark.parametrize("name", ALL_VARIED)
def test_number_of_states_is_that_of_the_simulator(name):
    counted = make_tile(ALL_VARIED[name], 2).tile.dump_extra()["rpu.rpu_device.num_states"][0]
    assert n_states(ALL_VARIED[name]) == pytest.approx(counted, rel=1e-5)


@pytest.mark.parametrize("name", ALL_VARIED)
def test_states_of_a_unit_cell_are_the_mean_of_its_devices(name):
    other = SoftBoundsDevice(dw_min=1e-3, w_min=-1.0, w_max=1.0)
    cell = VectorUnitCell([ReferenceUnitCell([deepcopy(ALL_VARIED[name])] * 2), other])
    assert n_states(cell) == pytest.approx((2.0 * n_states(ALL_VARIED[name]) + 2000.0) / 3.0)


def test_states_come_from_what_is_simulated():
    """SoftBoundsPmaxDevice ignores the fields that it derives."""
    ignored = SoftBoundsPmaxDevice(alpha=0.01, w_min=-9.0, w_max=9.0, dw_min=0.5)
    assert n_states(ignored) == n_states(SoftBoundsPmaxDevice(alpha=0.01))
    hidden = make_tile(ignored, 2).get_hidden_parameters()
    assert response(ignored, hidden).dw_min == pytest.approx(0.02, rel=0.01)


@pytest.mark.parametrize("changes", [{"dw_min": 0.0}, {"w_min": 0.6}, {"dw_min": float("nan")}])
def test_devices_without_steps_have_no_states(changes):
    with pytest.raises(ConfigError, match="SoftBoundsDevice"):
        n_states(SoftBoundsDevice(**changes))


@pytest.mark.parametrize("name", [name for name in ALL_VARIED if name != "SoftBoundsPmax"])
def test_dw_min_for_states_is_the_inverse(name):
    device = replace(ALL_VARIED[name], dw_min=dw_min_for_states(ALL_VARIED[name], 77))
    assert n_states(device) == pytest.approx(77, rel=1e-6)


def test_drawn_array_has_the_states():
    device = SoftBoundsDevice(w_min=-1.0, w_max=1.0, construction_seed=6)
    device.dw_min = dw_min_for_states(device, 50)
    hidden = make_tile(device, 512).get_hidden_parameters()
    step = (hidden["dwmin_up"] + hidden["dwmin_down"]).double() / 2.0
    width = (hidden["max_bound"] - hidden["min_bound"]).double()
    # enforce_consistency mirrors the 0.04 % of steps and bounds with the wrong sign.
    assert float(width.mean() / step.mean()) == pytest.approx(50, rel=0.01)


def test_bad_states_are_refused():
    assert n_states(SoftBoundsPmaxDevice(alpha=0.01)) == pytest.approx(100, rel=1e-5)
    with pytest.raises(ConfigError, match="alpha"):
        dw_min_for_states(SoftBoundsPmaxDevice(), 100)
    with pytest.raises(ConfigError, match="IdealDevice"):
        n_states(IdealDevice())
    with pytest.raises(ArgumentError, match="n_states"):
        dw_min_for_states(SoftBoundsDevice(), 0)
