"""Zero-shifting as a whole: what it returns, what it leaves behind, what it refuses."""

from __future__ import annotations

from copy import deepcopy
from types import SimpleNamespace

import pytest
import torch
from aihwkit.exceptions import ArgumentError, ConfigError, TileError
from aihwkit.nn import AnalogLinear, AnalogSequential
from aihwkit.simulator.configs.compounds import TransferCompound
from aihwkit.simulator.configs.configs import SingleRPUConfig, UnitCellRPUConfig
from aihwkit.simulator.configs.devices import IdealDevice, SoftBoundsDevice
from aihwkit.simulator.tiles.analog import AnalogTile

from aihwkit_dspt import operation_counts
from aihwkit_dspt import symmetric_points as symmetric_points_of
from aihwkit_dspt.devices import LinearResponse, symmetric_points, with_symmetric_point
from aihwkit_dspt.zero_shifting import algorithm, zero_shift
from tests.covering import covering
from tests.device_table import VARIED, WITHOUT_POINTS
from tests.devices.simulated import make_tile
from tests.helpers import difference, mixed_weight, quiet_config, train, used_weights
from tests.helpers import snapshot as state_of
from tests.table import METHODS

SCHEDULES = ["cyclic", "stochastic"]


def state(tile):
    """Return all that an array consists of."""
    cpp = tile.tile
    return cpp.get_weights(), cpp.get_hidden_parameters(), cpp.get_learning_rate()


def assert_same(one, other):
    assert torch.equal(one[0], other[0])
    assert torch.equal(one[1], other[1])
    assert one[2] == other[2]


def shared_holder(device, size=16):
    """Return an array whose weights share the memory of a tensor, as a Crossbar's do."""
    cpp = deepcopy(make_tile(device, size).tile)
    holder = SimpleNamespace(tile=cpp, device_config=device, shared=torch.zeros(size, size))
    cpp.set_shared_weights(holder.shared)
    return holder


# Of the others, write noise and steps of a fifth of the range hide the points.
@pytest.mark.parametrize(
    ("name", "method", "schedule"),
    covering(
        [n for n in VARIED if n not in ("ReRamES", "ReRamSB", "PCM", "ReRamArrayHfO2")],
        ["pulses", "vectorised", "auto"],
        SCHEDULES,
    ),
)
def test_estimate_approaches_the_symmetric_points(name, method, schedule):
    device = VARIED[name]
    tile = make_tile(device, 16, weights=0.5)
    before = tile.tile.get_weights()
    points = symmetric_points(device, tile.get_hidden_parameters()).values
    # Results of torch cannot be stored where aihwkit clips weights that are set.
    store = method != "vectorised"
    generator = torch.Generator().manual_seed(1)
    result = zero_shift(tile, 4000, schedule, method, store=store, generator=generator)
    assert (result.n_pulses, result.schedule) == (4000, schedule)
    assert result.method == method or method == "auto"
    assert result.estimate.dtype == before.dtype
    assert torch.equal(tile.tile.get_weights(), result.estimate if store else before)
    found = ~torch.isnan(points)
    first, last = ((weights - points)[found].abs() for weights in (before, result.estimate))
    assert float(last.median()) < 0.25 * float(first.median())


@pytest.mark.parametrize("method", ["pulses", "closed-form", "vectorised"])
@pytest.mark.parametrize("name", ["SoftBounds", "SoftBounds-write-noise", "SoftBoundsReference"])
def test_without_store_the_array_stays_as_it_was(name, method):
    tile = make_tile(VARIED[name], 16)
    before = state(tile)
    result = zero_shift(tile, 100, method=method, store=False)
    assert_same(state(tile), before)
    assert not torch.equal(result.estimate, before[0])


def test_all_methods_draw_the_same_law():
    device = SoftBoundsDevice(dw_min=0.01, up_down=0.2, construction_seed=3)
    means = {}
    for method in ("pulses", "closed-form", "vectorised"):
        estimate = zero_shift(make_tile(device, 64), 501, method=method).estimate.double()
        means[method] = (float(estimate.mean()), float(estimate.std()))
    # The cells are the same; their noise has a spread of about 0.02, over 64 cells squared.
    for mean, std in means.values():
        assert mean == pytest.approx(means["pulses"][0], abs=5 * 0.03 / 64)
        assert std == pytest.approx(means["pulses"][1], abs=5 * 0.03 / 64)


def test_generator_repeats_a_draw():
    tile = make_tile(VARIED["SoftBounds"], 16)
    draws = [
        zero_shift(
            tile, 10, method=method, store=False, generator=torch.Generator().manual_seed(3)
        ).estimate
        for method in ("closed-form", "vectorised")
        for _ in range(2)
    ]
    assert torch.equal(draws[0], draws[1])
    assert torch.equal(draws[2], draws[3])


