"""Weights that cells can hold: the nearest ones with the same sums over inputs."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from aihwkit.nn import AnalogLinear
from aihwkit.simulator.configs.compounds import UnitCell
from aihwkit.simulator.configs.devices import SoftBoundsReferenceDevice
from scipy.optimize import minimize
from torch import Tensor

from aihwkit_dspt import build_config, with_symmetric_point
from aihwkit_dspt.devices.simulated import PERSISTENT
from aihwkit_dspt.tiles.crossbar import Crossbar
from aihwkit_dspt.tiles.reachable import reachable
from tests.device_table import CELLS, NOISY
from tests.helpers import tile_of

DEVICES = {**NOISY, **CELLS}


def draw(seed: int, n_outputs: int = 6, n_inputs: int = 9) -> tuple[Tensor, Tensor, Tensor]:
    """Return weights and bounds, of which a third exclude their weight."""
    torch.manual_seed(seed)
    weights = 0.3 * torch.randn(n_outputs, n_inputs)
    low = torch.empty_like(weights).uniform_(-1.0, 0.1)
    return weights, low, low + torch.empty_like(weights).uniform_(0.5, 1.5)


def test_sums_are_kept_within_the_bounds() -> None:
    """Sums over inputs are those that are wanted, and weights differ by one number per output.

    These are the conditions of Karush, Kuhn and Tucker for the nearest weights.
    """
    weights, low, high = draw(1)
    found = reachable(weights, low, high)
    assert bool(((low <= found) & (found <= high)).all())
    assert torch.allclose(found.sum(1), weights.sum(1), atol=1e-5)
    for row in range(len(weights)):
        shifts = (found - weights)[row]
        free = (found[row] > low[row]) & (found[row] < high[row])
        shift = shifts[free][0]
        assert torch.allclose(shifts[free], shift, atol=1e-6)
        assert bool((shifts[found[row] == low[row]] >= shift - 1e-6).all())
        assert bool((shifts[found[row] == high[row]] <= shift + 1e-6).all())


def test_no_other_weights_are_nearer() -> None:
    """Scipy's minimiser finds the same."""
    weights, low, high = (values[0].double().numpy() for values in draw(2))
    result = minimize(
        lambda v: ((v - weights) ** 2).sum(),
        np.clip(weights, low, high),
        bounds=list(zip(low, high)),
        constraints={"type": "eq", "fun": lambda v: v.sum() - weights.sum()},
        method="SLSQP",
    )
    found = reachable(*(torch.from_numpy(values)[None] for values in (weights, low, high)))
    assert np.allclose(found[0].numpy(), result.x, atol=1e-4)


def test_weights_within_the_bounds_stay() -> None:
    """An output without any that is out of them keeps all, bit by bit."""
    weights, low, high = draw(3)
    low[0], high[0] = -2.0, 2.0
    found = reachable(weights, low, high)
    assert torch.equal(found[0], weights[0])
    assert not torch.equal(found[1], weights[1])


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_sums_that_no_weights_have(sign: float) -> None:
    """All cells are at a bound then."""
    low, high = torch.full((2, 3), -0.5), torch.full((2, 3), 0.5)
    assert torch.equal(reachable(torch.full((2, 3), 2.0 * sign), low, high), 0.5 * sign + 0 * low)


@pytest.mark.parametrize("name", DEVICES)
def test_programming_spreads(name: str) -> None:
    """Cells of all devices hold the nearest weights; unit cells are set as aihwkit does."""
    torch.manual_seed(4)
    array = Crossbar(40, 30, DEVICES[name]())
    array.noise_on_set = 0.0
    low, high = torch.full((30, 40), -0.3), torch.full((30, 40), 0.3)
    if array.has_bounds():
        low, high = array.bounds(array.hidden_parameters())
    wanted = low + 0.1 * (high - low) - 0.05
    array.program(wanted, spreads=True)
    if not array.has_bounds():
        assert isinstance(array.device_config, UnitCell)
        spread = array.weights.clone()
        array.program(wanted)
        assert torch.equal(array.weights, spread)
    else:
        assert torch.equal(array.weights, reachable(wanted, low, high))
        parameters = array.device_parameters()
        if PERSISTENT in parameters:
            # aihwkit clips those below write noise before it subtracts the reference.
            held = array.weights.clamp(parameters["min_bound"], parameters["max_bound"])
            assert torch.allclose(parameters[PERSISTENT], held)


