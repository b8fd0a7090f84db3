"""The closed form against aihwkit's pulses, and against the theory."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import replace
from math import log, sqrt

import numpy as np
import pytest
import torch
from aihwkit.exceptions import ArgumentError, TileError
from aihwkit.simulator.configs.devices import (
    LinearStepDevice,
    SoftBoundsDevice,
    SoftBoundsReferenceDevice,
)
from scipy.stats import kstest

from aihwkit_dspt.devices import response, symmetric_points, with_symmetric_point
from aihwkit_dspt.zero_shifting import clipped, closed_form, pulse_budget, zero_shift
from aihwkit_dspt.zero_shifting.moments import fair_choice, one_pulse
from tests.covering import covering
from tests.device_table import VARIED
from tests.devices.simulated import make_tile

# Probability of a normal number beyond 5 sigma.
FALSE_ALARM = 5.7e-7
LINEAR = {
    "LinearStep": LinearStepDevice(gamma_up=0.4, gamma_down=0.6, up_down=0.1, dw_min=0.004),
    "LinearStep-additive": LinearStepDevice(
        gamma_up=0.4, gamma_down=0.6, up_down=0.1, dw_min=0.004, mult_noise=False
    ),
    "SoftBounds": SoftBoundsDevice(dw_min=0.004, up_down=0.1),
    "SoftBounds-additive": SoftBoundsDevice(dw_min=0.004, up_down=0.1, mult_noise=False),
    "SoftBounds-write-noise": SoftBoundsDevice(dw_min=0.004, up_down=0.1, write_noise_std=3.0),
    "SoftBoundsReference": with_symmetric_point(SoftBoundsReferenceDevice(dw_min=0.004), 0.3, 0.1),
    "SoftBounds-near-bound": SoftBoundsDevice(
        dw_min=0.05, up_down=0.5, up_down_dtod=0.3, mult_noise=False, dw_min_std=1.0
    ),
    "ReRamArrayHfO2": VARIED["ReRamArrayHfO2"],
}


def with_drawn_noise(tile, cells):
    """Return the cells with the mean and spread of the noise that this very tile draws.

    aihwkit draws noise from a list of 32768 normal numbers, made anew for each tile. The mean of
    the list, 1 / 181 in the mean square, moves the rest of additive noise by more than the
    statistical error of a large array. It is measured here over single pulses.
    """
    cpp = deepcopy(tile.tile)  # shares the list
    cpp.set_learning_rate(cpp.dump_extra()["rpu.rpu_device.weight_granularity"][0])
    size = cells.w_min.shape[0]
    line = torch.ones(1, size)
    scores = []
    for _ in range(200):
        cpp.set_weights(torch.zeros(size, size))
        before = read(cpp)
        cpp.update(line, -line, False)
        sigma = cells.dw_min * cells.sigma_plus(before)
        step = cells.dw_min * cells.q_plus(before)
        clear = (before + step + 6.0 * sigma < cells.w_max) & (sigma > 1e-6)
        clear &= before + step - 6.0 * sigma > cells.w_min
        scores.append(((read(cpp) - before - step) / sigma)[clear])
    score = torch.cat(scores)
    mean, std = float(score.mean()), float(score.std())
    assert abs(mean) < 6.0 / 181.0
    return replace(
        cells,
        up_0=cells.up_0 + mean * cells.noise_up_0,
        up_1=cells.up_1 + mean * cells.noise_up_1,
        down_0=cells.down_0 + mean * cells.noise_down_0,
        down_1=cells.down_1 + mean * cells.noise_down_1,
        noise_up_0=std * cells.noise_up_0,
        noise_up_1=std * cells.noise_up_1,
        noise_down_0=std * cells.noise_down_0,
        noise_down_1=std * cells.noise_down_1,
    )


def read(cpp):
    """Return the weights that pulses act on."""
    names = cpp.get_hidden_parameter_names()
    if "persistent_weights" in names:
        return cpp.get_hidden_parameters()[names.index("persistent_weights")].double()
    return cpp.get_weights().double()


def check_agreement(device, n_pulses, schedule, size):
    device = replace(device, construction_seed=3)
    tile = make_tile(device, size)
    points = symmetric_points(device, tile.get_hidden_parameters()).values
    cells = with_drawn_noise(tile, response(device, tile.get_hidden_parameters()))
    generator = torch.Generator().manual_seed(7)
    fast = closed_form(cells, read(tile.tile), n_pulses, schedule, generator)
    zero_shift(tile, n_pulses, schedule, generator=torch.Generator().manual_seed(8))
    slow = read(tile.tile)

    assert kstest(fast.flatten(), slow.flatten()).pvalue > FALSE_ALARM
    # The offsets (estimate minus truth) of the same cells have the same mean and spread.
    found = ~torch.isnan(points)
    offsets = (fast - points)[found], (slow - points)[found]
    assert kstest(*(offset.numpy() for offset in offsets)).pvalue > FALSE_ALARM
    for power in (1, 2):
        difference = offsets[0] ** power - offsets[1] ** power
        error = float(difference.std()) / sqrt(difference.numel())
        assert abs(float(difference.mean())) < 5.0 * error


@pytest.mark.parametrize(
    ("name", "schedule", "n_pulses"), covering(LINEAR, ["cyclic", "stochastic"], [200, 1001])
)
def test_agrees_with_pulses(name, schedule, n_pulses):
    check_agreement(LINEAR[name], n_pulses, schedule, 96)


@pytest.mark.slow
@pytest.mark.parametrize("n_pulses", [500, 1000, 2000, 4000, 8000])
@pytest.mark.parametrize("schedule", ["cyclic", "stochastic"])
def test_agrees_with_pulses_on_the_array_of_figure_1a(schedule, n_pulses):
    device = SoftBoundsDevice(dw_min=1e-3, w_min=-1.0, w_max=1.0, up_down=0.1, mult_noise=False)
    check_agreement(device, n_pulses, schedule, 512)


@pytest.mark.parametrize("schedule", ["cyclic", "stochastic"])
@pytest.mark.parametrize("name", ["SoftBounds-additive", "SoftBoundsReference", "LinearStep"])
def test_pulses_have_the_moments_of_the_closed_form_in_each_cell(name, schedule):
    device = deepcopy(LINEAR[name])
    device.construction_seed = 4
    tile = make_tile(device, 96)
    cells = with_drawn_noise(tile, response(device, tile.get_hidden_parameters()))
    n_pulses = 500
    up, down = one_pulse(cells, upwards=True), one_pulse(cells, upwards=False)
    if schedule == "cyclic":
        moments = up.then(down).power(torch.tensor(n_pulses // 2))
    else:
        moments = fair_choice(up, down).power(torch.tensor(n_pulses))
    start = torch.zeros(96, 96, dtype=torch.float64)
    mean, variance = moments.apply(start, start)
    std = variance.sqrt()
    clear = (mean - 8 * std > cells.w_min) & (mean + 8 * std < cells.w_max) & (std > 1e-4)
    clear &= (cells.w_min < -0.1) & (cells.w_max > 0.1)
    assert int(clear.sum()) > 5000
    weights = zero_shift(tile, n_pulses, schedule).estimate.double()
    scores = ((weights - mean) / std)[clear].numpy()
    assert kstest(scores, "norm").pvalue > FALSE_ALARM
    assert abs(scores.var() - 1.0) < 5.0 * sqrt(2.0 / scores.size)


def test_cells_near_a_bound_may_take_several_pulses_per_step(monkeypatch):
    # All alike, slow, and at rest within two standard deviations of the upper bound.
    device = SoftBoundsDevice(
        dw_min=0.003,
        dw_min_std=1.5,
        up_down=-0.97,
        mult_noise=False,
        **dict.fromkeys(("dw_min_dtod", "up_down_dtod", "w_max_dtod", "w_min_dtod"), 0.0),
    )
    tile = make_tile(device, 64)
    cells = response(device, tile.get_hidden_parameters())
    start = torch.zeros(64, 64)
    draws = {}
    for most in (2**16, 2**10):
        monkeypatch.setattr(clipped, "MAX_STEPS", most)
        generator = torch.Generator().manual_seed(5)
        draws[most] = closed_form(cells, start, 100001, "cyclic", generator)
    one_by_one, together = draws.values()
    remembered = clipped.remembered_pulses(cells, 100001)
    assert bool(((remembered > 2**10) & (remembered < 2**16)).all())
    at_bound = (one_by_one - cells.w_min).abs() < 3.0 * one_by_one.std()
    assert float(at_bound.double().mean()) > 0.5
    # A step is a 6 times larger part of the spread here than it may be with the real limit.
    assert abs(float((one_by_one - together).mean())) < 0.15 * float(one_by_one.std())
    assert abs(float(one_by_one.std() / together.std()) - 1.0) < 0.15


def test_cells_without_pull_near_bounds_are_refused():
    device = LinearStepDevice(
        construction_seed=3, gamma_up=0.05, gamma_down=0.05, dw_min=1e-5, dw_min_std=30.0
    )
    tile = make_tile(device, 512)
    before = tile.tile.get_weights()
    with pytest.raises(TileError, match="near their bounds"):
        zero_shift(tile, 10**7, method="closed-form")
    assert torch.equal(tile.tile.get_weights(), before)


def smallest_n(device, tile, points):
    """Return the smallest number of pulses with at most 1 % error of the mean."""

    def is_enough(n_pulses):
        generator = torch.Generator().manual_seed(6)
        result = zero_shift(
            tile, n_pulses, method="closed-form", store=False, generator=generator, device=device
        )
        return abs(float(result.estimate.double().mean() / points.mean()) - 1.0) <= 0.01

    low, high = 2, 4
    while not is_enough(high):
        low, high = high, 2 * high
    while high > 1.01 * low + 2:
        middle = 2 * int(sqrt(low * high) / 2)
        low, high = (low, middle) if is_enough(middle) else (middle, high)
    return high


def test_pulses_go_as_one_over_the_step_size():
    # The device of Fig. 1, with a mean symmetric point of some 0.2 that 1 % of can be seen of.
    sizes = [5e-3, 1e-3, 2e-4, 4e-5, 8e-6, 1.6e-6]
    device = SoftBoundsDevice(
        construction_seed=3,
        w_min=-1.0,
        w_max=1.0,
        up_down=-0.3,
        mult_noise=False,
        dw_min_dtod=0.1,
        w_min_dtod=0.1,
        w_max_dtod=0.1,
    )
    needed = []
    for dw_min in sizes:
        device = replace(device, dw_min=dw_min)
        tile = make_tile(device, 96)
        points = symmetric_points(device, tile.get_hidden_parameters()).values
        needed.append(smallest_n(device, tile, points))
    exponent = np.polyfit(np.log(sizes), np.log(needed), 1)[0]
    assert log(sizes[0] / sizes[-1], 10) > 3.0
    assert abs(exponent + 1.0) < 0.1


@pytest.mark.parametrize("schedule", ["cyclic", "stochastic"])
@pytest.mark.parametrize("dw_min", [5e-3, 2e-4, 8e-6])
@pytest.mark.parametrize("name", ["SoftBounds-additive", "LinearStep", "SoftBoundsReference"])
def test_bound_of_the_theorem_holds(name, dw_min, schedule):
    device = replace(
        LINEAR[name], dw_min=dw_min, w_min=-1.0, w_max=1.0, dw_min_dtod=0.1, construction_seed=3
    )
    device = replace(device, w_min_dtod=0.1, w_max_dtod=0.1)
    tile = make_tile(device, 64)
    points = symmetric_points(device, tile.get_hidden_parameters()).values
    with pytest.raises(ArgumentError, match="below the floor"):
        pulse_budget(tile, 1e-12, schedule)
    floor = pulse_budget(tile, 100.0, schedule).floor
    for error in (floor, 3.0 * floor):
        budget = pulse_budget(tile, error, schedule)
        # With few states the floor is wider than the way to the points, which takes no pulse.
        assert budget.n_pulses > 0 or dw_min > 1e-3
        n_pulses = max(budget.n_pulses, 1)
        generator = torch.Generator().manual_seed(9)
        result = zero_shift(
            tile, n_pulses, schedule, "closed-form", store=False, generator=generator
        )
        # The theorem is about each cell's expectation, hence also about their mean.
        assert float((result.estimate - points).square().mean()) <= error
