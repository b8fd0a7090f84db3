"""Counting C++ AGAD and TT-v2 by their twin: equal in every state, so its counts are theirs."""

from __future__ import annotations

import pytest
from aihwkit.simulator.tiles.analog import AnalogTile

from aihwkit_dspt import ReferenceType, TrackingTile, operation_counts
from tests.helpers import draw_batch
from tests.parity import cpp_states, deterministic_pair


@pytest.mark.parametrize("reference", [ReferenceType.DYNAMIC, ReferenceType.ZERO])
@pytest.mark.parametrize("case", [{}, {"in_chop_prob": 0.1, "transfer_lr": 2.0}])
def test_counts_of_the_twin(reference: ReferenceType, case: dict) -> None:
    """The slow array of both moves in the same updates; what C++ counts equals our count."""
    theirs, ours = deterministic_pair(reference, case)
    assert isinstance(theirs, AnalogTile)
    assert isinstance(ours, TrackingTile)
    moves = 0
    for _ in range(150):
        before = theirs.tile.get_weights().clone()
        x, d = draw_batch(ours)
        theirs.update(x, d)
        ours.update(x, d)
        moves += int((theirs.tile.get_weights() != before).sum())
        for name, value in cpp_states(theirs, True).items():
            assert (value - getattr(ours, name)).abs().max() <= 1e-6, name
    twin, cpp = operation_counts(ours).total, operation_counts(theirs).total
    for name in ("update_cycles", "nominal_pulses", "transfer_reads", "programming_events"):
        assert getattr(cpp, name) in (None, getattr(twin, name)), name
    assert cpp.update_cycles == twin.update_cycles == 450
    # One pulse per transfer, on soft bounds without noise: a cell moves if it gets one.
    assert twin.slow_pulses == moves > 0
    assert cpp.slow_pulses is None
    assert "twin" in cpp.reasons["slow_pulses"]