def test_first_pulses_do_not_shift_a_layer() -> None:
    """Sums over 300 inputs stay when each cell has taken pulses up and down.

    With symmetric points at 0.4 +- 0.2 a fifth of the cells have bounds that exclude zero. As
    aihwkit sets them they jump, by more than 0.03 on average, 300 inputs by ten. (Symmetric points
    pull, too: that is the rest.)
    """
    device = SoftBoundsReferenceDevice(
        dw_min=0.001,
        w_max_dtod=0.3,
        w_min_dtod=0.3,
        enforce_consistency=True,
        subtract_symmetry_point=True,
    )
    shifted = with_symmetric_point(device, 0.4, 0.2)
    moved = {}
    for spreads in (True, False):
        torch.manual_seed(5)
        config = build_config("e-rider", shifted, construction_seed=7, spread_remainder=spreads)
        slow = tile_of(AnalogLinear(300, 20, bias=False, rpu_config=config)).tile.pipeline.slow
        before = slow.weights.sum(1)
        low, high = slow.bounds(slow.hidden_parameters())
        outside = (slow.weights < low) | (slow.weights > high)
        assert float(outside.double().mean()) > 0.1 if not spreads else not bool(outside.any())
        for sign in (1.0, -1.0):
            slow.pulse(torch.ones(1, 300), torch.full((1, 20), sign), slow.granularity)
        moved[spreads] = float((slow.weights.sum(1) - before).mean())
    assert moved[False] > 5.0
    assert abs(moved[True]) < 0.1 * moved[False]


def test_set_weights_of_a_model() -> None:
    """What a layer shows after ``set_weights`` is what its cells hold; sums are those given."""
    device = with_symmetric_point(SoftBoundsReferenceDevice(subtract_symmetry_point=True), 0.4)
    for spreads in (True, False):
        config = build_config("e-rider", device, construction_seed=1, spread_remainder=spreads)
        layer = AnalogLinear(30, 20, bias=False, rpu_config=config)
        torch.manual_seed(6)
        weights = 0.3 * torch.randn(20, 30)
        layer.set_weights(weights)
        assert torch.allclose(layer.get_weights()[0].sum(1), weights.sum(1), atol=1e-4) is spreads


@pytest.mark.parametrize("name", NOISY)
def test_weights_that_all_cells_hold_need_no_parameters(name: str) -> None:
    """The shorter way does the same, and is not taken with other parameters."""
    torch.manual_seed(8)
    arrays = [Crossbar(20, 10, NOISY[name]()) for _ in range(2)]
    arrays[1].set_hidden_parameters(arrays[0].hidden_parameters())
    arrays[0].find_faults()
    low, high = arrays[0].bounds(arrays[0].hidden_parameters())
    for scale in (1e-3, 10.0):
        middle = (float(low.max()) + float(high.min())) / 2
        weights = middle + scale * torch.randn(10, 20)
        for array in arrays:
            array.noise_on_set = 0.0
            array.program(weights, spreads=True)
        assert torch.equal(arrays[0].weights, arrays[1].weights)
        is_within = float(low.max()) <= weights.min() and weights.max() <= float(high.min())
        assert torch.equal(arrays[0].weights, weights) is bool(is_within)


def test_arrays_with_faults_are_set_as_they_are() -> None:
    """A bound that is no number would make all weights of its output so."""
    torch.manual_seed(9)
    array = Crossbar(4, 3, NOISY["soft"]())
    parameters = array.hidden_parameters()
    parameters[array.hidden_parameter_names().index("max_bound"), 1, 2] = torch.nan
    array.set_hidden_parameters(parameters)
    array.find_faults()
    array.program(torch.full((3, 4), 0.01), spreads=True)
    assert array.weights.isnan().sum() <= 1
