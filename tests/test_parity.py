"""``gamma=0`` equals aihwkit's C++ compounds: bit by bit, and in distribution under noise.

With deterministic implicit pulses, perfect IO and no device variation nothing is random, so every
hidden state has to agree after every update. Sums are formed in the same order in single
precision, so the tolerance of 1e-6 (weights are of order 0.1) leaves only rounding.
"""

from __future__ import annotations

from copy import deepcopy
from itertools import combinations, product
from random import Random
from typing import Any, Dict, Iterator, List, Tuple

import pytest
import torch
from aihwkit.simulator.configs.compounds import (
    ChoppedTransferCompound,
    DynamicTransferCompound,
    UnitCell,
)
from aihwkit.simulator.configs.configs import UnitCellRPUConfig
from aihwkit.simulator.configs.devices import SoftBoundsDevice, SoftBoundsReferenceDevice
from aihwkit.simulator.parameters.enums import PulseType
from aihwkit.simulator.parameters.io import IOParameters
from aihwkit.simulator.parameters.training import UpdateParameters
from aihwkit.simulator.tiles.analog import AnalogTile
from torch import Tensor

from aihwkit_dspt import (
    ReferenceType,
    TrackingRPUConfig,
    TrackingTile,
    TrackingTransferCompound,
)
from tests import quiet_devices

TOLERANCE = 1e-6
N_UPDATES = 1000
N_COMPARED, THEN_EVERY = 100, 7
"""All states are compared after each of the first updates, then after every seventh: what differs
once goes into all later states."""
LEARNING_RATES = (0.1, 0.03, 0.07)
"""Each is used for a third of the updates."""

GRID: Dict[str, Tuple[Any, ...]] = {
    "sizes": ((6, 4), (3, 7)),
    "batch_size": (1, 3, 10),
    "transfer_columns": (True, False),
    "transfer_every": (1.0, 2.5, 7.0),
    "units_in_mbatch": (False, True),
    "in_chop_prob": (0.3, 0.05),
    "forget_buffer": (True, False),
    "auto_scale": (False, True),
    "correct_gradient_magnitudes": (False, True),
}

BASE: Dict[str, Any] = {"fast_lr": 0.5, "transfer_lr": 0.3, "in_chop_random": False}

EXTRA: List[Dict[str, Any]] = [
    {"momentum": 0.3},
    {"momentum": 0.2, "forget_buffer": False, "desired_bl": 3},
    {"auto_granularity": 30.0},
    {"buffer_granularity": 0.4, "step": 2.0},
    {"scale_transfer_lr": False},
    {"fast_lr": 0.0},
    {"transfer_every": 0.0},
    {"auto_scale": True, "auto_momentum": 0.5, "batch_size": 10},
]
"""Settings that are tried one at a time with either reference."""


def covering_cases() -> Iterator[Dict[str, Any]]:
    """Yield cases of the grid in which each pair of values of two settings occurs."""
    names = list(GRID)
    left = {((a, x), (b, y)) for a, b in combinations(names, 2) for x in GRID[a] for y in GRID[b]}
    random = Random(0)
    while left:
        trials = [{name: random.choice(GRID[name]) for name in names} for _ in range(100)]
        best = max(trials, key=lambda case: len(left & set(combinations(case.items(), 2))))
        covered = left & set(combinations(best.items(), 2))
        if covered:
            left -= covered
            yield best


def case_name(case: Dict[str, Any]) -> str:
    """Return a readable test id."""
    return ",".join(f"{key}={value}" for key, value in case.items())


def deterministic_pulses(desired_bl: int) -> UpdateParameters:
    """Return pulse parameters without randomness."""
    return UpdateParameters(
        pulse_type=PulseType.DETERMINISTIC_IMPLICIT,
        desired_bl=desired_bl,
        update_bl_management=False,
        update_management=False,
    )


def quiet_device() -> SoftBoundsDevice:
    """Return an asymmetric device without any variation or noise."""
    return SoftBoundsDevice(
        dw_min=0.01,
        up_down=0.2,
        dw_min_dtod=0.0,
        dw_min_std=0.0,
        w_max_dtod=0.0,
        w_min_dtod=0.0,
        up_down_dtod=0.0,
    )