def test_auto_takes_the_closed_form_only_where_there_is_one():
    for name, device in VARIED.items():
        tile = make_tile(device, 8)
        method = zero_shift(tile, 10, method="auto", store=False).method
        linear = isinstance(algorithm.PulsedArray(tile).cells, LinearResponse)
        assert method == ("closed-form" if linear else "pulses"), name
    with pytest.raises(ConfigError, match="closed form"):
        zero_shift(make_tile(VARIED["PowStep"], 8), 10, method="closed-form")


def test_closed_form_beyond_the_bounds_that_aihwkit_sets():
    # The reference moves the range of the weights by more than the set bounds allow.
    plain = VARIED["SoftBoundsReference"]
    device = with_symmetric_point(plain, 0.8, 0.1)
    tile = make_tile(device, 16)
    if algorithm.PulsedArray(tile).shared is None:
        before = state(tile)
        with pytest.raises(TileError, match="clip"):
            zero_shift(tile, 1001, method="closed-form")
        assert_same(state(tile), before)
        assert zero_shift(tile, 1001, method="auto").method == "pulses"
    holder = shared_holder(device)
    result = zero_shift(holder, 1001, method="closed-form")
    beyond = result.estimate > holder.tile.get_hidden_parameters()[0]
    assert int(beyond.sum()) > 10
    assert torch.equal(holder.tile.get_weights(), result.estimate)
    assert torch.equal(holder.shared, result.estimate)


@pytest.mark.parametrize("name", ["SoftBounds", "SoftBounds-write-noise", "ReRamSB"])
def test_stored_closed_form_is_where_pulses_go_on(name):
    device = VARIED[name]
    for array in (make_tile(device, 16), shared_holder(device)):
        result = zero_shift(array, 1000, method="closed-form")
        assert torch.equal(array.tile.get_weights(), result.estimate)
        hidden = algorithm.PulsedArray(array).hidden_parameters()
        if "persistent_weights" in hidden:
            noise = (result.estimate - hidden["persistent_weights"]).double()
            std = device.write_noise_std * device.dw_min
            # 256 draws: 5 sigma of their standard deviation is 22 %.
            assert float(noise.std()) == pytest.approx(std, rel=0.22)


class Interrupt:
    """A progress bar that is interrupted in the middle."""

    def __init__(self, **_):
        self.n_sent = 0

    def __enter__(self):
        return self

    def __exit__(self, *_):
        return False

    def update(self, n_sent):
        self.n_sent += n_sent
        if self.n_sent >= 50:
            raise KeyboardInterrupt


@pytest.mark.parametrize("schedule", SCHEDULES)
@pytest.mark.parametrize("name", ["SoftBounds-write-noise", "SoftBoundsReference", "ExpStep"])
@pytest.mark.parametrize("make", [make_tile, shared_holder], ids=["tile", "holder"])
def test_interrupt_leaves_the_array_as_it_was(monkeypatch, make, name, schedule):
    device = with_symmetric_point(VARIED[name], 0.9, 0.1) if "Ref" in name else VARIED[name]
    array = make(device, 16)
    zero_shift(array, 1001)  # now some weights are beyond the bounds that aihwkit sets
    before = state(array)
    monkeypatch.setattr(algorithm, "tqdm", Interrupt)
    monkeypatch.setattr(
        "aihwkit_dspt.zero_shifting.pulse_train.CELL_PULSES_PER_CALL", 16 * 16 * 640
    )
    with pytest.raises(KeyboardInterrupt):
        zero_shift(array, 100000, schedule)
    assert_same(state(array), before)
    monkeypatch.undo()
    # What is pulsed and what is read are still the same array.
    zero_shift(array, 11, schedule)
    shared = algorithm.PulsedArray(array).shared
    assert not torch.equal(array.tile.get_weights(), before[0])
    if shared is not None:
        assert torch.equal(array.tile.get_weights(), shared)
    if isinstance(array, AnalogTile):
        x_input = torch.eye(16)
        array.rpu_config.forward.is_perfect = True
        read = array.tile.forward(x_input, False, False, False, True, False)
        assert torch.isfinite(read).all()


def test_interrupted_cpp_tile_is_set_back():
    device = VARIED["SoftBounds"]
    cpp = make_tile(device, 16).tile
    zero_shift(cpp, 11, device=device)
    before = cpp.get_weights()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(algorithm, "tqdm", Interrupt)
        with pytest.raises(KeyboardInterrupt):
            zero_shift(cpp, 100000, device=device)
    assert torch.equal(cpp.get_weights(), before)


