"""Batched pulses against aihwkit's tile: exactly without chance, in distribution with it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Dict, List

import numpy as np
import pytest
import torch
from aihwkit.exceptions import ConfigError
from aihwkit.simulator.configs.devices import (
    ConstantStepDevice,
    PiecewiseStepDevice,
    SoftBoundsDevice,
    SoftBoundsPmaxDevice,
)
from aihwkit.simulator.parameters.enums import PulseType
from aihwkit.simulator.parameters.training import UpdateParameters
from torch import Tensor

from aihwkit_dspt import PulseMode, TrackingRPUConfig, TrackingTile, TrackingTransferCompound
from aihwkit_dspt.fused.fine_pulses_cpu import WORDS
from aihwkit_dspt.fused.trains_cpu import sizes_of
from aihwkit_dspt.pulses import cells
from aihwkit_dspt.pulses.batched import BatchedPulses
from aihwkit_dspt.pulses.coverage import DEVICES, device_obstacle
from aihwkit_dspt.tiles.array_state import set_state, state_of
from aihwkit_dspt.tiles.crossbar import Crossbar
from tests import table
from tests.device_table import NOISY, quiet
from tests.pulses.laws import (
    D_SIZE,
    X_SIZE,
    arrays,
    noisy_cases,
    same_correlations,
    same_law,
    samples,
)

BATCHES = {"one vector": (1, 31), "some": (10, 5), "many": (64, 15)}
"""Name -> vectors and ``desired_bl``."""


def vectors(n_vectors: int, is_sparse: bool) -> List[Tensor]:
    """Return ``[n, x_size]`` inputs and ``[n, d_size]`` errors."""
    x, d = torch.randn(n_vectors, X_SIZE), torch.randn(n_vectors, D_SIZE) - 0.3
    if is_sparse:
        x = x * (torch.rand_like(x) < 0.3)
    return [x, d]


def pulsed(x: Tensor, d: Tensor, rate: float) -> Any:
    """Return what sends the pulses of vectors to an array."""
    return lambda array: array.pulse(x, d, rate)


@pytest.mark.parametrize(
    ("name", "batch", "where"), noisy_cases(list(BATCHES), ["middle", "bound"])
)
def test_same_law_as_the_tile(name: str, batch: str, where: str) -> None:
    """Weights, their spread, distribution and correlation along lines."""
    torch.manual_seed(11)
    n_vectors, desired_bl = BATCHES[batch]
    update = UpdateParameters(desired_bl=desired_bl)
    tile, batched = arrays(NOISY[name](), update)
    x, d = vectors(n_vectors, is_sparse=where == "bound")
    rate = 0.7 * desired_bl * tile.granularity / float(x.abs().max() * d.abs().max())
    tile.program(
        torch.empty(D_SIZE, X_SIZE).uniform_(-0.3, 0.3)
        if where == "middle"
        else torch.full((D_SIZE, X_SIZE), 9.0)
    )
    start = tile.weights.clone()
    wanted, found = (samples(array, start, pulsed(x, d, rate)) for array in (tile, batched))
    is_dense = n_vectors == 64 and where == "middle"
    assert same_law(found, wanted, start, is_dense)
    if where == "middle":  # else many cells move seldom
        assert same_correlations(found, wanted)


def test_same_law_on_many_words_and_columns() -> None:
    """Cells side by side in a row, of which some have few states or are near a bound."""
    torch.manual_seed(15)
    update = UpdateParameters(desired_bl=31, update_bl_management=False)
    device = SoftBoundsDevice(dw_min=2 / 1200, w_max_dtod=0.6, w_min_dtod=0.6)
    tile, batched = arrays(device, update, x_size=24)
    x, d = torch.randn(250, 24), torch.randn(250, D_SIZE) - 0.3
    rate = 0.7 * 31 * tile.granularity / float(x.abs().max() * d.abs().max())
    assert batched.batched is not None
    assert batched.batched.draw(x, d, rate).columns[0].shape[1] > WORDS
    tile.program(torch.empty(D_SIZE, 24).uniform_(-0.6, 0.6))
    start = tile.weights.clone()
    wanted, found = (samples(array, start, pulsed(x, d, rate)) for array in (tile, batched))
    assert same_law(found, wanted, start, is_dense=True)


def test_signs_are_those_of_modulated_vectors() -> None:
    """A chopper's signs turn pulses that are drawn as vectors with these signs turn theirs."""
    _, batched = arrays(NOISY["soft"](), UpdateParameters(desired_bl=15))
    assert batched.batched is not None
    x, d = vectors(64, is_sparse=True)
    signs = torch.randn(X_SIZE).sign(), torch.randn(D_SIZE).sign()
    for x_signs, d_signs in ((signs[0], None), (None, signs[1]), signs):
        torch.manual_seed(21)
        found = batched.batched.draw(x, d, 0.1, signs=(x_signs, d_signs))
        x_chopped = x if x_signs is None else x * x_signs
        d_chopped = d if d_signs is None else d * d_signs
        torch.manual_seed(21)
        wanted = batched.batched.draw(x_chopped, d_chopped, 0.1)
        for one, other in zip(found.columns + found.rows, wanted.columns + wanted.rows):
            assert np.array_equal(one, other)
        torch.manual_seed(21)
        plain = batched.batched.draw(x, d, 0.1)
        assert not np.array_equal(found.columns[1], plain.columns[1]) or x_signs is None


