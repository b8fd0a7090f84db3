"""Tiles for tests of fused updates, which come as pairs: with some forms, and stage by stage."""

from __future__ import annotations

from copy import deepcopy
from math import inf
from typing import Any, Dict, List, Type

import torch
from aihwkit.simulator.parameters.enums import PulseType
from aihwkit.simulator.parameters.training import UpdateParameters
from torch import Tensor

from aihwkit_dspt import (
    Listener,
    PulseMode,
    ReferenceSync,
    ReferenceType,
    TrackingTile,
    TransferScope,
)
from aihwkit_dspt.configs.enums import TransferStart
from aihwkit_dspt.fused.update import FusedUpdate
from aihwkit_dspt.stages.estimators import LowPassFilter
from tests.device_table import PULSED, quiet
from tests.helpers import quiet_config

SWEEPS: Dict[str, Any] = {"sweep_every": 4.0, "start": TransferStart.FIRST_SWEEP}
SETTINGS: Dict[str, Dict[str, Any]] = {
    "every-vector": {"transfer_every": 1},
    "every-third": {"transfer_every": 3, "in_chop_prob": 0.3},
    "random-chopper": {"transfer_every": 1, "in_chop_prob": 0.3, "in_chop_random": True},
    "low-pass": {"transfer_every": 2, "estimator": LowPassFilter},
    "static": {"transfer_every": 1, "reference": ReferenceType.STATIC},
    "rider": {
        **{"transfer_every": 1, "in_chop_prob": 0.0, "eta": 0.2},
        "reference_sync": ReferenceSync.EVERY_READ,
    },
    "rider-by-sweeps": {
        **{**SWEEPS, "in_chop_prob": 0.3, "in_chop_random": True},
        "reference_sync": ReferenceSync.EVERY_READ,
    },
    "nothing-mixed": {"transfer_every": 1, "gamma": 0.0},
    "scaled": {"transfer_every": 2, "auto_scale": True, "fast_lr": 8.0},
    "by-batches": {"transfer_every": 1, "units_in_mbatch": True},
    "every-hundredth": {"transfer_every": 100},
    "some-lines": {**SWEEPS, "in_chop_prob": 0.5},
    "many-lines": {**SWEEPS, "in_chop_prob": 0.3, "in_chop_random": True},
    "whole-array": {
        **{"transfer_scope": TransferScope.ARRAY, "transfer_every": 1, "units_in_mbatch": True},
        **{"in_chop_prob": 0.3, "in_chop_random": True, "estimator": LowPassFilter},
    },
    "scaled-by-batch": {
        **{"transfer_every": 3, "auto_scale": True, "auto_scale_by_batch": True, "fast_lr": 8.0},
        "scale_fast_lr": True,
    },
    "scaled-by-batch-limited": {
        **{"transfer_every": 3, "auto_scale": True, "auto_scale_by_batch": True},
        **{"scale_fast_lr": True, "fast_lr": 200.0, "auto_scale_limit": 2.0},
    },
    "scaled-limited": {
        **{"transfer_every": 2, "auto_scale": True, "fast_lr": 200.0, "auto_scale_limit": 2.0},
    },
    "no-chopper": {"transfer_every": 1, "reference": ReferenceType.ZERO, "in_chop_prob": 0.0},
}
COARSE = ("soft", "soft-reference", "exp", "pow")
"""Devices whose cells take pulses one after the other."""
OUT_SIZE, IN_SIZE = 5, 7


def update_of(desired_bl: int, managed: bool) -> UpdateParameters:
    """Return update parameters of stochastic pulses."""
    return UpdateParameters(
        desired_bl=desired_bl,
        pulse_type=PulseType.STOCHASTIC_COMPRESSED,
        update_management=managed,
        update_bl_management=managed,
    )


