"""Pulse budgets against the theorems worked out by hand."""

from __future__ import annotations

from dataclasses import replace
from math import ceil, log

import pytest
import torch
from aihwkit.exceptions import ArgumentError, ConfigError
from aihwkit.simulator.configs.devices import PowStepDevice, SoftBoundsDevice

from aihwkit_dspt.zero_shifting import pulse_budget, training_pulses
from tests.device_table import VARIED, WITHOUT_POINTS
from tests.devices.simulated import make_tile

# a_p = 1 and a_m = 0.8 at bounds of +-2: mu_q = (1 + 0.8) / 2 / 2, SP = 0.2 / 0.9, and the
# largest step is the up pulse at the lower bound, 2.
DEVICE = SoftBoundsDevice(dw_min=1e-3, dw_min_std=0.0, w_min=-2.0, w_max=2.0, up_down=0.2)
MU_Q, POINT, Q_MAX = 0.45, 0.2 / 0.9, 2.0


def test_constants_of_a_linear_device():
    budget = pulse_budget(DEVICE, 1.0)
    assert float(budget.mu_q) == pytest.approx(MU_Q, rel=1e-6)
    assert float(budget.q_max) == pytest.approx(Q_MAX, rel=1e-6)
    assert budget.floor == pytest.approx(2 * Q_MAX**2 * 1e-3 / MU_Q, rel=1e-6)


def test_pulses_of_both_theorems():
    error = 0.02
    exact = log(2 * POINT**2 / error) / (2 * MU_Q * 1e-3)
    assert pulse_budget(DEVICE, error, "stochastic").n_pulses == ceil(exact)
    # Theorem C.4 counts pairs.
    assert pulse_budget(DEVICE, error, "cyclic").n_pulses == 2 * ceil(exact / 2)


def test_start_at_the_point_needs_no_pulses():
    assert pulse_budget(DEVICE, 0.02, weights=torch.tensor(POINT)).n_pulses == 0


def test_cycle_to_cycle_noise_raises_the_floor():
    noisy = replace(DEVICE, dw_min_std=1.0)
    ratio = pulse_budget(noisy, 1.0).floor / pulse_budget(DEVICE, 1.0).floor
    assert ratio == pytest.approx(2.0, rel=1e-6)


def test_error_below_the_floor_is_refused():
    floor = pulse_budget(DEVICE, 1.0).floor
    assert pulse_budget(DEVICE, 1.001 * floor).n_pulses > 0
    with pytest.raises(ArgumentError, match="floor"):
        pulse_budget(DEVICE, 0.999 * floor)


def test_array_takes_its_slowest_cells():
    device = replace(VARIED["SoftBounds"], dw_min=1e-5)
    tile = make_tile(device, 32)
    half, most = (pulse_budget(tile, 0.005, quantile=part) for part in (0.5, 0.95))
    assert half.mu_q.shape == (32, 32)
    assert half.n_pulses < most.n_pulses
    assert half.floor < most.floor


def test_array_with_corrupt_cells_counts_the_others():
    budget = pulse_budget(make_tile(VARIED["ReRamArrayHfO2"], 32), 100.0, quantile=0.5)
    assert 0 < int(torch.isnan(budget.mu_q).sum()) < 200
    assert budget.n_pulses == 0


def test_power_devices_have_a_budget():
    # Slopes vanish at the bounds; G over the distance does not.
    budget = pulse_budget(PowStepDevice(pow_gamma=1.5, dw_min=1e-4), 0.1)
    assert 0.0 < float(budget.mu_q) < float(budget.q_max) / 0.6


@pytest.mark.parametrize(
    ("arguments", "field"),
    [
        ({"error": 0.0}, "error"),
        ({"error": float("nan")}, "error"),
        ({"error": 1.0, "schedule": "up"}, "schedule"),
        ({"error": 1.0, "quantile": 0.0}, "quantile"),
    ],
)
def test_bad_arguments_are_refused(arguments, field):
    with pytest.raises(ArgumentError, match=field):
        pulse_budget(DEVICE, **arguments)


def test_device_without_point_has_no_budget():
    with pytest.raises(ConfigError, match="no symmetric point"):
        pulse_budget(WITHOUT_POINTS["ConstantStep"], 1.0)


def test_training_pulses_of_figure_4():
    # 60000 images in batches of 64 are 938 mini-batches of at most 5 pulses.
    assert training_pulses(10, 60000, 64, 5) == 46900
    assert training_pulses(10, 60000, 64, 5, calibration_pulses=4000) == 50900


@pytest.mark.parametrize(
    ("arguments", "field"),
    [
        ((-1, 10, 2, 5), "epochs"),
        ((1, -10, 2, 5), "n_samples"),
        ((1, 10, 0, 5), "batch_size"),
        ((1, 10, 2, 0), "desired_bl"),
        ((1, 10, 2, 5, -1), "calibration_pulses"),
    ],
)
def test_bad_numbers_are_refused(arguments, field):
    with pytest.raises(ArgumentError, match=field):
        training_pulses(*arguments)
