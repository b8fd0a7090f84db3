"""Compiled updates keep device parameters at hand; after a move they use the new ones at once."""

from __future__ import annotations

from copy import deepcopy
from itertools import product
from typing import Any, Dict, List, Tuple, Type

import pytest
import torch
from aihwkit.simulator.presets.devices import ReRamArrayHfO2PresetDevice

from aihwkit_dspt import (
    PulseMode,
    ReadMode,
    SymmetricPointDrift,
    TrackingTile,
    build_config,
    symmetric_points,
)
from aihwkit_dspt.fused.batch_cpu import CpuBatch
from aihwkit_dspt.fused.step_cpu import CpuStep
from aihwkit_dspt.fused.update import FusedUpdate
from aihwkit_dspt.fused.update_cpu import CpuUpdate
from tests.fused.updates import COARSE, IN_SIZE, OUT_SIZE, device, only, signs, tile_of
from tests.helpers import difference, snapshot

FORMS: Dict[str, Tuple[List[Type[FusedUpdate]], Dict[str, Any], int]] = {
    "numba-update": ([CpuUpdate], {"transfer_every": 3}, 3),
    "numba-update-sweeps": ([CpuUpdate], {"sweep_every": 4.0}, 8),
    "numba-step": ([CpuStep], {"transfer_every": 1, "units_in_mbatch": True}, 6),
    "numba-batch": ([CpuBatch], {"transfer_every": 1}, 40),
    "stages": ([], {"transfer_every": 3}, 3),
}
"""Name -> forms that a tile keeps, settings with which they are taken, and vectors of a batch."""


def noted(tile: TrackingTile) -> List[int]:
    """Return a list that grows with the updates that the forms of a tile do."""
    found: List[int] = []
    for form in tile.tile.pipeline.forms:

        def note(*arguments: Any, update: Any = form.update) -> Any:
            done = update(*arguments)
            if done:
                found.append(1)
            return done

        form.update = note
    return found


@pytest.mark.parametrize(("name", "kind", "columns"), product(FORMS, COARSE, (True, False)))
def test_moved_cells_are_used_at_once(name: str, kind: str, columns: bool) -> None:
    """The next update is that of a copy that never saw the cells of before, by plain stages."""
    forms, settings, n_vectors = FORMS[name]
    torch.manual_seed(5)
    tile = tile_of([device(kind)] * 2, False, transfer_columns=columns, **settings)
    only(tile, *forms)
    batches = [(signs(n_vectors, IN_SIZE), signs(n_vectors, OUT_SIZE)) for _ in range(4)]
    for batch in batches[:2]:
        tile.update(*batch)
    still = deepcopy(tile)
    only(still, *forms)
    drift = SymmetricPointDrift(tile, walk=0.1, trend=0.1, seed=2)
    done = noted(tile)
    for batch in batches[2:]:
        drift.advance()
        plain = deepcopy(tile)
        only(plain)
        for each in (tile, plain, still):
            each.update(*batch)
        assert difference(snapshot(tile), snapshot(plain)) is None
    assert len(done) == (2 if forms else 0)
    for array in ("fast_weights", "slow_weights"):
        assert not torch.equal(tile.value(array), still.value(array))


@pytest.mark.parametrize("name", [name for name in FORMS if name != "stages"])
def test_moved_cells_below_write_noise_are_used_at_once(name: str) -> None:
    """HfO2, where all is random: the same seed, and the same as a copy with nothing at hand."""
    forms, settings, n_vectors = FORMS[name]
    torch.manual_seed(6)
    config = build_config(
        "e-rider",
        ReRamArrayHfO2PresetDevice(),
        pulse_mode=PulseMode.BATCHED,
        **{"units_in_mbatch": False, **settings},
    )
    tile = TrackingTile(OUT_SIZE, IN_SIZE, config)
    tile.set_learning_rate(1.0)
    only(tile, *forms)
    drift = SymmetricPointDrift(tile, walk=0.05, seed=2)
    done = noted(tile)
    for round_ in range(4):
        drift.advance()
        copied = deepcopy(tile)
        only(copied, *forms)
        for each in (tile, copied):
            torch.manual_seed(round_)
            each.update(torch.rand(n_vectors, IN_SIZE), torch.randn(n_vectors, OUT_SIZE))
        for value in ("fast_weights", "slow_weights", "sp_estimate", "transfer_buffer"):
            assert torch.equal(tile.value(value), copied.value(value))
    assert len(done) >= 4


@pytest.mark.parametrize("pulse_mode", [PulseMode.BATCHED, PulseMode.CPP])
@pytest.mark.parametrize("read_mode", ReadMode)
def test_all_modes_follow(read_mode: ReadMode, pulse_mode: PulseMode) -> None:
    """Cells at their old points go to the new ones by pulses without a gradient."""
    torch.manual_seed(7)
    settings = {"transfer_every": 1, "read_mode": read_mode, "pulse_mode": pulse_mode}
    tile = tile_of([device("soft")] * 2, False, **settings)
    drift = SymmetricPointDrift(tile, trend=0.3)
    for _ in range(2):
        for _ in range(60):
            x, d = torch.ones(8, IN_SIZE), torch.ones(8, OUT_SIZE)
            d[::2] = -1.0
            tile.update(x, d)
        points = symmetric_points(tile).fast.values.float()
        assert (tile.fast_weights - points).abs().max() < 0.15  # closer than to the old ones
        drift.advance()
    assert (symmetric_points(tile).fast.values - points).mean() > 0.25
