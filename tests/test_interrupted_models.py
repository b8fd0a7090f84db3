"""A call that changes several tiles changes all or none, whenever it is interrupted."""

from __future__ import annotations

from typing import Any, Callable, Dict, List
from unittest import mock

import pytest
import torch
from torch import nn

from aihwkit_dspt import (
    SymmetricPointDrift,
    TrackingTile,
    at_slow_weights,
    calibrate,
    join_next_array,
)
from aihwkit_dspt.drift.array import MovingPoints
from aihwkit_dspt.tiles.simulator_tile import TrackingSimulatorTile
from tests.fuzz.instants import run_until_line
from tests.helpers import difference, mixed_weight, quiet_device, quiet_tile, snapshot, train
from tests.table import METHODS


def two_tiles(n_arrays: int = 2) -> nn.ModuleList:
    """Return a model of two tiles that have been trained."""
    devices = [quiet_device() for _ in range(n_arrays)]
    own = {"join_sweeps": None} if n_arrays > 2 else {}
    tiles = [
        quiet_tile(**{**METHODS["E-RIDER"], "unit_cell_devices": devices, **own}) for _ in range(2)
    ]
    for tile in tiles:
        train(tile, 30)
    return nn.ModuleList(tiles)


def interrupted_second(owner: Any, name: str, call: Callable[[], object]) -> None:
    """Interrupt a call in the second call of a method, after its work was done."""
    whole, calls = getattr(owner, name), []

    def method(*args: Any, **kwargs: Any) -> Any:
        result = whole(*args, **kwargs)
        calls.append(name)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return result

    with mock.patch.object(owner, name, method), pytest.raises(KeyboardInterrupt):
        call()


def states(model: nn.ModuleList) -> List[Any]:
    """Return the states of all tiles."""
    return [snapshot(tile) for tile in model]


CHANGES: Dict[str, Any] = {
    "calibrate": (2, TrackingSimulatorTile, lambda m: calibrate(m, 20, progress=False)),
    "join_next": (3, TrackingSimulatorTile, join_next_array),
    "moved": (2, MovingPoints, lambda m: SymmetricPointDrift(m, walk=0.02, wear=0.1).advance(3)),
}


@pytest.mark.parametrize("name", CHANGES)
def test_all_or_none(name: str) -> None:
    """Nothing has changed, and the same call works then."""
    n_arrays, owner, change = CHANGES[name]
    model = two_tiles(n_arrays)
    before = states(model)
    interrupted_second(owner, name, lambda: change(model))
    assert not any(map(difference, before, states(model)))
    change(model)
    assert all(map(difference, before, states(model)))
    for tile in model:
        train(tile, 3)
        torch.testing.assert_close(tile.tile.get_weights().double(), mixed_weight(tile))


def test_interrupted_drift_draws_again() -> None:
    """Neither random numbers nor steps of a move that did not happen are gone."""
    model = two_tiles()
    drift = SymmetricPointDrift(model, walk=0.02, seed=5)
    before = drift.state_dict()
    interrupted_second(MovingPoints, "moved", drift.advance)
    after = drift.state_dict()
    assert torch.equal(before.pop("random"), after.pop("random"))
    assert not difference(before, after)


def test_interrupted_look_at_slow_weights() -> None:
    """The weights in use are the mixed ones again, whatever the instant."""
    model = two_tiles()

    def look() -> None:
        with at_slow_weights(model):
            pass

    number = 0
    while run_until_line(look, number):
        number += 3
        for tile in model:
            torch.testing.assert_close(tile.tile.get_weights().double(), mixed_weight(tile))
    assert number > 30
    assert all(isinstance(tile, TrackingTile) for tile in model)
