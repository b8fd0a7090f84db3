"""Response functions against the steps of aihwkit's C++ simulator."""

from __future__ import annotations

from copy import deepcopy
from math import sqrt

import pytest
import torch
from aihwkit.exceptions import ConfigError
from aihwkit.simulator.configs.compounds import TransferCompound
from aihwkit.simulator.configs.devices import IdealDevice

from aihwkit_dspt.devices import response
from tests.device_table import ALL_VARIED
from tests.devices.simulated import ONE_PULSE, make_tile, persistent, send

N_STARTS = 8
# aihwkit draws its noise from a list of so many normal numbers, made anew for each tile: their mean
# and variance are themselves random.
NOISE_LIST = 32768


def set_inside(tile, cells, generator):
    """Set each weight to a random place well inside its bounds; return what came of it."""
    fraction = torch.rand(cells.w_min.shape, generator=generator, dtype=torch.float64)
    weights = cells.w_min + (0.1 + 0.8 * fraction) * (cells.w_max - cells.w_min)
    tile.tile.set_weights(weights.float())
    return persistent(tile)


@pytest.mark.parametrize("upwards", [True, False], ids=["up", "down"])
@pytest.mark.parametrize("name", ALL_VARIED)
def test_noise_free_step_is_dw_min_times_q(name, upwards):
    device = deepcopy(ALL_VARIED[name])
    device.dw_min_std = 0.0
    tile = make_tile(device, **ONE_PULSE)
    cells = response(device, tile.get_hidden_parameters())
    generator = torch.Generator().manual_seed(1)
    for _ in range(N_STARTS):
        before = set_inside(tile, cells, generator)
        send(tile, upwards)
        step = cells.q_plus(before) if upwards else -cells.q_minus(before)
        expected = (before + cells.dw_min * step).clamp(cells.w_min, cells.w_max)
        # Single-precision rounding of weights of up to a few units, with and without reference.
        torch.testing.assert_close(persistent(tile), expected, rtol=0.0, atol=2e-6)


@pytest.mark.parametrize("upwards", [True, False], ids=["up", "down"])
@pytest.mark.parametrize("name", ALL_VARIED)
def test_mean_and_spread_of_noisy_steps(name, upwards):
    device = ALL_VARIED[name]
    tile = make_tile(device, **ONE_PULSE)
    cells = response(device, tile.get_hidden_parameters())
    generator = torch.Generator().manual_seed(2)
    scores, places = [], []
    for _ in range(N_STARTS):
        before = set_inside(tile, cells, generator)
        send(tile, upwards)
        step = cells.q_plus(before) if upwards else -cells.q_minus(before)
        sigma = cells.sigma_plus(before) if upwards else cells.sigma_minus(before)
        # Steps that a bound may clip (6 sigma) are left out.
        low = before + cells.dw_min * (step - 6.0 * sigma)
        high = before + cells.dw_min * (step + 6.0 * sigma)
        # The rounding of the weight must not show beside the noise.
        seen = (low > cells.w_min) & (high < cells.w_max) & (cells.dw_min * sigma > 1e-5)
        scores.append(((persistent(tile) - before) / cells.dw_min - step)[seen] / sigma[seen])
        places.append(before[seen])
    score, place = torch.cat(scores), torch.cat(places)
    if name == "SoftBounds-corrupt" or (name == "SoftBounds-up-only" and not upwards):
        assert score.numel() == 0
        return
    n_scores = score.numel()
    assert n_scores > 1000
    # 5 sigma each: false alarm 6e-7.
    limit = 5.0 * sqrt(1.0 / n_scores + 1.0 / NOISE_LIST)
    assert abs(float(score.mean())) < limit
    assert abs(float((score**2).mean()) - 1.0) < sqrt(2.0) * limit
    assert abs(float((score * place).mean() / place.square().mean().sqrt())) < limit


@pytest.mark.parametrize("name", ALL_VARIED)
def test_weights_stay_within_the_bounds(name):
    tile = make_tile(ALL_VARIED[name], **ONE_PULSE)
    cells = response(ALL_VARIED[name], tile.get_hidden_parameters())
    for upwards in (True, False):
        send(tile, upwards, 3000)
        weights = persistent(tile)
        assert bool((weights <= cells.w_max + 1e-6).all())
        assert bool((weights >= cells.w_min - 1e-6).all())
        if name in ("ConstantStep", "PiecewiseStep-one-node", "EcRam"):
            bound = cells.w_max if upwards else cells.w_min
            reached = (weights - bound).abs() < 0.01 * (cells.w_max - cells.w_min)
            assert float(reached.double().mean()) > 0.9


@pytest.mark.parametrize("name", ALL_VARIED)
def test_derivatives_are_those_of_the_functions(name):
    tile = make_tile(ALL_VARIED[name])
    cells = response(ALL_VARIED[name], tile.get_hidden_parameters())
    place = 0.13 + 0.7 * torch.rand(64, 64, generator=torch.Generator().manual_seed(3)).double()
    weights = (cells.w_min + place * (cells.w_max - cells.w_min)).requires_grad_()
    pairs = (
        (cells.q_plus, cells.dq_plus),
        (cells.q_minus, cells.dq_minus),
        (cells.G, cells.dG_dw),
    )
    for function, derivative in pairs:
        values = function(weights)
        expected = torch.zeros_like(values)
        if values.requires_grad:
            (expected,) = torch.autograd.grad(values.sum(), weights)
        torch.testing.assert_close(derivative(weights.detach()), expected)


def test_symmetric_and_asymmetric_part_give_the_steps_back():
    tile = make_tile(ALL_VARIED["PowStep"])
    cells = response(ALL_VARIED["PowStep"], tile.get_hidden_parameters())
    weights = cells.at_fraction(0.3)
    torch.testing.assert_close(cells.F(weights) - cells.G(weights), cells.q_plus(weights))
    torch.testing.assert_close(cells.F(weights) + cells.G(weights), cells.q_minus(weights))


@pytest.mark.parametrize("device", [IdealDevice(), TransferCompound(), None])
def test_other_devices_are_refused(device):
    with pytest.raises(ConfigError, match="no known response"):
        response(device, {})


def test_missing_or_invalid_hidden_parameters_are_named():
    hidden = make_tile(ALL_VARIED["LinearStep"]).get_hidden_parameters()
    with pytest.raises(ConfigError, match="'reference'"):
        response(ALL_VARIED["SoftBoundsReference"], hidden)
    hidden["slope_up"][3, 4] = torch.nan
    with pytest.raises(ConfigError, match="slope_up"):
        response(ALL_VARIED["LinearStep"], hidden)