@pytest.mark.parametrize("n_pulses", [0, -1, 1.5, True, None, float("nan")])
def test_bad_numbers_of_pulses_are_refused(n_pulses):
    tile = make_tile(VARIED["SoftBounds"], 8)
    before = state(tile)
    with pytest.raises(ArgumentError, match="n_pulses"):
        zero_shift(tile, n_pulses)
    assert_same(state(tile), before)


@pytest.mark.parametrize("field", ["schedule", "method"])
def test_unknown_choices_are_refused(field):
    with pytest.raises(ArgumentError, match=field):
        zero_shift(make_tile(VARIED["SoftBounds"], 8), 10, **{field: "up"})


@pytest.mark.parametrize("name", WITHOUT_POINTS)
def test_devices_without_symmetric_point_are_refused(name):
    tile = make_tile(WITHOUT_POINTS[name], 8)
    before = state(tile)
    with pytest.raises(ConfigError, match="no cell of the array has a symmetric point"):
        zero_shift(tile, 10)
    assert_same(state(tile), before)


def test_weights_that_are_not_finite_are_refused():
    holder = shared_holder(VARIED["ExpStep"])
    holder.shared[2, 3] = torch.nan
    before = holder.shared.clone()
    with pytest.raises(TileError, match="not finite"):
        zero_shift(holder, 10)
    assert torch.equal(holder.shared.nan_to_num(9.0), before.nan_to_num(9.0))


def test_other_arrays_are_refused():
    compound = TransferCompound(unit_cell_devices=[SoftBoundsDevice(), SoftBoundsDevice()])
    tile = AnalogTile(4, 4, UnitCellRPUConfig(device=compound))
    with pytest.raises(ConfigError, match="TransferCompound"):
        zero_shift(tile, 10)
    with pytest.raises(ConfigError, match="IdealDevice"):
        zero_shift(AnalogTile(4, 4, SingleRPUConfig(device=IdealDevice())), 10)
    with pytest.raises(TileError, match="Tensor"):
        zero_shift(torch.zeros(4, 4), 10)
    with pytest.raises(ConfigError, match="device=None"):
        zero_shift(make_tile(VARIED["SoftBounds"], 4).tile, 10)


@pytest.mark.parametrize(
    ("gamma", "method", "what"),
    covering(
        [0.0, 0.5],
        ["pulses", "closed-form", "vectorised", "auto"],
        ["tile", "layer", "simulator", "fast", "slow"],
    ),
)
def test_tracking_tiles_keep_their_formula(gamma, method, what):
    """The mixed weight follows the array that is zero-shifted; a copy leaves all as it was."""
    config = quiet_config(**{**METHODS["E-RIDER"], "gamma": gamma})
    layer = AnalogLinear(6, 4, bias=False, rpu_config=config)
    tile = next(layer.analog_tiles())
    train(tile, 12)
    meant = {"tile": tile, "layer": layer, "simulator": tile.tile}
    array = meant.get(what, getattr(tile.tile.pipeline, what, None))
    before = state_of(tile)
    estimate = zero_shift(array, 2000, method=method, store=False).estimate
    assert difference(before, state_of(tile)) is None
    assert operation_counts(tile).total.calibration_pulses == 0
    result = zero_shift(array, 2000, method=method)
    changed = tile.slow_weights if what == "slow" else tile.fast_weights
    assert torch.equal(changed, result.estimate)
    # On this device alternating pulses end within two steps of 0.01 of the points.
    points = symmetric_points_of(tile)
    points = points.slow if what == "slow" else points.fast
    assert (result.estimate - points.values).abs().max() < 0.02
    assert (result.estimate - estimate).abs().max() < 0.02
    for weights in (tile.get_weights()[0], *used_weights(tile)):
        assert (weights - mixed_weight(tile)).abs().max() < 1e-6
    assert operation_counts(tile).total.calibration_pulses == (0 if what == "slow" else 2000)
    train(tile, 3)
    assert (tile.get_weights()[0] - mixed_weight(tile)).abs().max() < 1e-6


def test_models_of_several_tiles_are_refused():
    config = quiet_config(**METHODS["E-RIDER"])
    model = AnalogSequential(*(AnalogLinear(3, 3, rpu_config=config) for _ in range(2)))
    with pytest.raises(TileError, match=r"2 analog tiles.*calibrate"):
        zero_shift(model, 10)


def test_progress_bar_can_be_switched_off(capsys, monkeypatch):
    monkeypatch.setattr(algorithm, "PROGRESS_DELAY", 0.0)
    zero_shift(make_tile(VARIED["SoftBounds"], 8), 100, progress=False)
    assert capsys.readouterr().err == ""
    zero_shift(make_tile(VARIED["SoftBounds"], 8), 100)
    assert "pulse" in capsys.readouterr().err
