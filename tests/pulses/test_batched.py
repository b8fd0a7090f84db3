"""Batched pulses against aihwkit's tile: exactly without chance, in distribution with it."""

from __future__ import annotations

from dataclasses import replace
from itertools import product
from typing import Any, Callable, Dict, List

import pytest
import torch
from aihwkit.exceptions import ConfigError
from aihwkit.simulator.configs.devices import (
    ConstantStepDevice,
    ExpStepDevice,
    LinearStepDevice,
    PiecewiseStepDevice,
    PowStepDevice,
    PowStepReferenceDevice,
    SoftBoundsDevice,
    SoftBoundsPmaxDevice,
    SoftBoundsReferenceDevice,
)
from aihwkit.simulator.parameters.enums import PulseType
from aihwkit.simulator.parameters.training import UpdateParameters
from scipy.stats import ks_2samp
from torch import Tensor

from aihwkit_dspt import PulseMode, TrackingRPUConfig, TrackingTile, TrackingTransferCompound
from aihwkit_dspt.pulses.batched import BatchedPulses
from aihwkit_dspt.pulses.coverage import DEVICES, device_obstacle
from aihwkit_dspt.tiles.crossbar import Crossbar
from tests import table
from tests.quiet_devices import quiet

D_SIZE, X_SIZE = 3, 4
N_SAMPLES = 800

NOISY: Dict[str, Callable[[], Any]] = {
    "constant": lambda: ConstantStepDevice(dw_min=0.002),
    "linear": lambda: LinearStepDevice(dw_min=0.002, gamma_up=0.3, gamma_down=0.2),
    "linear-additive": lambda: LinearStepDevice(dw_min=0.005, mult_noise=False),
    "soft": lambda: SoftBoundsDevice(dw_min=2 / 1200),
    "soft-coarse": lambda: SoftBoundsDevice(dw_min=0.1, dw_min_std=1.0),
    "p-max": SoftBoundsPmaxDevice,
    "reference": lambda: SoftBoundsReferenceDevice(
        dw_min=0.004, reference_mean=0.3, subtract_symmetry_point=True, mult_noise=False
    ),
    "exponential": lambda: ExpStepDevice(dw_min_std_add=0.1, dw_min_std_slope=0.2),
    "power": lambda: PowStepDevice(dw_min=0.01),
    "power-reference": lambda: PowStepReferenceDevice(dw_min=0.01),
    "write noise": lambda: SoftBoundsDevice(dw_min=0.01, write_noise_std=2.0),
    **{
        name: table.DEVICES[name]
        for name in ("ReRamArrayHfO2", "ReRamES", "ReRamSB", "EcRam")
        if name in table.DEVICES
    },
}
"""Name -> device with all of its chance; presets with write noise among them."""

BATCHES = {"one vector": (1, 31), "some": (10, 5), "many": (64, 15)}
"""Name -> vectors and ``desired_bl``."""


def arrays(device: Any, update: UpdateParameters) -> List[Crossbar]:
    """Return two arrays with the same cells, of which the second has batched pulses."""
    first, second = (Crossbar(X_SIZE, D_SIZE, device, update=update) for _ in range(2))
    second.set_hidden_parameters(first.hidden_parameters())
    second.granularity = first.granularity
    second.set_pulse_granularity(first.granularity)
    second.batched = BatchedPulses(second, update, True)
    return [first, second]


def samples(array: Crossbar, start: Tensor, x: Tensor, d: Tensor, rate: float) -> Tensor:
    """Return ``[n, cells]`` weights after the pulses of the same vectors from the same start."""
    found = []
    for _ in range(N_SAMPLES):
        array.place(start)
        array.pulse(x, d, rate)
        found.append(array.weights.flatten().clone())
    return torch.stack(found)


def correlations(of: Tensor) -> Tensor:
    """Return the correlations of all pairs of cells that share a line, 0 where nothing varies."""
    spread = of.std(0)
    whitened = torch.where(spread > 2e-5, (of - of.mean(0)) / spread.clamp(min=1e-9), 0.0)
    matrix = whitened.t() @ whitened / len(of)
    cells = list(product(range(D_SIZE), range(X_SIZE)))
    pairs = [
        matrix[i, j]
        for i, a in enumerate(cells)
        for j, b in enumerate(cells)
        if i < j and (a[0] == b[0] or a[1] == b[1])
    ]
    return torch.stack(pairs)