@pytest.mark.parametrize("fault", ["mean", "spread"])
def test_the_comparison_notices_ten_percent(fault: str) -> None:
    """Of the change of the weights, or of its spread."""
    torch.manual_seed(12)
    update = UpdateParameters(desired_bl=15)
    tile, batched = arrays(NOISY["soft"](), update)
    x, d = vectors(64, is_sparse=False)
    rate = 0.7 * 15 * tile.granularity / float(x.abs().max() * d.abs().max())
    start = torch.zeros(D_SIZE, X_SIZE)
    wanted, found = (samples(array, start, pulsed(x, d, rate)) for array in (tile, batched))
    assert same_law(found, wanted, start, is_dense=True)
    faulty = found * 1.1 if fault == "mean" else found + 0.1 * (found - found.mean(0))
    assert not same_law(faulty, wanted, start, is_dense=True)


@pytest.mark.parametrize("at_once", [False, True])
@pytest.mark.parametrize("kind", [*DEVICES, SoftBoundsPmaxDevice], ids=lambda kind: kind.__name__)
def test_certain_pulses_are_those_of_the_tile(
    kind: Any, at_once: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With probabilities of one and without noise: one after the other to single precision.

    Taken at once the order is lost, which is worth 3 % of the pulses' sum at most.
    """
    torch.manual_seed(13)
    if not at_once:
        monkeypatch.setattr(cells, "LARGEST_CHANGE", -1.0)
    tile, batched = arrays(quiet(kind, dw_min=0.002), UpdateParameters(desired_bl=3))
    assert batched.batched is not None
    assert at_once or not batched.batched.cells().at_once
    x = torch.randn(40, X_SIZE).sign() * (torch.rand(40, X_SIZE) < 0.7)
    x[:, 0] = 1.0
    d = torch.randn(40, D_SIZE).sign()
    start = torch.empty(D_SIZE, X_SIZE).uniform_(-0.2, 0.2)
    for array in (tile, batched):
        array.place(start)
        array.pulse(x, d, 3.0 * tile.granularity)
    n_pulses = 3.0 * d.abs().t() @ x.abs()
    assert not torch.allclose(tile.weights, start, atol=1e-3)
    allowed = 0.03 * n_pulses * tile.granularity + 1e-6 if at_once else 2e-6 + 0.0 * n_pulses
    assert ((batched.weights - tile.weights).abs() <= allowed).all()


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"update_bl_management": False},
        {"update_bl_management": False, "update_management": False},
        {"update_bl_management": False, "update_management": False, "fixed_bl": True},
        {"um_grad_scale": 0.5},
        {"pulse_type": PulseType.STOCHASTIC},
    ],
    ids=str,
)
@pytest.mark.parametrize("size", [0.3, 40.0], ids=["few pulses", "more than fit"])
def test_trains_of_all_managements(changes: Dict[str, Any], size: float) -> None:
    """Expected pulses of constant steps, with trains that suffice and that do not."""
    torch.manual_seed(14)
    update = UpdateParameters(desired_bl=10, **changes)
    tile, batched = arrays(quiet(ConstantStepDevice, dw_min=1e-4, up_down=0.0), update)
    x, d = vectors(20, is_sparse=False)
    rate = size * tile.granularity
    start = torch.zeros(D_SIZE, X_SIZE)
    wanted, found = (samples(array, start, pulsed(x, d, rate)) for array in (tile, batched))
    assert wanted.abs().max() > 1e-4
    assert same_law(found, wanted, start, is_dense=False)


def test_vectors_without_pulses() -> None:
    """Zeros, what is no number, no vector and no learning rate send nothing."""
    _, array = arrays(quiet(SoftBoundsDevice), UpdateParameters())
    start = array.weights.clone()
    nothing = torch.zeros(9, X_SIZE), torch.ones(9, D_SIZE)
    nan = torch.full((9, X_SIZE), torch.nan), torch.ones(9, D_SIZE)
    none = torch.zeros(0, X_SIZE), torch.zeros(0, D_SIZE)
    for pair in (nothing, nan, none):
        array.pulse(*pair, 0.1)
    array.pulse(torch.ones(9, X_SIZE), torch.ones(9, D_SIZE), 0.0)
    array.pulse(torch.ones(9, X_SIZE), torch.ones(9, D_SIZE), torch.nan)
    array.pulse(torch.full((9, X_SIZE), torch.inf), torch.ones(9, D_SIZE), 0.0)
    assert torch.equal(array.weights, start)


EXTREME = (torch.nan, torch.inf, -torch.inf, 3e38, 1e30, 1e-30, 1e-45)


@pytest.mark.parametrize("manages", [False, True])
@pytest.mark.parametrize("value", EXTREME)
@pytest.mark.parametrize("sides", ["x", "d", "xd"])
def test_inputs_of_any_size(manages: bool, value: float, sides: str) -> None:
    """One vector does not keep the others from being sent; what is no number sends nothing."""
    update = UpdateParameters(update_management=manages, update_bl_management=manages)
    _, array = arrays(quiet(SoftBoundsDevice), update)
    x, d = torch.zeros(5, X_SIZE), torch.zeros(5, D_SIZE)
    x[2, 1] = value if "x" in sides else 1.0
    d[2, 1] = value if "d" in sides else 1.0
    # Others' rows and columns; of a rate with which each has pulses in every slot.
    x[[0, 1, 3, 4], 2] = d[[0, 1, 3, 4], 2] = 1.0
    start = array.weights.clone()
    array.pulse(x, d, 100.0)
    moved = (array.weights - start) != 0.0
    assert moved[2, 2]
    assert bool(array.weights.isfinite().all())
    moved[2, 2] = False
    if value != value:
        assert not moved.any()
    moved[1, 1] = False
    assert not moved.any()


def test_a_seed_fixes_the_pulses() -> None:
    """Torch's seed is all that they depend on."""
    _, array = arrays(NOISY["write noise"](), UpdateParameters())
    x, d = vectors(20, is_sparse=False)
    found = []
    for seed in (1, 1, 2):
        array.place(torch.zeros(D_SIZE, X_SIZE))
        torch.manual_seed(seed)
        array.pulse(x, d, 0.1)
        found.append(array.weights.clone())
    assert torch.equal(found[0], found[1])
    assert not torch.equal(found[0], found[2])


def test_weights_below_write_noise_are_never_lost() -> None:
    """Those that pulses change are what is read, copied, saved and used by the C++ tile."""
    torch.manual_seed(15)
    device = replace(NOISY["write noise"](), reset_std=0.0)
    _, array = arrays(device, UpdateParameters())
    x, d = vectors(20, is_sparse=False)
    array.pulse(x, d, 0.2)
    persistent = array.device_parameters()["persistent_weights"]
    noise = (array.weights - persistent)[persistent != 0.0]
    # Twelve numbers of the write noise, 2 dw_min.
    assert 0.3 < noise.std() / (2.0 * device.dw_min) < 2.0
    granularity = array.granularity
    _, other = arrays(device, UpdateParameters())
    other.copy_from(array)
    assert torch.equal(other.device_parameters()["persistent_weights"], persistent)
    loaded = Crossbar(X_SIZE, D_SIZE, device, update=UpdateParameters())
    set_state(loaded, state_of(array))
    assert torch.allclose(loaded.device_parameters()["persistent_weights"], persistent)
    assert torch.equal(loaded.weights, array.weights)
    names = array.hidden_parameter_names()
    held = array.tile.get_hidden_parameters()[names.index("persistent_weights")]
    assert torch.allclose(held, persistent)
    assert array.batched is not None
    assert array.batched.persistent is None
    assert array.granularity == granularity
    array.pulse(x, d, 0.2)
    plain = Crossbar(X_SIZE, D_SIZE, device, update=UpdateParameters())
    plain.copy_from(array)  # without a place for weights that are ahead of its C++ tile
    held = plain.device_parameters()["persistent_weights"]
    assert torch.allclose(held, array.device_parameters()["persistent_weights"])
    changed = array.device_parameters()["persistent_weights"]
    assert (changed - persistent).abs().max() > device.dw_min


def test_parameters_that_are_set_count() -> None:
    """Pulses have the steps of the device parameters of now."""
    device = quiet(ConstantStepDevice, dw_min=0.01, up_down=0.0)
    _, array = arrays(device, UpdateParameters(desired_bl=1))
    ones = torch.ones(9, X_SIZE), -torch.ones(9, D_SIZE)
    names = array.hidden_parameter_names()
    for step in (0.01, 0.03):
        parameters = array.hidden_parameters()
        parameters[names.index("dwmin_up")] = step
        array.set_hidden_parameters(parameters)
        array.place(torch.zeros(D_SIZE, X_SIZE))
        array.pulse(*ones, array.pulse_granularity)  # one certain pulse for each vector
        assert torch.allclose(array.weights, torch.tensor(9.0 * step), rtol=1e-4)


@pytest.mark.parametrize(
    ("n_vectors", "desired_bl", "pulses_of_a_cell", "is_batched"),
    [
        (1, 5, 100.0, False),
        (1, 31, 2.0, False),
        (1, 31, 100.0, True),
        (16, 31, 2.0, False),
        (16, 31, 30.0, True),
    ],
)
def test_auto_batches_where_cells_take_many_pulses(
    n_vectors: int, desired_bl: int, pulses_of_a_cell: float, is_batched: bool
) -> None:
    """Only the batched pass takes its random numbers from torch's generator."""
    device, update = SoftBoundsDevice(dw_min=1e-3), UpdateParameters(desired_bl=desired_bl)
    ones = torch.ones(n_vectors, 40)
    results = []
    array = Crossbar(40, 40, device, update=update)
    array.batched = BatchedPulses(array, update, False)
    rate = pulses_of_a_cell / n_vectors * array.pulse_granularity
    for _ in range(2):
        array.place(torch.zeros(40, 40))
        torch.manual_seed(5)
        array.pulse(ones, 0.7 * ones, rate / 0.7)
        results.append(array.weights.clone())
    assert results[0].std() > 0.0
    assert torch.equal(*results) is is_batched


@pytest.mark.parametrize(
    ("mode", "expected"),
    [
        (PulseMode.CPP, "pulses=cpp"),
        (
            PulseMode.AUTO,
            "pulses=[numba-update: up to 8.0 per cell, cpp, numba-pulses: 418.2+ per cell]",
        ),
        (PulseMode.BATCHED, "pulses=[numba-update: up to 8.0 per cell, numba-pulses]"),
    ],
)
def test_a_tile_tells_who_sends_its_pulses(mode: PulseMode, expected: str) -> None:
    """And sends them that way; a device or pulses without this form are refused by name."""
    compound = TrackingTransferCompound(
        unit_cell_devices=[SoftBoundsDevice(), SoftBoundsDevice()],
        in_chop_prob=0.1,
        pulse_mode=mode,
    )
    tile = TrackingTile(D_SIZE, X_SIZE, TrackingRPUConfig(device=compound))
    assert repr(tile.tile.get_brief_info()).count(expected) == 1
    pair = [PiecewiseStepDevice(), SoftBoundsDevice()]
    config = TrackingRPUConfig(device=replace(compound, unit_cell_devices=pair))
    dense = TrackingRPUConfig(
        device=compound, update=UpdateParameters(pulse_type=PulseType.DETERMINISTIC_IMPLICIT)
    )
    if mode is PulseMode.BATCHED:
        with pytest.raises(ConfigError, match=r"^pulse_mode=.*unit_cell_devices: Piecewise.*pass"):
            TrackingTile(D_SIZE, X_SIZE, config)
        with pytest.raises(ConfigError, match=r"^pulse_mode=.*update: pulse_type.*pass"):
            TrackingTile(D_SIZE, X_SIZE, dense)
    else:
        for other in (config, dense):
            built = TrackingTile(D_SIZE, X_SIZE, other)
            assert "pulses=cpp" in built.tile.get_brief_info()


@pytest.mark.parametrize("name", table.DEVICES)
def test_presets_are_covered(name: str) -> None:
    """All single devices of aihwkit's presets; its PCM pair is a unit cell."""
    device = table.DEVICES[name]()
    assert (device_obstacle(device) is None) == (name != "PCM")


def test_largest_inputs() -> None:
    """Those of each vector, and their sums; what is no number stays."""
    values = np.random.default_rng(1).normal(size=(6, 9)).astype(np.float32)
    values[1, 0] = values[2, 4] = values[3, 8] = np.nan
    values[4] = 0.0
    values[5, 2] = -np.inf
    others = np.random.default_rng(2).normal(size=(6, 5)).astype(np.float32)
    largest, of_others, products = sizes_of(values, others).T
    assert np.array_equal(largest, np.abs(values).max(1), equal_nan=True)
    assert np.array_equal(of_others, np.abs(others).max(1))
    wanted = np.abs(values).sum(1) * np.abs(others).sum(1)
    assert np.allclose(products, wanted, rtol=1e-6, equal_nan=True)
