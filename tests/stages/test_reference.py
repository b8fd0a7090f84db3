"""The reference in a register: what a sync sets and counts."""

from __future__ import annotations

import torch

from aihwkit_dspt.stages.reference import Reference


def reference() -> Reference:
    """Return a reference of three lines with two cells."""
    return Reference(3, 2, torch.float64)


def test_sync_and_counters() -> None:
    """A sync sets the given cells, counts one event and its cells."""
    stage = reference()
    values = torch.randn(1, 2, dtype=torch.float64)
    stage.sync(slice(1, 2), None, values)
    assert torch.equal(stage.values[1:2], values)
    assert not stage.values[[0, 2]].any()
    stage.sync(slice(0, 3), torch.tensor([1]), torch.full((3, 1), 7.0, dtype=torch.float64))
    assert torch.equal(stage.values[:, 1], torch.full((3,), 7.0, dtype=torch.float64))
    assert stage.values[1, 0] == values[0, 0]
    assert (stage.n_syncs, stage.n_synced_cells) == (2, 5)
    other = reference()
    other.load_state_dict(stage.state_dict())
    assert (other.n_syncs, other.n_synced_cells) == (2, 5)
    assert torch.equal(other.values, stage.values)
