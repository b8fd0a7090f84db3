"""Symmetric points against the place where aihwkit's pulses come to rest."""

from __future__ import annotations

from copy import deepcopy
from math import hypot, sqrt

import pytest
import torch
from aihwkit.exceptions import ArgumentError
from aihwkit.simulator.configs.devices import PiecewiseStepDevice

from aihwkit_dspt.devices import response, symmetric_points
from tests.device_table import VARIED, WITHOUT_POINTS
from tests.devices.simulated import ONE_PULSE, make_tile, persistent, send

N_PAIRS = 2000


def rest(tile, n_pairs):
    """Send pulse pairs; return the weight in the middle of the last one."""
    x_input = torch.full((2 * n_pairs - 1, 64), 2.0)
    d_input = torch.full((2 * n_pairs - 1, 64), -2.0)
    d_input[1::2] = 2.0
    granularity = tile.tile.dump_extra()["rpu.rpu_device.weight_granularity"][0]
    tile.tile.set_learning_rate(granularity)
    tile.tile.update(x_input, d_input, False)
    after_up = persistent(tile)
    send(tile, upwards=False)
    return (after_up + persistent(tile)) / 2.0


def with_small_steps(device):
    """Return a copy whose step is so small that what is of second order in it does not show."""
    device = deepcopy(device)
    if device.dw_min is not None:
        device.dw_min = min(device.dw_min, 0.0005)
        device.dw_min_std = min(device.dw_min_std, 0.3)
    return device


def start_at_points(device):
    """Return symmetric points, and how far pulse pairs moved cells away that started there."""
    tile = make_tile(device, **ONE_PULSE)
    hidden = tile.get_hidden_parameters()
    cells, points = response(device, hidden), symmetric_points(device, hidden).values
    # Alternating pulses balance where an up pulse from below is as large as the down pulse from
    # above: half a step below and above the point, or somewhat off if the slopes differ.
    up, down = cells.dq_plus(points), cells.dq_minus(points)
    step = cells.dw_min * cells.F(points)
    middle = points - step * (up + down) / (2.0 * (down - up))
    start = middle - step / 2.0
    tile.tile.set_weights(start.nan_to_num().float())
    # aihwkit clips weights that are set to the bounds without the reference; and cells that
    # meet their bounds are off by what is clipped.
    started = (persistent(tile) - start).abs() < 1e-6
    margin = 0.15 * (cells.w_max - cells.w_min)
    started &= (points > cells.w_min + margin) & (points < cells.w_max - margin)
    assert int(started.sum()) > 1000
    change = rest(tile, N_PAIRS) - middle
    return points[started], change[started], cells.cells(started.flatten())


@pytest.mark.parametrize("name", VARIED)
def test_asymmetric_part_vanishes(name):
    hidden = make_tile(VARIED[name]).get_hidden_parameters()
    result = symmetric_points(VARIED[name], hidden)
    cells = response(VARIED[name], hidden)
    found = ~torch.isnan(result.values)
    assert result.n_missing == int((~found).sum())
    assert int(found.sum()) > 2000
    assert result.values.shape == (64, 64)
    # Double-precision rounding of steps of up to 30 dw_min (PCM).
    assert float(cells.G(result.values)[found].abs().max()) < 1e-13
    assert bool((cells.dG_dw(result.values)[found] > 0).all())
    inside = (result.values > cells.w_min) & (result.values < cells.w_max)
    assert bool(inside[found].all())


@pytest.mark.parametrize("name", WITHOUT_POINTS)
def test_no_point_is_nan(name):
    hidden = make_tile(WITHOUT_POINTS[name]).get_hidden_parameters()
    result = symmetric_points(WITHOUT_POINTS[name], hidden)
    assert bool(torch.isnan(result.values).all())
    assert result.n_missing == 64 * 64


def test_corrupt_cells_have_no_point():
    device = VARIED["ReRamArrayHfO2"]
    hidden = make_tile(device).get_hidden_parameters()
    corrupt = hidden["max_bound"] == hidden["min_bound"]
    assert 0 < int(corrupt.sum()) < 1000
    values = symmetric_points(device, hidden).values
    assert bool(torch.isnan(values[corrupt]).all())
    assert not bool(torch.isnan(values[~corrupt]).any())


