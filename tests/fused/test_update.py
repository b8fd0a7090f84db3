"""An update with few pulses in one call against the same by stages."""

from __future__ import annotations

from copy import deepcopy
from itertools import count
from math import inf
from typing import Any, Dict

import pytest
import torch
from aihwkit.nn import AnalogLinear

from aihwkit_dspt import ERIDERReRamArrayHfO2Preset, TrackingTile
from aihwkit_dspt.fused.update_cpu import CpuUpdate
from tests.fused.updates import (
    IN_SIZE,
    OUT_SIZE,
    SWEEPS,
    assert_same_law,
    device,
    only,
    signs,
    tile_of,
)
from tests.fuzz.instants import run_until_line
from tests.helpers import difference, snapshot


@pytest.mark.parametrize(
    ("kind", "write_noise", "settings"),
    [
        ("soft", 0.6, {"transfer_every": 1}),
        ("soft", 0.6, {"transfer_every": 1, "auto_scale": True}),
        ("exp", 0.0, {"auto_scale": True, "auto_scale_by_batch": True, **SWEEPS}),
        ("linear", 0.0, {"transfer_every": 3, "auto_scale": True, "auto_scale_by_batch": True}),
        ("constant", 0.0, {"transfer_every": 1}),
        # Some ten pulses at once.
        ("soft", 0.6, {"transfer_every": 1, "fast_lr": 0.2, "desired_bl": 31, "dw_min": 0.005}),
    ],
)
def test_update_equals_the_stages_in_distribution(
    kind: str, write_noise: float, settings: Dict[str, Any]
) -> None:
    """Over many trainings, with all kinds of steps and of learning rates."""
    torch.manual_seed(7)
    settings = {"dw_min": 0.02, **settings}
    devices = [device(kind, 0.3, write_noise, settings.pop("dw_min"))] * 2
    first = tile_of(devices, True, transfer_lr=0.3, **settings)
    assert_same_law(first, CpuUpdate)


def test_many_pulses_are_left_to_others() -> None:
    """What is planned for a batch that is not taken leaves nothing behind."""
    torch.manual_seed(5)
    first = tile_of([device("soft")] * 2, True, transfer_every=1, auto_scale=True)
    state = snapshot(first)
    pipeline = first.tile.pipeline
    x, d = torch.rand(20, IN_SIZE), torch.rand(20, OUT_SIZE)
    (form,) = only(first, CpuUpdate)
    form.most_pulses = 0.0
    assert not form.update(pipeline, x, d, 20)
    assert difference(state, snapshot(first)) is None
    form.most_pulses = inf
    assert form.update(pipeline, x, d, 20)
    assert difference(state, snapshot(first)) is not None


@pytest.mark.parametrize("settings", [{"transfer_every": 1, "auto_scale": True}, SWEEPS])
def test_an_interrupted_update_is_done_or_not(settings: Dict[str, Any]) -> None:
    """Before whatever line it is interrupted: there are two states, and both are seen.

    Most lines read parameters of aihwkit's devices, and nothing changes before the last hundred:
    each of the last ones is tried, and some of the others.
    """
    torch.manual_seed(6)
    tile = tile_of([device("soft")] * 2, False, **settings)
    only(tile, CpuUpdate)
    x, d = signs(6, IN_SIZE), signs(6, OUT_SIZE)
    for _ in range(20):
        tile.update(x, d)
    link = tile.tile.pipeline.link
    while link.settling.is_due(link.schedule.sweep):  # a look is done before the update, and once
        tile.update(x, d)
    start = tile.tile.dump_extra()
    states = [state_and_pulses(tile)]

    def is_interrupted(line: int) -> bool:
        tile.tile.load_extra(start)
        return run_until_line(lambda: tile.update(x, d), line)

    n_lines = next(line for line in count(0, 20) if not is_interrupted(line))
    states.append(state_and_pulses(tile))
    assert states[0]["pulses"] < states[1]["pulses"]
    places = []
    for line in [*range(0, n_lines - 200, 29), *range(n_lines - 200, n_lines)]:
        if is_interrupted(line):
            found = state_and_pulses(tile)
            places.append([difference(found, state) for state in states].index(None))
    assert places == sorted(places)
    assert 0 < sum(places) < 100


def state_and_pulses(tile: TrackingTile) -> Dict[str, Any]:
    """Return everything that is known about a tile, with the pulses to its slow array."""
    return {**snapshot(tile), "pulses": tile.tile.pipeline.counters.state()["slow_pulses"]}


def noisy_training(tile: TrackingTile, seed: int) -> None:
    """Update a tile with random vectors."""
    only(tile, CpuUpdate)
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
    assert first.tile.pipeline.fast.batched.persistent is not None  # ahead of the C++ tile
    for tile in (first, second):
        noisy_training(tile, 10)
    states = [snapshot(tile) for tile in (first, second)]
    for state in states:
        del state["used"]  # read with noise
    assert difference(*states) is None