def build_pair(
    reference: ReferenceType, sizes: Tuple[int, int], settings: Dict[str, Any], periphery: Any
) -> Tuple[AnalogTile, TrackingTile]:
    """Return aihwkit's C++ tile and the tracking tile of the same settings."""
    dynamic = reference is ReferenceType.DYNAMIC
    compound = DynamicTransferCompound if dynamic else ChoppedTransferCompound
    theirs = UnitCellRPUConfig(device=compound(**settings), **periphery)
    ours = TrackingRPUConfig(
        device=TrackingTransferCompound(reference=reference, **settings), **periphery
    )
    x_size, d_size = sizes
    return AnalogTile(d_size, x_size, theirs), TrackingTile(d_size, x_size, ours)


def deterministic_pair(
    reference: ReferenceType, case: Dict[str, Any]
) -> Tuple[AnalogTile, TrackingTile]:
    """Return both tiles of a case without any randomness, with equal weights."""
    settings = {**BASE, **case}
    sizes = settings.pop("sizes", (6, 4))
    settings.pop("batch_size", None)
    perfect = IOParameters(is_perfect=True)
    settings.update(
        unit_cell_devices=settings.pop("devices", None) or [quiet_device(), quiet_device()],
        transfer_forward=perfect,
        transfer_update=deterministic_pulses(settings.pop("desired_bl", 1)),
    )
    periphery = {"forward": perfect, "backward": perfect, "update": deterministic_pulses(31)}
    theirs, ours = build_pair(reference, sizes, settings, periphery)
    weights = torch.empty(sizes[1], sizes[0]).uniform_(-0.2, 0.2)
    theirs.set_weights(weights)
    ours.set_weights(weights)
    return theirs, ours


def cpp_states(tile: AnalogTile, columns: bool) -> Dict[str, Tensor]:
    """Return the hidden states of a C++ compound under the names of the tracking tile."""
    hidden = tile.get_hidden_parameters()
    states = {"fast_weights": hidden["hidden_weights_0"], "slow_weights": tile.get_weights()[0]}
    buffers = [name for name in hidden if name.startswith("buffered_FP_weight")]
    if buffers:
        states["transfer_buffer"] = hidden[buffers[0]]
    if any(isinstance(cell, UnitCell) for cell in tile.rpu_config.device.unit_cell_devices):
        # aihwkit's dump_extra raises for unit cells in a compound, and nothing else tells the
        # choppers, and so the reference; both show in all later states.
        if "running_mean_weight" in hidden:
            states["sp_estimate"] = hidden["running_mean_weight"]
        return states
    extra = tile.tile.dump_extra()
    chopper = {
        key: torch.tensor([float(value) for value in values])
        for name in ("in_chopper", "out_chopper", "in_chopper_switched")
        for full_name, values in extra.items()
        if full_name.split(".")[-1] == name
        for key in [name]
    }
    signs = (1 - 2 * chopper["in_chopper"]).unsqueeze(1) * (1 - 2 * chopper["out_chopper"])
    states["chopper"] = signs.t() if columns else signs
    if "running_mean_weight" in hidden:
        estimate = hidden["running_mean_weight"]
        # C++ copies the estimate at the next read of a line whose chopper has flipped; nothing
        # reads either of the two in between.
        switched = chopper["in_chopper_switched"].bool()
        switched = switched.unsqueeze(0) if columns else switched.unsqueeze(1)
        states["sp_estimate"] = estimate
        states["reference"] = torch.where(switched, estimate, hidden["past_mean_weight"])
    return states


