"""An update with few pulses in one call against the same by stages."""

from __future__ import annotations

from copy import deepcopy
from itertools import product
from math import inf
from typing import Any, Dict, List, Tuple

import pytest
import torch
from aihwkit.nn import AnalogLinear
from torch import Tensor

from aihwkit_dspt import (
    ERIDERReRamArrayHfO2Preset,
    ReferenceSync,
    ReferenceType,
    TrackingTile,
    TransferScope,
)
from aihwkit_dspt.configs.enums import TransferStart
from aihwkit_dspt.fused.update_cpu import CpuUpdate
from aihwkit_dspt.stages.estimators import LowPassFilter
from tests.fused.test_batch import (
    COARSE,
    IN_SIZE,
    OUT_SIZE,
    SETTINGS,
    device,
    moments,
    signs,
    tile_of,
)
from tests.fuzz.instants import run_until_line
from tests.helpers import difference, snapshot

SWEEPS: Dict[str, Any] = {"sweep_every": 4.0, "start": TransferStart.FIRST_SWEEP}
ALL_SETTINGS: Dict[str, Dict[str, Any]] = {
    **SETTINGS,
    "by-batches": {"transfer_every": 1, "units_in_mbatch": True},
    "every-hundredth": {"transfer_every": 100},
    "some-lines": {**SWEEPS, "in_chop_prob": 0.5},
    "many-lines": {**SWEEPS, "in_chop_prob": 0.3, "in_chop_random": True},
    "whole-array": {
        **{"transfer_scope": TransferScope.ARRAY, "transfer_every": 1, "units_in_mbatch": True},
        **{"in_chop_prob": 0.3, "in_chop_random": True, "estimator": LowPassFilter},
    },
    "scaled": {"transfer_every": 2, "auto_scale": True, "fast_lr": 8.0},
    "scaled-by-batch": {
        **{"transfer_every": 3, "auto_scale": True, "auto_scale_by_batch": True, "fast_lr": 8.0},
        "scale_fast_lr": True,
    },
    "rider-by-sweeps": {
        **{**SWEEPS, "in_chop_prob": 0.3, "in_chop_random": True},
        "reference_sync": ReferenceSync.EVERY_READ,
    },
    "no-chopper": {"transfer_every": 1, "reference": ReferenceType.ZERO, "in_chop_prob": 0.0},
}


def few(tile: TrackingTile) -> CpuUpdate:
    """Return the form of a tile."""
    form = tile.tile.pipeline.few
    assert form is not None
    return form


def by_stages(tile: TrackingTile) -> TrackingTile:
    """Return a copy that updates stage by stage."""
    copied = deepcopy(tile)
    pipeline = copied.tile.pipeline
    pipeline.few = pipeline.step = pipeline.batch = None
    return copied


def check(first: TrackingTile, sizes: List[int], scales: Tuple[float, ...]) -> None:
    """Hold the form of a tile against the stages, over batches of some sizes."""
    second = by_stages(first)
    few(first).most_pulses = inf
    for n_vectors in sizes:
        size = torch.tensor(scales)[torch.randint(len(scales), (n_vectors, 1))]
        x, d = signs(n_vectors, IN_SIZE) * size, signs(n_vectors, OUT_SIZE) / size
        for tile in (first, second):
            tile.update(x, d)
        assert difference(snapshot(first), snapshot(second)) is None
    counts = [tile.tile.pipeline.counters.state() for tile in (first, second)]
    assert counts[0]["slow_pulses"] == counts[1]["slow_pulses"] > 0
    assert counts[0]["update_cycles"] == counts[1]["update_cycles"]
    references = [tile.tile.pipeline.link.reference for tile in (first, second)]
    assert references[0].get_extra_state() == references[1].get_extra_state()


@pytest.mark.parametrize(("name", "columns"), product(ALL_SETTINGS, (True, False)))
def test_update_equals_the_stages(name: str, columns: bool) -> None:
    """Bit by bit where nothing is random: all states, over many sweeps and flips."""
    torch.manual_seed(3)
    first = tile_of([device("soft")] * 2, False, transfer_columns=columns, **ALL_SETTINGS[name])
    check(first, [2, 5, 1, 40] * 5, (1.0, 0.5, 2.0) if "scaled" in name else (1.0,))


@pytest.mark.parametrize("kind", COARSE)
def test_update_equals_the_stages_on_devices(kind: str) -> None:
    """The same on other devices."""
    torch.manual_seed(4)
    check(tile_of([device(kind)] * 2, False, transfer_every=1), [1, 3, 17] * 4, (1.0,))


