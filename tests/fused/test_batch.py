"""A batch with transfers within it in one call against the same by stages."""

from __future__ import annotations

from typing import Any, Dict

import pytest
import torch

from aihwkit_dspt import PulseMode, ReadMode, TrackingTile
from aihwkit_dspt.fused.batch_cpu import CpuBatch
from aihwkit_dspt.fused.update_cpu import CpuUpdate
from tests.fused.updates import (
    IN_SIZE,
    OUT_SIZE,
    Ear,
    assert_same_law,
    device,
    signs,
    tile_of,
    update_of,
)
from tests.helpers import quiet_config


@pytest.mark.parametrize(
    ("kind", "write_noise", "dw_min", "managed", "auto_scale"),
    [
        ("soft", 0.6, 0.05, True, True),
        ("exp", 0.0, 0.02, False, False),
        ("linear", 0.0, 0.02, False, False),
        ("constant", 0.0, 0.01, True, True),
    ],
)
def test_batch_equals_the_stages_in_distribution(
    kind: str, write_noise: float, dw_min: float, managed: bool, auto_scale: bool
) -> None:
    """Over many trainings. The last device is fine: its cells take some pulses at once."""
    torch.manual_seed(7)
    devices = [device(kind, 0.3, write_noise, dw_min), device(kind, 0.3, write_noise, dw_min)]
    scaled = {"auto_scale": auto_scale}
    first = tile_of(devices, managed, transfer_every=1, transfer_lr=0.3, **scaled)
    first.update(torch.zeros(2, IN_SIZE), torch.zeros(2, OUT_SIZE))
    assert_same_law(first, CpuBatch)


def test_a_listener_hears_all_events() -> None:
    """With a listener the batch goes by stages, event by event."""
    tile, ear = tile_of([device("soft")] * 2, False, transfer_every=1), Ear()
    with tile.listen(ear):
        tile.update(signs(6, IN_SIZE), signs(6, OUT_SIZE))
    assert ear.n_lines == 6


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
    assert not {CpuBatch, CpuUpdate} & set(map(type, pipeline.forms))
