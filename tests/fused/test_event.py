"""Read, BUFFER and ESTIMATE in one call against the two passes that it joins, bit by bit."""

from __future__ import annotations

from contextlib import nullcontext
from copy import deepcopy
from itertools import product
from typing import Type

import pytest
import torch
from torch import equal

from aihwkit_dspt import TrackingTile
from aihwkit_dspt.fused.event_cpu import CpuEvent
from aihwkit_dspt.fused.table import FUSED_EVENTS
from aihwkit_dspt.reads.one_hot import LineLaw
from aihwkit_dspt.stages.event import Stage, TransferEvent
from tests.fused.transfers import (
    BUFFERS,
    IN_SIZE,
    OUT_SIZE,
    Types,
    all_stages,
    same,
    stages,
    tensors,
)
from tests.fused.updates import Ear
from tests.helpers import difference, quiet_config, snapshot

LAWS = {
    "noise": LineLaw(1.1, 0.3, True, 40.0, 0.02),
    "no-noise": LineLaw(1.0, 0.0, False, float("inf"), 1.0),
    "bound": LineLaw(30.0, 0.5, True, 20.0, 0.05),
}


@pytest.mark.parametrize("law", LAWS)
@pytest.mark.parametrize("name", BUFFERS)
@pytest.mark.parametrize(
    ("form", "types"), [(form, types) for form in FUSED_EVENTS for types in form.PARTS[1].STAGES]
)
def test_one_call_equals_two_passes(
    form: Type[CpuEvent], types: Types, name: str, law: str
) -> None:
    """Reads, pulses, their number, buffer and estimate, with output choppers and without."""
    read, transfer = form.PARTS
    for out_chop_prob, tracks in product((0.0, 0.5), (True, False)):
        torch.manual_seed(3)
        two = stages(BUFFERS[name], out_chop_prob, tracks, torch.float32, types)
        one = deepcopy(two)
        line, matrix = read(LAWS[law]), torch.randn(IN_SIZE, OUT_SIZE)
        joined = form(line, transfer(one))
        for number in range(24):
            lines = slice(number % IN_SIZE, number % IN_SIZE + 1)
            found, expected = (TransferEvent(number, lines, 0, 1.7, True) for _ in range(2))
            torch.manual_seed(number)
            joined.take(matrix, found)
            torch.manual_seed(number)
            transfer(two).take(expected, line(matrix, lines), None)
            assert found.stage is expected.stage is Stage.TAKEN
            assert found.n_pulses == expected.n_pulses
            assert same(found.steps, expected.steps)
            assert all(map(equal, tensors(one), tensors(two)))
    assert len(all_stages(one)) == len(all_stages(two))


@pytest.mark.parametrize("columns", [True, False])
def test_a_listener_changes_nothing(columns: bool) -> None:
    """A tile that is listened to goes through the same states as one that is not."""
    config = quiet_config(transfer_columns=columns, units_in_mbatch=False, transfer_every=1)
    config.device.transfer_forward.out_noise = 0.05
    torch.manual_seed(1)
    first = TrackingTile(5, 7, config)
    tiles = [first, deepcopy(first)]
    x, d = torch.randn(40, 3, 7), torch.randn(40, 3, 5)
    ear = Ear()
    for tile, is_heard in zip(tiles, (False, True)):
        tile.set_learning_rate(0.1)
        torch.manual_seed(2)
        for index in range(20):
            tile.update(x[index], d[index])
        with tile.listen(ear) if is_heard else nullcontext():
            for index in range(20, 40):
                tile.update(x[index], d[index])
    assert ear.n_lines == 60
    assert difference(*map(snapshot, tiles)) is None
