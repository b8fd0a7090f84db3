"""Plumbing of aihwkit's pulse counters, with a stand-in: they only count on a GPU."""

from __future__ import annotations

from typing import Any, List, Optional, Tuple

import pytest
import torch
from aihwkit.simulator.configs.compounds import DynamicTransferCompound
from aihwkit.simulator.configs.configs import UnitCellRPUConfig
from aihwkit.simulator.tiles.analog import AnalogTile

from aihwkit_dspt import operation_counts
from aihwkit_dspt.costs.aihwkit_counts import cuda_counts
from aihwkit_dspt.costs.coincidences import counted_pulses
from aihwkit_dspt.tiles.crossbar import Crossbar
from tests.helpers import quiet_device, quiet_tile, train
from tests.table import METHODS


class CountingTile:
    """What a CUDA tile shows of its counters: up and down for each device that has counted."""

    def __init__(self, *pulses: Tuple[int, int]) -> None:
        self._pulses = pulses

    def get_pulse_counters(self) -> torch.Tensor:
        if not self._pulses:
            return torch.empty(0, dtype=torch.int64)
        slices = [torch.full((4, 6), number) for pair in self._pulses for number in pair]
        return torch.stack(slices).long()


def devices(*counting: bool) -> List[Any]:
    return [quiet_device(count_pulses=counts) for counts in counting]


@pytest.mark.parametrize(
    ("counting", "pulses", "expected"),
    [
        ((True, True), ((3, 1), (2, 0)), [24 * 4, 24 * 2]),
        ((True, True), ((3, 1),), [24 * 4, 0]),  # nothing was transferred yet
        ((True, True), (), [0, 0]),
        ((True, False), ((3, 1),), [24 * 4, None]),
        ((False, True), ((2, 5),), [None, 24 * 7]),
        ((False, False), (), [None, None]),
    ],
)
def test_counters(
    counting: Tuple[bool, ...],
    pulses: Tuple[Tuple[int, int], ...],
    expected: List[Optional[int]],
) -> None:
    tile = CountingTile(*pulses)
    assert counted_pulses(tile, devices(*counting), True) == expected
    assert counted_pulses(tile, devices(*counting), False) == [None, None]


def test_cpu_devices_do_not_count() -> None:
    """aihwkit's CPU tiles have the method and no counters: unknown, not zero."""
    counting = quiet_device(count_pulses=True)
    tile = quiet_tile(unit_cell_devices=[counting, counting], **METHODS["E-RIDER"])
    train(tile, 5)
    assert tile.tile.pipeline.fast.tile.get_pulse_counters().numel() == 0
    assert operation_counts(tile).total.coincidences is None


def test_tracking_tile_on_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """The counters are those of the fast array."""
    counting = quiet_device(count_pulses=True)
    tile = quiet_tile(unit_cell_devices=[counting, counting], **METHODS["E-RIDER"])
    monkeypatch.setattr(Crossbar, "is_cuda", True)
    monkeypatch.setattr(tile.tile.pipeline.fast, "tile", CountingTile((2, 1)))
    monkeypatch.setattr(tile.tile.pipeline.slow, "tile", CountingTile((9, 9)))
    counts = operation_counts(tile)
    assert counts.total.coincidences == 24 * 3
    assert "coincidences" in counts.table()


def test_compound_on_a_gpu() -> None:
    """Fast and slow array of aihwkit's compound; what its CUDA tiles do not tell is unknown."""
    device = DynamicTransferCompound(unit_cell_devices=devices(True, True))
    tile = AnalogTile(4, 6, UnitCellRPUConfig(device=device))
    counts = cuda_counts(tile)
    assert counts.coincidences == counts.slow_pulses == 0
    tile.tile = CountingTile((2, 1), (0, 4))
    counts = cuda_counts(tile)
    assert (counts.coincidences, counts.slow_pulses) == (24 * 3, 24 * 4)
    assert counts.update_cycles is counts.transfer_reads is None
