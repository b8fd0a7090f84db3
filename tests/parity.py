"""Pairs of tiles: aihwkit's C++ compound and the tracking tile with the same settings."""

from __future__ import annotations

from typing import Any, Dict, List, Tuple

import torch
from aihwkit.simulator.configs.compounds import (
    ChoppedTransferCompound,
    DynamicTransferCompound,
    UnitCell,
)
from aihwkit.simulator.configs.configs import UnitCellRPUConfig
from aihwkit.simulator.configs.devices import SoftBoundsReferenceDevice
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
from tests.covering import covering
from tests.helpers import deterministic, perfect, quiet_device

TOLERANCE = 1e-6
N_COMPARED, THEN_EVERY = 100, 7
"""All states are compared after each of the first updates, then after every seventh: what differs
once goes into all later states."""
LEARNING_RATES = (0.1, 0.03, 0.07)
"""Each is used for a third of the updates."""

GRID: Dict[str, Tuple[Any, ...]] = {
    "sizes": ((6, 4), (3, 5)),
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

CASES: List[Dict[str, Any]] = [dict(zip(GRID, row)) for row in covering(*GRID.values())]
"""Cases of the grid in which each pair of values of two settings occurs."""

EXTRA: List[Dict[str, Any]] = [
    {"momentum": 0.3},
    {"momentum": 0.2, "forget_buffer": False, "desired_bl": 3},
    {"auto_granularity": 30.0},
    {"buffer_granularity": 0.4, "step": 2.0},
    {"step": 2.0, "desired_bl": 5},
    {"scale_transfer_lr": False},
    {"fast_lr": 0.0},
    {"transfer_every": 0.0},
    {"auto_scale": True, "auto_momentum": 0.5, "batch_size": 10},
]
"""Settings that are tried one at a time with either reference."""

N_SIGMA = 5.0
"""Two-sided false-alarm probability of 6e-7 for each of the at most 24 numbers of a test."""


def case_name(case: Dict[str, Any]) -> str:
    """Return a readable test id."""
    return ",".join(f"{key}={value}" for key, value in case.items())


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
    settings.update(
        unit_cell_devices=settings.pop("devices", None) or [quiet_device(), quiet_device()],
        transfer_forward=perfect(),
        transfer_update=deterministic(settings.pop("desired_bl", 1)),
    )
    periphery = {"forward": perfect(), "backward": perfect(), "update": deterministic(31)}
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
