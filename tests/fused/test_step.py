"""A whole update in two calls against the same by stages, bit by bit."""

from __future__ import annotations

from copy import deepcopy
from itertools import product
from typing import Any, Dict, List, Tuple

import pytest
import torch

from aihwkit_dspt import ReadMode, TrackingTile
from aihwkit_dspt.configs.enums import ReferenceSync, ReferenceType, TransferStart
from aihwkit_dspt.fused.step_cpu import CpuStep
from aihwkit_dspt.stages.adaptive import AdaptiveGain
from aihwkit_dspt.stages.estimators import LowPassFilter
from tests.fused.updates import Ear, only
from tests.helpers import difference, quiet_config, snapshot

SETTINGS: Dict[str, Dict[str, Any]] = {
    "usual": {"gamma": 0.3, "in_chop_prob": 0.5},
    "nothing-mixed": {"gamma": 0.0, "in_chop_prob": 0.5},
    "no-chopper": {"gamma": 0.3, "in_chop_prob": 0.0, "reference": ReferenceType.ZERO},
    "random-chopper": {"gamma": 0.3, "in_chop_prob": 0.4, "in_chop_random": True},
    "early": {"gamma": 0.3, "in_chop_prob": 0.2, "start": TransferStart.FIRST_SWEEP},
    "static": {"gamma": 0.3, "reference": ReferenceType.STATIC, "in_chop_prob": 0.5},
    "scaled": {"gamma": 0.3, "auto_scale": True, "auto_scale_by_batch": True},
    "low-pass": {"gamma": 0.3, "estimator": LowPassFilter, "in_chop_prob": 0.3},
    "some-lines": {"gamma": 0.3, "in_chop_prob": 0.5, "sweep_every": 9.0},
    "all-lines": {"gamma": 0.3, "in_chop_prob": 0.5, "sweep_every": 2.0},
    "seldom": {"gamma": 0.3, "transfer_every": 2, "start": TransferStart.FIRST_SWEEP},
    "by-vectors": {"gamma": 0.3, "transfer_every": 2, "units_in_mbatch": False},
}
"""What an update meets: no event, one or several lines, flips, pulses, a new sweep within lines."""


def pair(**settings: Any) -> List[TrackingTile]:
    """Return two equal tiles, of which the second works stage by stage."""
    usual = {"transfer_lr": 3.0, "units_in_mbatch": True, "in_chop_random": False}
    if "sweep_every" not in settings:
        usual["transfer_every"] = 1
    config = quiet_config(**{**usual, **settings})
    config.device.transfer_forward.out_noise = 0.05
    config.device.transfer_forward.is_perfect = False
    torch.manual_seed(1)
    first = TrackingTile(5, 7, config)
    first.tile.set_weights_uniform_random(-0.2, 0.2)
    tiles = [first, deepcopy(first)]
    assert only(tiles[0], CpuStep)
    only(tiles[1])
    return tiles


def both(tiles: List[TrackingTile], seed: int, n_batch: int) -> None:
    """Do the same update with both tiles, at learning rates that change."""
    x, d = torch.randn(n_batch, 7), torch.randn(n_batch, 5)
    for tile in tiles:
        tile.set_learning_rate(0.0 if seed == 5 else 0.3 / (1 + seed % 3))
        torch.manual_seed(seed)
        tile.update(x, d)


@pytest.mark.parametrize(("name", "columns"), product(SETTINGS, (True, False)))
def test_step_equals_the_stages(name: str, columns: bool) -> None:
    """All states, the counters included, after many updates."""
    tiles = pair(transfer_columns=columns, **SETTINGS[name])
    for seed in range(100):
        both(tiles, seed, 1 + seed % 3)
        if seed % 4 == 0:
            assert difference(*map(snapshot, tiles)) is None
    counts: Tuple[Any, Any] = tuple(one.tile.pipeline.counters.state() for one in tiles)
    assert counts[0]["slow_pulses"] == counts[1]["slow_pulses"] > 0
    assert counts[0]["update_cycles"] == counts[1]["update_cycles"]


def test_a_listener_hears_everything() -> None:
    """With a listener the update goes by stages, and through the same states."""
    tiles = pair(**SETTINGS["usual"])

    ear = Ear()
    with tiles[0].listen(ear):
        for seed in range(10):
            both(tiles, seed, 2)
    assert ear.n_lines == 9  # at a learning rate of zero nothing is read
    assert difference(*map(snapshot, tiles)) is None


@pytest.mark.parametrize(
    "settings",
    [
        {"out_chop_prob": 0.1},
        {"reference_sync": ReferenceSync.EVERY_READ},
        {"estimator": AdaptiveGain},
        {"auto_scale": True},
        {"read_mode": ReadMode.TORCH},
    ],
)
def test_who_has_no_step(settings: Dict[str, Any]) -> None:
    """Whatever the pass does not know goes by stages."""
    config = quiet_config(**{"gamma": 0.3, "transfer_every": 1, **settings})
    assert not only(TrackingTile(5, 7, config), CpuStep)