@pytest.mark.parametrize("name", VARIED)
def test_pulses_without_noise_rest_at_the_point(name):
    device = with_small_steps(VARIED[name])
    device.dw_min_std = 0.0
    points, change, cells = start_at_points(device)
    # What remains: the kinks of piecewise devices, which the middle does not know, and rounding:
    # single precision pushes by up to 3e-8 per pulse, against a pull of 5e-4 times the distance.
    limit = 0.3 * cells.dw_min * cells.F(points) + 1e-4
    assert bool((change.abs() < limit).all())
    assert float(points.std()) > 20 * float(limit.median())


# The noise of PCM does not shrink with the step size, and its response is curved.
@pytest.mark.parametrize("name", [name for name in VARIED if name != "PCM"])
def test_pulses_with_noise_have_no_mean_drift(name):
    points, change, _ = start_at_points(with_small_steps(VARIED[name]))
    # 5 sigma each: false alarm 6e-7. The mean as such, and by how far cells with a high point
    # move otherwise than cells with a low one: a wrong sign of the points leaves the mean alone.
    error = mean_error(change, points, VARIED[name])
    assert abs(float(change.mean())) < 5.0 * error
    centred = (points - points.mean()) / points.std()
    assert abs(float((change * centred).mean())) < 5.0 * error


def mean_error(change, points, device):
    """Return the standard error of the mean change.

    aihwkit draws noise from a list of 32768 normal numbers whose mean m is not zero. If the noise
    is additive, that moves the rest by the factor 1 + dw_min_std * m.
    """
    by_list = min(device.dw_min_std, 0.3) * float(points.square().mean().sqrt()) / sqrt(32768)
    return hypot(float(change.std()) / sqrt(points.numel()), by_list)


def test_the_test_above_notices_a_wrong_sign():
    device = with_small_steps(VARIED["SoftBounds"])
    tile = make_tile(device, **ONE_PULSE)
    points = symmetric_points(device, tile.get_hidden_parameters()).values
    tile.tile.set_weights(-points.float())
    change = rest(tile, N_PAIRS) + points
    error = mean_error(change, points, device)
    centred = (points - points.mean()) / points.std()
    assert abs(float((change * centred).mean())) > 20.0 * error


def test_the_point_is_the_one_that_pulses_from_the_start_reach():
    # G is -, +, -, +, - at the nodes: two resting points, two that repel.
    device = PiecewiseStepDevice(
        piecewise_up=[1.0] * 5,
        piecewise_down=[0.5, 1.5, 0.5, 1.5, 0.5],
        w_min_dtod=0.0,
        w_max_dtod=0.0,
        w_max=1.0,
        w_min=-1.0,
        up_down_dtod=0.0,
        dw_min=0.005,
        dw_min_dtod=0.0,
        dw_min_std=0.0,
    )
    tile = make_tile(device, **ONE_PULSE)
    hidden = tile.get_hidden_parameters()
    for start, expected in ((0.0, 0.25), (-0.4, -0.75), (0.9, torch.nan)):
        values = symmetric_points(device, hidden, start).values
        torch.testing.assert_close(
            values, torch.full_like(values, expected), equal_nan=True, rtol=0.0, atol=1e-9
        )
        tile.tile.set_weights(torch.full((64, 64), start))
        reached = rest(tile, N_PAIRS)
        # Without a point on its way the weight ends at the bound.
        end = 1.0 if start == 0.9 else expected
        assert float((reached - end).abs().max()) < 0.004


@pytest.mark.parametrize("start", [None, "0", float("nan"), float("inf"), True])
def test_start_that_is_no_number(start):
    """Of any device, also where it does not matter."""
    device = VARIED["LinearStep"]
    tile = make_tile(device, 3)
    with pytest.raises(ArgumentError, match="start="):
        symmetric_points(device, tile.get_hidden_parameters(), start)
