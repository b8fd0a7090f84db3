"""A batch with transfers within it in one call against the same by stages."""

from __future__ import annotations

from copy import deepcopy
from itertools import product
from typing import Any, Dict, List, Type

import pytest
import torch
from aihwkit.simulator.configs.devices import (
    ConstantStepDevice,
    ExpStepDevice,
    LinearStepDevice,
    PowStepDevice,
    SoftBoundsDevice,
    SoftBoundsReferenceDevice,
)
from aihwkit.simulator.parameters.enums import PulseType
from aihwkit.simulator.parameters.training import UpdateParameters
from torch import Tensor

from aihwkit_dspt import (
    Listener,
    PulseMode,
    ReadMode,
    ReferenceSync,
    ReferenceType,
    TrackingTile,
)
from aihwkit_dspt.configs.enums import TransferStart
from aihwkit_dspt.fused.batch_cpu import CpuBatch
from aihwkit_dspt.stages.estimators import LowPassFilter
from tests.helpers import difference, quiet_config, snapshot

DEVICES: Dict[str, Type[Any]] = {
    "constant": ConstantStepDevice,
    "linear": LinearStepDevice,
    "soft": SoftBoundsDevice,
    "soft-reference": SoftBoundsReferenceDevice,
    "exponential": ExpStepDevice,
    "power": PowStepDevice,
}
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
    "nothing-mixed": {"transfer_every": 1, "gamma": 0.0},
    "scaled": {"transfer_every": 2, "auto_scale": True, "fast_lr": 8.0},
}
COARSE = [kind for kind in DEVICES if kind not in ("constant", "linear")]
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
    settings = {"dw_min": dw_min, "dw_min_std": noise, "write_noise_std": write_noise}
    names = vars(DEVICES[kind]())
    spread = dict.fromkeys((name for name in names if name.endswith("_dtod")), 0.0)
    found = DEVICES[kind](**{**spread, **{key: settings[key] for key in settings if key in names}})
    return found


def tile_of(devices: List[Any], managed: bool, **settings: Any) -> TrackingTile:
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
    config.update = update_of(3, managed)
    tile = TrackingTile(OUT_SIZE, IN_SIZE, config)
    tile.set_learning_rate(1.0)
    return tile


def signs(n_vectors: int, size: int) -> Tensor:
    """Return inputs of -1, 0 and 1, whose pulse trains have a pulse in every slot or none."""
    return torch.randint(-1, 2, (n_vectors, size)).float()


@pytest.mark.parametrize(("name", "columns"), product(SETTINGS, (True, False)))
@pytest.mark.parametrize("kind", COARSE)
def test_batch_equals_the_stages(kind: str, name: str, columns: bool) -> None:
    """Bit by bit where nothing is random: all states, over many sweeps and flips.

    Cells whose steps hardly change take some pulses at once, those of a vector by stages and those
    of more here, and equal to rounding only.
    """
    torch.manual_seed(3)
    first = tile_of([device(kind)] * 2, False, transfer_columns=columns, **SETTINGS[name])
    tiles = [first, deepcopy(first)]
    tiles[0].tile.pipeline.few = None
    tiles[1].tile.pipeline.few = tiles[1].tile.pipeline.batch = None
    sizes = [2, 5, 90] * 4
    batches = [(signs(n, IN_SIZE), signs(n, OUT_SIZE)) for n in sizes]
    form = first.tile.pipeline.batch
    assert isinstance(form, CpuBatch)
    assert any(form.takes(first.tile.pipeline, n) for n in sizes)
    for tile in tiles:
        for x, d in batches:
            tile.update(x, d)
    assert difference(*map(snapshot, tiles)) is None
    counts = [tile.tile.pipeline.counters.state() for tile in tiles]
    del counts[0]["forward_mvms"], counts[1]["forward_mvms"]
    assert counts[0]["slow_pulses"] == counts[1]["slow_pulses"] > 0
    assert counts[0]["update_cycles"] == counts[1]["update_cycles"]


