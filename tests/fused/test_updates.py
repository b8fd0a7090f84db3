"""Every fused update against the same by stages, bit by bit where nothing is random."""

from __future__ import annotations

from itertools import product
from typing import Any, Dict, List, Set, Tuple, Type

import pytest
import torch

from aihwkit_dspt.fused.batch_cpu import CpuBatch
from aihwkit_dspt.fused.step_cpu import CpuStep
from aihwkit_dspt.fused.table import FUSED_UPDATES
from aihwkit_dspt.fused.update import FusedUpdate
from tests.fused.updates import (
    COARSE,
    IN_SIZE,
    OUT_SIZE,
    SETTINGS,
    copy_with,
    device,
    only,
    signs,
    tile_of,
)
from tests.helpers import difference, snapshot

LEAVES: Dict[Type[FusedUpdate], Set[str]] = {
    CpuStep: {"scaled", "scaled-limited", "rider", "rider-by-sweeps"},
    CpuBatch: {"every-hundredth", "some-lines", "many-lines", "whole-array", "rider-by-sweeps"},
}
"""Settings with which a form leaves all updates to others. Without a row here it leaves none."""


@pytest.mark.parametrize(
    ("form", "name", "columns"), product(FUSED_UPDATES, SETTINGS, (True, False))
)
def test_update_equals_the_stages(form: Type[FusedUpdate], name: str, columns: bool) -> None:
    """All states, over many sweeps and flips, at each size of a batch."""
    settings = {"transfer_columns": columns, **SETTINGS[name]}
    scales = (1.0, 0.5, 2.0) if "scaled" in name else (1.0,)
    taken = compare(form, [device("soft")] * 2, settings, [1, 2, 5, 2, 40] * 4, scales)
    assert taken == (name not in LEAVES.get(form, ()))


@pytest.mark.parametrize(("form", "kind"), product(FUSED_UPDATES, COARSE))
def test_update_equals_the_stages_on_devices(form: Type[FusedUpdate], kind: str) -> None:
    """Cells whose steps hardly change take some pulses at once: they are equal to rounding only."""
    assert compare(form, [device(kind)] * 2, {"transfer_every": 1}, [1, 3, 17] * 4)


def compare(
    form: Type[FusedUpdate],
    devices: List[Any],
    settings: Dict[str, Any],
    sizes: List[int],
    scales: Tuple[float, ...] = (1.0,),
) -> bool:
    """Hold a form against the stages, over batches of some sizes; return whether it took any."""
    torch.manual_seed(3)
    first = tile_of(devices, False, **settings)
    second, taken = copy_with(first), []
    for each in only(first, form):
        update = each.update
        each.update = lambda *args, update=update: taken.append(update(*args)) or taken[-1]
    for n_vectors in sizes:
        size = torch.tensor(scales)[torch.randint(len(scales), (n_vectors, 1))]
        x, d = signs(n_vectors, IN_SIZE) * size, signs(n_vectors, OUT_SIZE) / size
        for tile in (first, second):
            tile.update(x, d)
        assert difference(snapshot(first), snapshot(second)) is None
    counts = [tile.tile.pipeline.counters.state() for tile in (first, second)]
    assert counts[0]["slow_pulses"] == counts[1]["slow_pulses"] > 0
    assert counts[0]["update_cycles"] == counts[1]["update_cycles"]
    return any(taken)