@pytest.mark.parametrize(
    ("kind", "write_noise", "settings"),
    [
        ("soft", 0.6, {"transfer_every": 1}),
        ("soft", 0.6, {"transfer_every": 1, "auto_scale": True}),
        ("exponential", 0.0, {"auto_scale": True, "auto_scale_by_batch": True, **SWEEPS}),
        ("linear", 0.0, {"transfer_every": 3, "auto_scale": True, "auto_scale_by_batch": True}),
        ("constant", 0.0, {"transfer_every": 1}),
    ],
)
def test_update_equals_the_stages_in_distribution(
    kind: str, write_noise: float, settings: Dict[str, Any]
) -> None:
    """Means over 30 trainings each, of all arrays and stages, within 4.5 standard errors.

    The standard error of the fast array is so small that a fault of a fifth of its mean is seen.
    """
    torch.manual_seed(7)
    devices = [device(kind, 0.3, write_noise, 0.02)] * 2
    first = tile_of(devices, True, transfer_lr=0.3, **settings)
    few(first).most_pulses = inf
    rows: List[Tensor] = []
    for other in (False, True):
        runs = []
        for _ in range(30):
            tile = by_stages(first) if other else deepcopy(first)
            if not other:
                few(tile).most_pulses = inf
            runs.append(moments(tile, other))
        rows.append(torch.stack(runs))
    means, errors = zip(*((row.mean(0), row.std(0) / len(row) ** 0.5) for row in rows))
    error = (errors[0].square() + errors[1].square()).sqrt()
    assert ((means[0] - means[1]).abs() <= 4.5 * error + 1e-7).all()
    fast = means[1][0].abs()
    assert fast > 0.0
    assert error[0] < 0.04 * fast


def test_many_pulses_are_left_to_others() -> None:
    """What is planned for a batch that is not taken leaves nothing behind."""
    torch.manual_seed(5)
    first = tile_of([device("soft")] * 2, True, transfer_every=1, auto_scale=True)
    state = snapshot(first)
    pipeline = first.tile.pipeline
    x, d = torch.rand(20, IN_SIZE), torch.rand(20, OUT_SIZE)
    few(first).most_pulses = 0.0
    assert not few(first).update(pipeline, x, d, 20)
    assert difference(state, snapshot(first)) is None
    few(first).most_pulses = inf
    assert few(first).update(pipeline, x, d, 20)
    assert difference(state, snapshot(first)) is not None


@pytest.mark.parametrize("settings", [{"transfer_every": 1, "auto_scale": True}, SWEEPS])
def test_an_interrupted_update_is_done_or_not(settings: Dict[str, Any]) -> None:
    """Before whatever line it is interrupted: there are two states, and both are seen."""
    torch.manual_seed(6)
    first = tile_of([device("soft")] * 2, False, **settings)
    few(first).most_pulses = inf
    x, d = signs(6, IN_SIZE), signs(6, OUT_SIZE)
    for _ in range(20):
        first.update(x, d)
    after = deepcopy(first)
    few(after).most_pulses = inf
    after.update(x, d)
    states = [snapshot(first), snapshot(after)]
    n_pulses = [one.tile.pipeline.counters.state()["slow_pulses"] for one in (first, after)]
    assert n_pulses[0] < n_pulses[1]
    seen, line = set(), 0
    while True:
        tile = deepcopy(first)
        few(tile).most_pulses = inf
        if not run_until_line(lambda: tile.update(x, d), line):  # noqa: B023
            break
        found = snapshot(tile)
        place = [difference(found, state) for state in states].index(None)
        assert tile.tile.pipeline.counters.state()["slow_pulses"] == n_pulses[place]
        seen.add(place)
        line += 1
    assert seen == {0, 1}
    assert line > 50


def noisy_training(tile: TrackingTile, seed: int) -> None:
    """Update a tile with random vectors."""
    few(tile).most_pulses = inf
    torch.manual_seed(seed)
    for _ in range(30):
        tile.update(torch.randn(3, IN_SIZE), torch.randn(3, OUT_SIZE))


def test_a_resumed_training_is_one_that_was_never_stopped() -> None:
    """With noise of all kinds, whose seeds come from torch's generator."""
    torch.manual_seed(8)
    config = ERIDERReRamArrayHfO2Preset()
    config.device.unit_cell_devices = [device("soft", 0.3, 0.6)] * 2
    config.device.auto_scale_by_batch = False
    layers = [AnalogLinear(IN_SIZE, OUT_SIZE, False, config) for _ in range(2)]
    first, second = (layer.analog_module for layer in layers)
    noisy_training(first, 9)
    layers[1].load_state_dict(deepcopy(layers[0].state_dict()))
    assert few(first).fast.persistent is not None  # ahead of the C++ tile
    for tile in (first, second):
        noisy_training(tile, 10)
    states = [snapshot(tile) for tile in (first, second)]
    for state in states:
        del state["used"]  # read with noise
    assert difference(*states) is None