def dense(tile: TrackingTile) -> TrackingTile:
    """Return a copy that does not leave batches with few pulses to another form."""
    copied = deepcopy(tile)
    copied.tile.pipeline.few = None
    return copied


def moments(tile: TrackingTile, by_stages: bool) -> Tensor:
    """Return mean and spread of the values of all cells after some batches, as one row."""
    if by_stages:
        pipeline = tile.tile.pipeline
        pipeline.few = pipeline.step = pipeline.batch = None
    for _ in range(3):
        tile.update(torch.full((40, IN_SIZE), 0.6), torch.full((40, OUT_SIZE), -0.4))
    pipeline, link = tile.tile.pipeline, tile.tile.pipeline.link
    held = [pipeline.fast.weights, pipeline.slow.weights, pipeline.mixed_array.weights]
    held += [link.buffer.hidden, link.estimator.sp_estimate, link.reference.values]
    return torch.stack([moment for one in held for moment in (one.mean(), one.std())])


@pytest.mark.parametrize(
    ("kind", "write_noise", "dw_min", "managed", "auto_scale"),
    [
        ("soft", 0.6, 0.05, True, True),
        ("exponential", 0.0, 0.02, False, False),
        ("linear", 0.0, 0.02, False, False),
        ("constant", 0.0, 0.01, True, True),
    ],
)
def test_batch_equals_the_stages_in_distribution(
    kind: str, write_noise: float, dw_min: float, managed: bool, auto_scale: bool
) -> None:
    """Means over 30 trainings each, of all arrays and stages, within 4.5 standard errors.

    The last device is fine: its cells take some pulses at once. The standard error of the fast
    array is so small that a fault of a fifth of its mean is seen.
    """
    torch.manual_seed(7)
    devices = [device(kind, 0.3, write_noise, dw_min), device(kind, 0.3, write_noise, dw_min)]
    scaled = {"auto_scale": auto_scale}
    first = tile_of(devices, managed, transfer_every=1, transfer_lr=0.3, **scaled)
    first.update(torch.zeros(2, IN_SIZE), torch.zeros(2, OUT_SIZE))
    rows: List[Tensor] = []
    for by_stages in (False, True):
        runs = [moments(dense(first), by_stages) for _ in range(30)]
        rows.append(torch.stack(runs))
    means, errors = zip(*((row.mean(0), row.std(0) / len(row) ** 0.5) for row in rows))
    error = (errors[0].square() + errors[1].square()).sqrt()
    assert ((means[0] - means[1]).abs() <= 4.5 * error + 1e-7).all()
    fast = means[1][0].abs()
    assert fast > 0.0
    assert error[0] < 0.04 * fast


class Ear(Listener):
    """Hears reads."""

    n_heard = 0

    def on_read(self, lines: slice, read: Tensor) -> None:
        """Count."""
        self.n_heard += 1


def test_a_listener_hears_all_events() -> None:
    """With a listener the batch goes by stages, event by event."""
    tile, ear = tile_of([device("soft")] * 2, False, transfer_every=1), Ear()
    with tile.listen(ear):
        tile.update(signs(6, IN_SIZE), signs(6, OUT_SIZE))
    assert ear.n_heard == 6


@pytest.mark.parametrize(
    "settings",
    [
        {"pulse_mode": PulseMode.CPP},
        {"read_mode": ReadMode.TORCH},
        {"read_mode": ReadMode.CPP},
        {"auto_scale": True, "correct_gradient_magnitudes": True},
        {"out_chop_prob": 0.1},
    ],
)
def test_who_has_no_such_pass(settings: Dict[str, Any]) -> None:
    """Compiled updates can be switched off, and what they do not know goes by stages."""
    usual: Dict[str, Any] = {"unit_cell_devices": [device("soft")] * 2, "units_in_mbatch": False}
    config = quiet_config(**{**usual, "transfer_update": update_of(1, False), **settings})
    config.update = update_of(3, True)
    pipeline = TrackingTile(OUT_SIZE, IN_SIZE, config).tile.pipeline
    assert pipeline.batch is None
    assert pipeline.few is None
