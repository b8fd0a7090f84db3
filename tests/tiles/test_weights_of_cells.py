"""Hidden weights of the devices in unit cells: P, W and the weight in use follow at once."""

from __future__ import annotations

from typing import Any, Tuple

import pytest
import torch
from aihwkit.simulator.tiles.analog import AnalogTile

from aihwkit_dspt import ReferenceType, TrackingTile
from aihwkit_dspt.tiles.array_state import sum_of_cells
from tests import device_table
from tests.covering import covering
from tests.helpers import draw_batch, mixed_weight, quiet_tile, train
from tests.parity import cpp_states, deterministic_pair

TOLERANCE = 1e-6
"""Single precision at weights of order 1."""

CASE = {"transfer_every": 1.0, "units_in_mbatch": True, "in_chop_prob": 0.3}


def pair(name: str, reference: ReferenceType) -> Tuple[AnalogTile, TrackingTile]:
    """Return aihwkit's compound and a tracking tile of two arrays of unit cells, trained."""
    devices = [device_table.CELLS[name]() for _ in range(2)]
    theirs, ours = deterministic_pair(reference, {**CASE, "devices": devices})
    for _ in range(10):
        update(theirs, ours)
    return theirs, ours


def update(theirs: AnalogTile, ours: TrackingTile) -> None:
    """Update both tiles with the same data."""
    x, d = draw_batch(ours)
    for tile in (theirs, ours):
        tile.set_learning_rate(0.1)
        tile.update(x.clone(), d.clone())


def assert_same(theirs: AnalogTile, ours: TrackingTile) -> None:
    """Compare all states, those of the cells included."""
    for name, value in cpp_states(theirs, True).items():
        assert (value - getattr(ours, name)).abs().max() <= TOLERANCE, name
    hidden, own = theirs.get_hidden_parameters(), ours.get_hidden_parameters()
    for name in own:
        if name.count("_") > 2 and name in hidden:
            assert (hidden[name] - own[name]).abs().max() <= TOLERANCE, name


@pytest.mark.parametrize(
    ("name", "device", "arrays", "reference"),
    covering(
        device_table.CELLS,
        [0, 1],
        [(0,), (1,), (0, 1)],
        [ReferenceType.DYNAMIC, ReferenceType.ZERO],
    ),
)
def test_as_in_aihwkit(
    name: str, device: int, arrays: Tuple[int, ...], reference: ReferenceType
) -> None:
    """After setting some of them all states are those of aihwkit's compound."""
    torch.manual_seed(1)
    if name == "sequential":
        # aihwkit clips cells with a reference in the other array, too.
        arrays = (0, 1)
    theirs, ours = pair(name, reference)
    assert_same(theirs, ours)
    for tile in (theirs, ours):
        hidden = tile.get_hidden_parameters()
        for array in arrays:
            changed = hidden[f"hidden_weights_{device}_{array}"]
            changed.copy_(torch.linspace(0.05, 0.7, changed.numel()).view_as(changed))
        tile.set_hidden_parameters(hidden)
    assert_same(theirs, ours)
    # aihwkit also estimates the granularity of an array that was not changed; here it stays.
    if arrays == (0, 1):
        for _ in range(10):
            update(theirs, ours)
            assert_same(theirs, ours)


@pytest.mark.parametrize("array", [0, 1])
@pytest.mark.parametrize("name", device_table.CELLS)
def test_weight_in_use_follows(name: str, array: int) -> None:
    """With ``gamma``, too, and before any pulse."""
    torch.manual_seed(2)
    tile = cells(name)
    hidden = tile.get_hidden_parameters()
    hidden[f"hidden_weights_0_{array}"] += 0.03
    before = tile.fast_weights, tile.slow_weights
    tile.set_hidden_parameters(hidden)
    after = tile.fast_weights, tile.slow_weights
    assert not torch.allclose(before[array], after[array], atol=1e-3)
    assert torch.equal(before[1 - array], after[1 - array])
    assert (tile.tile.get_weights() - mixed_weight(tile)).abs().max() <= TOLERANCE
    tile.update(torch.zeros(1, 6), torch.zeros(1, 4))
    assert torch.equal(tile.fast_weights, after[0])


@pytest.mark.parametrize("name", device_table.CELLS)
def test_weights_of_the_array_alone(name: str) -> None:
    """They are programmed into the cells, so that the next pulse does not undo them."""
    torch.manual_seed(3)
    tile = cells(name)
    hidden = tile.get_hidden_parameters()
    hidden["slow_weights"] = hidden["slow_weights"] + 0.05
    tile.set_hidden_parameters(hidden)
    after = tile.slow_weights
    array = tile.tile.pipeline.slow
    total = sum_of_cells(array, array.hidden_parameters())
    assert total is not None
    assert torch.allclose(total, after, atol=TOLERANCE)
    if name != "reference":  # its second device keeps what it holds
        assert torch.allclose(after, hidden["slow_weights"], atol=0.06)


@pytest.mark.parametrize("name", device_table.CELLS)
def test_disagreement(name: str) -> None:
    """Where both are given the cells decide, as in aihwkit."""
    torch.manual_seed(4)
    tile, other = cells(name), cells(name)
    other.tile.load_extra(tile.tile.dump_extra())
    hidden = tile.get_hidden_parameters()
    hidden["hidden_weights_0_0"] += 0.03
    other.set_hidden_parameters(hidden)
    hidden["fast_weights"] = torch.zeros(4, 6)
    tile.set_hidden_parameters(hidden)
    assert torch.equal(tile.fast_weights, other.fast_weights)


def cells(name: str, **settings: Any) -> TrackingTile:
    """Return a trained tile of two arrays of unit cells."""
    devices = [device_table.CELLS[name]() for _ in range(2)]
    tile = quiet_tile(unit_cell_devices=devices, gamma=0.5, in_chop_prob=0.3, **settings)
    train(tile, 5)
    return tile
