"""``gamma=0`` equals aihwkit's C++ compounds: bit by bit, and in distribution under noise.

With deterministic implicit pulses, perfect IO and no device variation nothing is random, so every
hidden state has to agree after every update. Sums are formed in the same order in single
precision, so the tolerance of 1e-6 (weights are of order 0.1) leaves only rounding.
"""

from __future__ import annotations

from copy import deepcopy
from itertools import product
from typing import Any, Dict, List, Tuple

import pytest
import torch
from aihwkit.simulator.tiles.analog import AnalogTile
from torch import Tensor

from aihwkit_dspt import ReferenceType, TrackingTile
from tests import device_table
from tests.parity import (
    CASES,
    EXTRA,
    GRID,
    N_SIGMA,
    TOLERANCE,
    assert_equal_training,
    case_name,
    cpp_states,
    deterministic_pair,
    noisy_pair,
)

N_UPDATES = 1000
N_TILES = 200


@pytest.mark.parametrize("case", CASES, ids=case_name)
def test_dynamic_reference_is_cpp_agad(case: Dict[str, Any]) -> None:
    """Dynamic reference = ``DynamicTransferCompound`` in every hidden state."""
    torch.manual_seed(1)
    theirs, ours = deterministic_pair(ReferenceType.DYNAMIC, case)
    assert_equal_training(theirs, ours, case, N_UPDATES)


@pytest.mark.parametrize("case", CASES, ids=case_name)
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
    devices = [device_table.QUIET_AND_CELLS[fast](), device_table.QUIET_AND_CELLS[fast]()]
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


NAMES = list(device_table.QUIET_AND_CELLS)
PAIRS: List[Tuple[str, str]] = [
    *zip(
        device_table.QUIET_AND_CELLS,
        [*list(device_table.QUIET_AND_CELLS)[6:], *list(device_table.QUIET_AND_CELLS)[:6]],
    ),
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
    devices = [device_table.QUIET_AND_CELLS[name]() for name in (fast, slow)]
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
