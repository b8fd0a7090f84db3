"""Composed moments against the moments step by step, and against simulated pulses."""

from __future__ import annotations

from math import sqrt

import pytest
import torch
from aihwkit.simulator.configs.devices import SoftBoundsDevice

from aihwkit_dspt.devices import response
from aihwkit_dspt.zero_shifting.moments import AffineMoments, fair_choice, one_pulse
from aihwkit_dspt.zero_shifting.vectorised import simulate_pulses
from tests.device_table import VARIED
from tests.devices.simulated import make_tile


def draw_map(generator):
    draw = torch.rand(6, 5, generator=generator, dtype=torch.float64)
    return AffineMoments(0.5 + draw[0] / 2, draw[1], 0.5 + draw[2] / 2, draw[3], draw[4], draw[5])


def test_power_is_repeated_application():
    generator = torch.Generator().manual_seed(1)
    one = draw_map(generator)
    start = torch.rand(2, 5, generator=generator, dtype=torch.float64)
    n_steps = torch.tensor([0, 1, 2, 7, 37])
    mean, variance = start[0].clone(), start[1].clone()
    for step in range(int(n_steps.max())):
        later = one.apply(mean, variance)
        mean = torch.where(step < n_steps, later[0], mean)
        variance = torch.where(step < n_steps, later[1], variance)
    torch.testing.assert_close(one.power(n_steps).apply(*start), (mean, variance))


def test_order_of_composition():
    generator = torch.Generator().manual_seed(2)
    one, other = draw_map(generator), draw_map(generator)
    start = torch.rand(2, 5, generator=generator, dtype=torch.float64)
    torch.testing.assert_close(one.then(other).apply(*start), other.apply(*one.apply(*start)))


def test_fair_choice_mixes_the_outcomes():
    generator = torch.Generator().manual_seed(3)
    one, other = draw_map(generator), draw_map(generator)
    start = torch.rand(2, 5, generator=generator, dtype=torch.float64)
    (mean_1, variance_1), (mean_2, variance_2) = one.apply(*start), other.apply(*start)
    mean = (mean_1 + mean_2) / 2
    second_moment = (variance_1 + mean_1**2 + variance_2 + mean_2**2) / 2
    mixed = fair_choice(one, other).apply(*start)
    torch.testing.assert_close(mixed, (mean, second_moment - mean**2))


@pytest.mark.parametrize("schedule", ["cyclic", "stochastic"])
@pytest.mark.parametrize("mult_noise", [True, False], ids=["multiplicative", "additive"])
def test_moments_are_those_of_simulated_pulses(mult_noise, schedule):
    # All cells alike and far from their bounds; noise so large that its terms matter.
    device = SoftBoundsDevice(
        dw_min=0.01,
        dw_min_std=1.0,
        up_down=0.3,
        mult_noise=mult_noise,
        w_max=3.0,
        w_min=-3.0,
        **dict.fromkeys(("dw_min_dtod", "up_down_dtod", "w_max_dtod", "w_min_dtod"), 0.0),
    )
    cells = response(device, make_tile(device, 256).get_hidden_parameters())
    start = torch.full((256, 256), 0.5, dtype=torch.float64)
    n_pulses = 101
    generator = torch.Generator().manual_seed(4)
    weights = simulate_pulses(cells, start, n_pulses, schedule, generator)
    up, down = one_pulse(cells, upwards=True), one_pulse(cells, upwards=False)
    if schedule == "cyclic":
        moments = up.then(down).power(torch.tensor(n_pulses // 2)).then(up)
    else:
        moments = fair_choice(up, down).power(torch.tensor(n_pulses))
    mean, variance = (float(item.mean()) for item in moments.apply(start, torch.zeros_like(start)))
    # 5 sigma each: false alarm 6e-7.
    n_cells = weights.numel()
    assert abs(float(weights.mean()) - mean) < 5.0 * sqrt(variance / n_cells)
    assert abs(float(weights.var()) / variance - 1.0) < 5.0 * sqrt(2.0 / n_cells)


def test_pulse_has_the_mean_and_spread_of_the_response():
    device = VARIED["SoftBoundsReference"]
    cells = response(device, make_tile(device).get_hidden_parameters())
    weights = cells.at_fraction(0.4)
    for upwards, sign in ((True, 1.0), (False, -1.0)):
        step = cells.q_plus(weights) if upwards else cells.q_minus(weights)
        sigma = cells.sigma_plus(weights) if upwards else cells.sigma_minus(weights)
        mean, variance = one_pulse(cells, upwards).apply(weights, torch.zeros_like(weights))
        torch.testing.assert_close(mean, weights + sign * cells.dw_min * step)
        torch.testing.assert_close(variance, (cells.dw_min * sigma) ** 2)
