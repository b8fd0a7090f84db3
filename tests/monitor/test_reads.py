"""Recorded reads against what happens in the tile."""

from __future__ import annotations

import pickle
from copy import deepcopy
from typing import Any, Dict

import pytest
import torch
from aihwkit.exceptions import ArgumentError, TileError
from torch import nn

from aihwkit_dspt import ReferenceType, TransferScope, record_reads
from tests.helpers import draw_batch, quiet_tile, train
from tests.table import METHODS

ERIDER = METHODS["E-RIDER"]


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"transfer_columns": False},
        {"in_chop_random": True, "out_chop_prob": 0.4},
        {"transfer_scope": TransferScope.ARRAY},
        {"transfer_every": 2.0, "units_in_mbatch": False},
    ],
    ids=str,
)
def test_reads_are_those_of_the_tile(settings: Dict[str, Any]) -> None:
    """After each single update the line that was read holds P, Q; c is the sign before it."""
    tile = quiet_tile((3, 4), **{**ERIDER, **settings})
    columns = tile.rpu_config.device.transfer_columns
    n_lines, expected = (4 if columns else 3), []
    with record_reads(tile) as reads:
        for _ in range(120):
            n_before, signs = tile.tile.pipeline.link.schedule.n_reads, tile.chopper
            tile.update(*draw_batch(tile, 1))
            n_read = tile.tile.pipeline.link.schedule.n_reads - n_before
            for number in range(n_before, n_before + n_read):
                line = number % n_lines
                values = (tile.fast_weights, tile.sp_estimate, signs)
                expected.append([x[:, line] if columns else x[line] for x in values])
    n_reads = len(expected) // n_lines
    assert reads.n_reads == n_reads > 10
    rows = expected[: n_reads * n_lines]
    for number, name in enumerate(("fast", "estimate", "chopper")):
        series = torch.stack([row[number] for row in rows]).unflatten(0, (n_reads, n_lines))
        assert torch.equal(getattr(reads, name), series), name
    assert {-1.0, 1.0} == set(reads.chopper.unique().tolist())
    assert reads.eta == tile.tile.pipeline.link.estimator.eta


def test_chosen_lines() -> None:
    tile = quiet_tile((3, 5), **ERIDER)
    with record_reads(tile, lines=[3, 1, 3]) as reads:
        train(tile, 22, 1)
    assert reads.lines == [1, 3]
    assert reads.fast.shape == (4, 2, 3)  # line 1 was read five times, line 3 four times
    before = reads.fast
    train(tile, 10, 1)
    assert torch.equal(reads.fast, before)  # nothing is recorded afterwards


def test_training_is_the_same() -> None:
    """Two trainings, one of them recorded; nothing in them is random."""
    results = []
    for recorded in (False, True):
        torch.manual_seed(1)
        tile = quiet_tile(**ERIDER)
        if recorded:
            with record_reads(tile):
                train(tile, 50)
        else:
            train(tile, 50)
        results.append(tile.get_weights()[0])
    assert torch.equal(*results)


def test_tile_stays_whole() -> None:
    """State, copies and pickles are those of a tile that is not recorded."""
    tile = quiet_tile(**ERIDER)
    train(tile, 10)
    model = nn.Sequential(tile)
    names = list(model.state_dict())
    stage = list(tile.tile.pipeline.link.estimator.state_dict())
    with record_reads(tile) as reads:
        assert list(model.state_dict()) == names
        assert list(tile.tile.pipeline.link.estimator.state_dict()) == stage
        copied = deepcopy(model)[0]
        unpickled = pickle.loads(pickle.dumps(model))[0]
        for other in (copied, unpickled):
            assert other.tile.pipeline.link.listeners == []
            train(other, 10)
        with pytest.raises(TileError, match="has been read yet"):
            _ = reads.fast
    assert tile.tile.pipeline.link.listeners == []
    with pytest.raises(RuntimeError), record_reads(tile):
        raise RuntimeError
    assert tile.tile.pipeline.link.listeners == []


def test_recording_goes_on_after_a_load() -> None:
    tile = quiet_tile(**ERIDER)
    state = nn.Sequential(tile).state_dict()
    with record_reads(tile) as reads:
        train(tile, 12, 1)
        nn.Sequential(tile).load_state_dict(state)
        train(tile, 12, 1)
    assert reads.n_reads == 4
    train(tile, 12, 1)
    assert reads.n_reads == 4


def test_errors() -> None:
    tile = quiet_tile(**ERIDER)
    with (
        pytest.raises(TileError, match=r"Sequential.*TrackingTile"),
        record_reads(nn.Sequential(tile)),
    ):
        pass
    for lines in ([], [6], [-1], [0.5]):
        with pytest.raises(ArgumentError, match="0 to 5"), record_reads(tile, lines):
            pass
    with record_reads(tile) as outer, record_reads(tile, [2]) as inner:
        train(tile, 12, 1)
    assert torch.equal(outer.fast[:, 2:3], inner.fast)
    static = quiet_tile(**METHODS["two-stage"])
    assert static.rpu_config.device.reference is ReferenceType.STATIC
    with pytest.raises(TileError, match="DYNAMIC"), record_reads(static):
        pass