def same_law(found: Tensor, wanted: Tensor, start: Tensor, is_dense: bool) -> bool:
    """Return whether two samples have the same distribution in every cell, as far as they tell.

    How often a cell moves at all, within 5.5 standard errors (there are some 10^3 cells, and
    aihwkit's pulses are seeded by the clock). For cells that move in 5 % of the samples or more:
    the mean within 5.5 standard errors, and the distribution within the Kolmogorov-Smirnov distance
    of a probability of 1e-6. Their spread over all cells within 6 % where each takes many pulses:
    12 cells of 800 samples have a standard error of 1.0 %; seldom jumps have too large fourth
    moments. Correlations of the 30 pairs of cells that share a line within 0.3,
    5.9 standard errors, each, and in their mean within 0.05.
    """
    n_samples = len(found)
    shares = [((of - start.flatten()).abs() > 2e-5).float().mean(0) for of in (found, wanted)]
    share = (shares[0] + shares[1]) / 2
    error = (2.0 * share * (1.0 - share) / n_samples).sqrt()
    if ((shares[0] - shares[1]).abs() > 5.5 * error + 0.005).any():
        return False
    moves = (share > 0.05) & (wanted.std(0) > 2e-5)
    if not moves.any():
        return True
    # Sums of the same steps differ in their rounding.
    found, wanted = ((1e6 * of[:, moves]).round() for of in (found, wanted))
    error = ((found.var(0) + wanted.var(0)) / n_samples).sqrt()
    if ((found.mean(0) - wanted.mean(0)).abs() > 5.5 * error).any():
        return False
    distances = [ks_2samp(*pair, method="asymp").statistic for pair in zip(found.t(), wanted.t())]
    if max(distances) > 2.69 * (2.0 / n_samples) ** 0.5:
        return False
    ratio = (found.std(0) / wanted.std(0)).log().mean().exp()
    return not is_dense or bool(abs(ratio - 1.0) < 0.06)


def same_correlations(found: Tensor, wanted: Tensor) -> bool:
    """Return whether pairs of cells that share a line correlate alike, see :func:`same_law`."""
    apart = correlations(found) - correlations(wanted)
    return bool(apart.abs().max() < 0.3 and apart.mean().abs() < 0.05)


def vectors(n_vectors: int, is_sparse: bool) -> List[Tensor]:
    """Return ``[n, x_size]`` inputs and ``[n, d_size]`` errors."""
    x, d = torch.randn(n_vectors, X_SIZE), torch.randn(n_vectors, D_SIZE) - 0.3
    if is_sparse:
        x = x * (torch.rand_like(x) < 0.3)
    return [x, d]


@pytest.mark.parametrize("where", ["middle", "bound"])
@pytest.mark.parametrize("batch", BATCHES)
@pytest.mark.parametrize("name", NOISY)
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
    wanted = samples(tile, start, x, d, rate)
    found = samples(batched, start, x, d, rate)
    is_dense = n_vectors == 64 and where == "middle"
    assert same_law(found, wanted, start, is_dense)
    if where == "middle":  # else many cells move seldom
        assert same_correlations(found, wanted)


@pytest.mark.parametrize("fault", ["mean", "spread"])
def test_the_comparison_notices_ten_percent(fault: str) -> None:
    """Of the change of the weights, or of its spread."""
    torch.manual_seed(12)
    update = UpdateParameters(desired_bl=15)
    tile, batched = arrays(NOISY["soft"](), update)
    x, d = vectors(64, is_sparse=False)
    rate = 0.7 * 15 * tile.granularity / float(x.abs().max() * d.abs().max())
    start = torch.zeros(D_SIZE, X_SIZE)
    wanted = samples(tile, start, x, d, rate)
    found = samples(batched, start, x, d, rate)
    assert same_law(found, wanted, start, is_dense=True)
    faulty = found * 1.1 if fault == "mean" else found + 0.1 * (found - found.mean(0))
    assert not same_law(faulty, wanted, start, is_dense=True)


QUIET = [
    kind for kind in (*DEVICES, SoftBoundsPmaxDevice) if kind is not PowStepReferenceDevice
] + [PowStepReferenceDevice]


@pytest.mark.parametrize("at_once", [False, True])
@pytest.mark.parametrize("kind", QUIET, ids=lambda kind: kind.__name__)
def test_certain_pulses_are_those_of_the_tile(kind: Any, at_once: bool) -> None:
    """With probabilities of one and without noise: one after the other to single precision.

    Taken at once the order is lost, which is worth 3 % of the pulses' sum at most.
    """
    torch.manual_seed(13)
    update = UpdateParameters(desired_bl=3)
    tile, batched = arrays(quiet(kind, dw_min=0.002), update)
    assert batched.batched is not None
    if not at_once:
        batched.batched._cells = batched.batched.cells()._replace(at_once=0)
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
    wanted, found = (samples(array, start, x, d, rate) for array in (tile, batched))
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
    assert torch.equal(array.weights, start)


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
    loaded.load_state(array.state())
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
    ("n_vectors", "pulses_of_a_cell", "is_batched"),
    [(1, 100.0, False), (16, 2.0, False), (16, 30.0, True)],
)
def test_auto_batches_where_cells_take_many_pulses(
    n_vectors: int, pulses_of_a_cell: float, is_batched: bool
) -> None:
    """Only the batched pass takes its random numbers from torch's generator."""
    device, update = SoftBoundsDevice(dw_min=1e-3), UpdateParameters(desired_bl=31)
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
        (PulseMode.AUTO, "pulses=[cpp, numba-pulses: 420.7+ per cell]"),
        (PulseMode.BATCHED, "pulses=numba-pulses"),
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
