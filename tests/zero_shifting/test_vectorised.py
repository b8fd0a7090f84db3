"""Pulses in torch against aihwkit's."""

from __future__ import annotations

from copy import deepcopy

import pytest
import torch
from scipy.stats import kstest

from aihwkit_dspt.devices import response
from aihwkit_dspt.zero_shifting import simulate_pulses, zero_shift
from tests.device_table import ALL_VARIED, VARIED
from tests.devices.simulated import ONE_PULSE, make_tile, persistent, send


@pytest.mark.parametrize("weights", [0.0, 0.5], ids=["inside", "some beyond the bounds"])
@pytest.mark.parametrize("name", ALL_VARIED)
def test_without_noise_it_is_the_simulator(name, weights):
    device = deepcopy(ALL_VARIED[name])
    device.dw_min_std = 0.0
    tile = make_tile(device, weights=weights, **ONE_PULSE)
    cells = response(device, tile.get_hidden_parameters())
    sent = []
    expected = simulate_pulses(cells, persistent(tile), 101, "cyclic", progress=sent.append)
    assert sum(sent) == 101
    for pulse in range(101):
        send(tile, upwards=pulse % 2 == 0)
    # Single precision, one rounding of weights of a few units per pulse.
    torch.testing.assert_close(persistent(tile), expected, rtol=0.0, atol=5e-5)


NOISY = ["ExpStep", "PowStep", "PowStepReference", "PiecewiseStep", "PCM"]


def with_schedules():
    """Every device with both schedules; one of the two, in turn, is for the slow run."""
    for number, name in enumerate(NOISY):
        for place, schedule in enumerate(["cyclic", "stochastic"]):
            marks = [] if place == number % 2 else [pytest.mark.slow]
            yield pytest.param(name, schedule, marks=marks)


@pytest.mark.parametrize(("name", "schedule"), with_schedules())
def test_with_noise_it_has_the_law_of_the_simulator(name, schedule):
    # All noise of a tile comes from one list of 32,768 numbers, whose mean is off by 1/181 of their
    # deviation: it moves the PCM cells of a tile by 4 % of their spread (measured), which 9,216
    # cells of a single tile would notice. So they are those of 36 tiles.
    draws = {"pulses": [], "vectorised": []}
    for seed in range(36):
        tile = make_tile(VARIED[name], 16)
        for offset, (method, estimates) in enumerate(draws.items()):
            generator = torch.Generator().manual_seed(2 * seed + offset)
            shifted = zero_shift(tile, 201, schedule, method, store=False, generator=generator)
            estimates.append(shifted.estimate.flatten())
    # False alarm 6e-7.
    assert kstest(*(torch.cat(draw).numpy() for draw in draws.values())).pvalue > 5.7e-7