def device(kind: str, noise: float = 0.0, write_noise: float = 0.0, dw_min: float = 0.05) -> Any:
    """Return a device of which all cells are equal, with noise of its pulses or without."""
    noises = {"dw_min_std": noise, "write_noise_std": write_noise}
    return quiet(PULSED[kind], dw_min=dw_min, up_down=0.0, **noises)


def tile_of(
    devices: List[Any], managed: bool, desired_bl: int = 3, **settings: Any
) -> TrackingTile:
    """Return a tile whose pulses have a batched form, and that does events within a batch."""
    usual = {
        **{"unit_cell_devices": devices, "units_in_mbatch": False, "gamma": 0.3},
        **{"in_chop_random": False, "in_chop_prob": 0.5, "transfer_lr": 2.0, "fast_lr": 1.0},
        **{"pulse_mode": PulseMode.BATCHED, "start": TransferStart.FIRST_SWEEP},
        "transfer_update": update_of(1, False),
    }
    if settings.get("reference", ReferenceType.DYNAMIC) is not ReferenceType.DYNAMIC:
        del usual["start"]
    config = quiet_config(**{**usual, **settings})
    config.update = update_of(desired_bl, managed)
    tile = TrackingTile(OUT_SIZE, IN_SIZE, config)
    tile.set_learning_rate(1.0)
    return tile


def signs(n_vectors: int, size: int) -> Tensor:
    """Return inputs of -1, 0 and 1, whose pulse trains have a pulse in every slot or none."""
    return torch.randint(-1, 2, (n_vectors, size)).float()


class Ear(Listener):
    """Counts the lines that it hears of."""

    n_lines = 0

    def on_read(self, lines: slice, read: Tensor) -> None:
        """Count."""
        self.n_lines += lines.stop - lines.start


def only(tile: TrackingTile, *kinds: Type[FusedUpdate]) -> List[Any]:
    """Return a tile's forms of some kinds, and take all others from it.

    A form that leaves updates with many pulses to others is made to take them.
    """
    pipeline = tile.tile.pipeline
    pipeline.forms = [form for form in pipeline.forms if type(form) in kinds]
    for form in pipeline.forms:
        form.most_pulses = inf
    return list(pipeline.forms)


def copy_with(tile: TrackingTile, *kinds: Type[FusedUpdate]) -> TrackingTile:
    """Return a copy of a tile that has only some kinds of forms; without one it goes by stages."""
    copied = deepcopy(tile)
    only(copied, *kinds)
    return copied


def assert_same_law(first: TrackingTile, form: Type[FusedUpdate]) -> None:
    """Compare means over 30 trainings each, of all arrays and stages, within 4.5 standard errors.

    The standard error of the fast array is so small that a fault of a fifth of its mean is seen.
    """
    rows: List[Tensor] = []
    for forms in ([form], []):
        rows.append(torch.stack([moments(copy_with(first, *forms)) for _ in range(30)]))
    means, errors = zip(*((row.mean(0), row.std(0) / len(row) ** 0.5) for row in rows))
    error = (errors[0].square() + errors[1].square()).sqrt()
    assert ((means[0] - means[1]).abs() <= 4.5 * error + 1e-7).all()
    fast = means[1][0].abs()
    assert fast > 0.0
    assert error[0] < 0.04 * fast


def moments(tile: TrackingTile) -> Tensor:
    """Return mean and spread of the values of all cells after some batches, as one row.

    First signs of the chopper that alternate are undone: the fast array's mean would be small.
    """
    tile.tile.pipeline.link.chopper.in_sign[1::2].neg_()
    for _ in range(3):
        tile.update(torch.full((40, IN_SIZE), 0.6), torch.full((40, OUT_SIZE), -0.4))
    pipeline, link = tile.tile.pipeline, tile.tile.pipeline.link
    held = [pipeline.fast.weights, pipeline.slow.weights, pipeline.mixed_array.weights]
    held += [link.buffer.hidden, link.estimator.sp_estimate, link.reference.values]
    return torch.stack([moment for one in held for moment in (one.mean(), one.std())])