def assert_equal_training(
    theirs: AnalogTile,
    ours: TrackingTile,
    case: Dict[str, Any],
    n_updates: int,
    must_move: bool = True,
) -> None:
    """Train both tiles with the same data and compare every state on the way."""
    columns = case.get("transfer_columns", True)
    weights = ours.slow_weights
    n_batch = case.get("batch_size", 3)
    for index in range(n_updates):
        x = torch.empty(n_batch, ours.in_size).uniform_(-1.0, 1.0)
        d = torch.randn(n_batch, ours.out_size) * 0.3 + 0.1
        for tile in (theirs, ours):
            tile.set_learning_rate(LEARNING_RATES[index * len(LEARNING_RATES) // n_updates])
            tile.update(x.clone(), d.clone())
        if index >= N_COMPARED and index % THEN_EVERY and index < n_updates - 1:
            continue
        for name, value in cpp_states(theirs, columns).items():
            difference = (value - getattr(ours, name)).abs().max().item()
            assert difference <= TOLERANCE, f"{name} differs by {difference} at update {index}"
    moved = (ours.slow_weights - weights).abs().max().item()
    if must_move and case.get("transfer_every") != 0.0:
        assert moved > 0.005, "nothing was transferred"


@pytest.mark.parametrize("case", covering_cases(), ids=case_name)
def test_dynamic_reference_is_cpp_agad(case: Dict[str, Any]) -> None:
    """Dynamic reference = ``DynamicTransferCompound`` in every hidden state."""
    torch.manual_seed(1)
    theirs, ours = deterministic_pair(ReferenceType.DYNAMIC, case)
    assert_equal_training(theirs, ours, case, N_UPDATES)


@pytest.mark.parametrize("case", covering_cases(), ids=case_name)
def test_zero_reference_is_cpp_chopped_transfer(case: Dict[str, Any]) -> None:
    """Reference zero = ``ChoppedTransferCompound``; half of the cases without choppers (TT-v2)."""
    torch.manual_seed(2)
    case = {**case, "in_chop_prob": 0.3 if case["in_chop_prob"] == 0.3 else 0.0}
    theirs, ours = deterministic_pair(ReferenceType.ZERO, case)
    assert_equal_training(theirs, ours, case, N_UPDATES)


@pytest.mark.parametrize("reference", [ReferenceType.DYNAMIC, ReferenceType.ZERO])
@pytest.mark.parametrize("case", EXTRA, ids=case_name)
def test_further_settings(reference: ReferenceType, case: Dict[str, Any]) -> None:
    """All other settings that both compounds have."""
    torch.manual_seed(3)
    theirs, ours = deterministic_pair(reference, case)
    assert_equal_training(theirs, ours, case, N_UPDATES // 2)


@pytest.mark.parametrize(
    ("reference", "case"),
    [
        (ReferenceType.DYNAMIC, {"forget_buffer": False, "buffer_cap": 0.5}),
        (ReferenceType.DYNAMIC, {"experimental_correct_accumulation": True}),
        (ReferenceType.ZERO, {"no_buffer": True}),
    ],
    ids=["buffer_cap", "correct_accumulation", "no_buffer"],
)
def test_settings_of_one_compound(reference: ReferenceType, case: Dict[str, Any]) -> None:
    """Settings that only one of the C++ compounds acts on."""
    torch.manual_seed(4)
    theirs, ours = deterministic_pair(reference, case)
    assert_equal_training(theirs, ours, case, N_UPDATES // 2)


@pytest.mark.parametrize("reference", [ReferenceType.DYNAMIC, ReferenceType.ZERO])
def test_scale_fast_lr(reference: ReferenceType) -> None:
    """``scale_fast_lr`` multiplies: fast_lr=5 at learning rate 0.1 is fast_lr=0.5 without it."""
    torch.manual_seed(5)
    theirs, _ = deterministic_pair(reference, {"fast_lr": 0.5})
    config = deepcopy(deterministic_pair(reference, {"fast_lr": 5.0})[1].rpu_config)
    config.device.scale_fast_lr = True
    ours = TrackingTile(4, 6, config)
    ours.set_weights(theirs.get_weights()[0])
    for _ in range(300):
        x, d = torch.empty(3, 6).uniform_(-1.0, 1.0), torch.randn(3, 4) * 0.3
        for tile in (theirs, ours):
            tile.set_learning_rate(0.1)
            tile.update(x, d)
    assert (cpp_states(theirs, True)["fast_weights"] - ours.fast_weights).abs().max() <= TOLERANCE
    assert (theirs.get_weights()[0] - ours.slow_weights).abs().max() <= TOLERANCE


@pytest.mark.parametrize("reference", [ReferenceType.DYNAMIC, ReferenceType.ZERO])
@pytest.mark.parametrize("fast", ["soft", "p_max", "vector"])
def test_automatic_transfer_happens_once(reference: ReferenceType, fast: str) -> None:
    """A negative ``transfer_every`` chooses the same length as C++, but transfers once.

    C++ does not switch off the self-transfer of the last device in this mode, which repeats the
    event of the first. Repeating each of our events gives its states.
    """
    torch.manual_seed(6)
    case = {"transfer_every": -0.1}
    # C++ repeats it by the number of states of the slow device.
    devices = [quiet_devices.ALL[fast](), quiet_devices.ALL[fast]()]
    theirs, ours = deterministic_pair(reference, {**case, "devices": devices})
    ours.tile.pipeline.forms = []  # the event has to be one of the stages
    once = ours.tile.pipeline.transfer

    def twice(number: int) -> None:
        line = ours.tile.pipeline.link.schedule.line
        once(number)
        ours.tile.pipeline.link.schedule.line = line
        ours.tile.pipeline.link.schedule.n_due = 1
        once(number)

    ours.tile.pipeline.transfer = twice
    assert_equal_training(theirs, ours, case, N_UPDATES // 2)


PAIRS: List[Tuple[str, str]] = [
    *zip(quiet_devices.ALL, [*list(quiet_devices.ALL)[6:], *list(quiet_devices.ALL)[:6]]),
    ("vector", "vector"),
    ("soft-coarse", "soft"),
]
"""Fast and slow device; each occurs on either side."""

PAIR_SETTINGS: List[Dict[str, Any]] = [
    {},
    {"auto_scale": True},
    {"correct_gradient_magnitudes": True},
    {"auto_granularity": 30.0, "transfer_columns": False},
    {"auto_scale": True, "correct_gradient_magnitudes": True, "transfer_columns": False},
]


@pytest.mark.parametrize("method", ["AGAD", "TT-v2", "c-TTv2"])
@pytest.mark.parametrize(("fast", "slow"), PAIRS)
def test_pair_of_devices(method: str, fast: str, slow: str) -> None:
    """Whatever both devices are: aihwkit sends gradient pulses for their average granularity."""
    torch.manual_seed(9)
    reference = ReferenceType.DYNAMIC if method == "AGAD" else ReferenceType.ZERO
    number = PAIRS.index((fast, slow)) + len(method)
    case = {
        "transfer_every": 1.0,
        "units_in_mbatch": True,
        "in_chop_prob": 0.0 if method == "TT-v2" else 0.3,
        "desired_bl": 3,
        **PAIR_SETTINGS[number % len(PAIR_SETTINGS)],
    }
    devices = [quiet_devices.ALL[name]() for name in (fast, slow)]
    theirs, ours = deterministic_pair(reference, {**case, "devices": devices})
    before = ours.fast_weights
    assert_equal_training(theirs, ours, case, 5, must_move=False)
    # Later on both halves of a one-sided cell are at their bounds.
    assert not torch.equal(ours.fast_weights, before)
    assert_equal_training(theirs, ours, case, 145, must_move=False)


@pytest.mark.slow
@pytest.mark.parametrize("reference", [ReferenceType.DYNAMIC, ReferenceType.ZERO])
@pytest.mark.parametrize("values", product(*GRID.values()), ids=str)
def test_full_grid(reference: ReferenceType, values: Tuple[Any, ...]) -> None:
    """The full grid, 300 updates each; the slowest settings end before their first transfer."""
    torch.manual_seed(7)
    case = dict(zip(GRID, values))
    theirs, ours = deterministic_pair(reference, case)
    assert_equal_training(theirs, ours, case, 300, must_move=False)


# -- in distribution ---------------------------------------------------------------------------

N_TILES = 200
N_SIGMA = 5.0
"""Two-sided false-alarm probability of 6e-7 for each of the at most 24 numbers of a test."""


def noisy_pair(
    reference: ReferenceType, settings: Dict[str, Any]
) -> Tuple[AnalogTile, TrackingTile]:
    """Return both tiles with stochastic pulses, noise and device variation, at zero weights."""
    device = SoftBoundsReferenceDevice(
        dw_min=0.02,
        dw_min_dtod=0.3,
        dw_min_std=0.3,
        up_down_dtod=0.1,
        write_noise_std=0.2,
        reference_mean=0.2,
        reference_std=0.1,
        subtract_symmetry_point=True,
    )
    settings = {
        "unit_cell_devices": [device, device],
        "transfer_forward": IOParameters(out_noise=0.02, inp_res=-1.0, out_res=-1.0),
        "transfer_update": UpdateParameters(
            desired_bl=3, update_bl_management=False, update_management=False
        ),
        "fast_lr": 0.3,
        "transfer_lr": 0.4,
        "scale_transfer_lr": False,
        "in_chop_prob": 0.3,
        "in_chop_random": False,  # aihwkit's two compounds have different defaults
        **settings,
    }
    periphery = {"update": UpdateParameters(desired_bl=10)}
    return build_pair(reference, (4, 3), settings, periphery)


def slow_weights(tile: Any) -> Tensor:
    """Return the slow weights of either tile."""
    return tile.slow_weights if isinstance(tile, TrackingTile) else tile.get_weights()[0]


@pytest.mark.parametrize(
    ("reference", "settings"),
    [
        pytest.param(ReferenceType.DYNAMIC, {}, id="agad"),
        pytest.param(
            ReferenceType.DYNAMIC,
            {"in_chop_random": True, "auto_scale": True, "fast_lr": 2.0},
            marks=pytest.mark.slow,
            id="agad-random-autoscale",
        ),
        pytest.param(ReferenceType.ZERO, {"in_chop_prob": 0.0}, id="ttv2"),
        pytest.param(
            ReferenceType.ZERO,
            {"in_chop_random": True, "out_chop_prob": 0.2},
            marks=pytest.mark.slow,
            id="c-ttv2-in-out",
        ),
        pytest.param(
            ReferenceType.ZERO,
            {"transfer_columns": False, "units_in_mbatch": True},
            marks=pytest.mark.slow,
            id="c-ttv2-rows",
        ),
    ],
)
def test_equal_in_distribution(reference: ReferenceType, settings: Dict[str, Any]) -> None:
    """Mean and variance of the slow weights over 200 tiles each agree cell by cell.

    The standard error of the difference of means is that of two independent samples; that of the
    variances uses the sample's fourth moment, since device variation has heavy tails.
    """
    torch.manual_seed(8)
    x = torch.tensor([[1.0, 0.5, -0.7, 0.2], [0.3, -0.4, 0.6, 1.0]])
    d = torch.tensor([[0.4, -0.6, 0.2], [-0.1, -0.3, 0.5]])
    samples: Dict[type, List[Tensor]] = {AnalogTile: [], TrackingTile: []}
    for _ in range(N_TILES):
        for tile in noisy_pair(reference, settings):
            tile.set_weights(torch.zeros(3, 4))
            tile.set_learning_rate(0.1)
            for _ in range(240 if settings.get("units_in_mbatch") else 60):
                tile.update(x, d)
            samples[type(tile)].append(slow_weights(tile).double())
    theirs, ours = (torch.stack(values) for values in samples.values())
    mean_error = ((theirs.var(0) + ours.var(0)) / N_TILES).sqrt()
    mean_z = (theirs.mean(0) - ours.mean(0)) / mean_error
    assert mean_z.abs().max() < N_SIGMA
    fourth = [(values - values.mean(0)).pow(4).mean(0) for values in (theirs, ours)]
    spread = sum(moment - values.var(0) ** 2 for moment, values in zip(fourth, (theirs, ours)))
    variance_z = (theirs.var(0) - ours.var(0)) / (spread / N_TILES).sqrt()
    assert variance_z.abs().max() < N_SIGMA
    # The comparison means something: the gradient moved the weights far beyond their spread.
    assert (theirs.mean(0) / (theirs.var(0) / N_TILES).sqrt()).abs().max() > 4 * N_SIGMA
