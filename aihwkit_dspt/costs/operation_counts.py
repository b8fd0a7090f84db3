"""Counting the operations of all tiles of a model."""

from __future__ import annotations

from typing import Dict

from torch import nn

from aihwkit_dspt.costs.aihwkit_counts import aihwkit_counts
from aihwkit_dspt.costs.coincidences import (
    CALL_ESTIMATE,
    NOT_ON_A_GPU,
    counted_pulses,
)
from aihwkit_dspt.costs.counts import ModelCounts, OperationCounts
from aihwkit_dspt.tiles.of_model import analog_tiles
from aihwkit_dspt.tiles.tile import TrackingTile


def operation_counts(model: nn.Module) -> ModelCounts:
    """Return what the analog tiles of a model did since they were built.

    The tiles may be of any kind. Tracking tiles count all that they do, and the counts are part of
    their saved state. Of aihwkit's own tiles those counts are returned that follow exactly from
    their settings and counters (which start anew when weights are set): update cycles of unit
    cells, lines that C++ AGAD and TT-v2 have read, regular chopper flips, what devices with
    ``count_pulses=True`` have counted on a GPU, and zero where an operation does not exist. The
    rest is ``None``, and ``counts.tiles[name].reasons`` says why.

    To count the pulses of C++ AGAD, TT-v2 or c-TTv2, train their twin, the tracking tile with
    ``gamma=0`` and the same fields: it is equal in every state and counts exactly.

    Args:
        model: a model with analog tiles, or one tile. Digital layers do not matter.

    Returns:
        the operations of each tile and the total. The total of an operation that is ``None`` for a
        tile is ``None``: a sum that leaves tiles out would be taken for the model's. Its
        ``reasons`` name these tiles.

    Raises:
        ArgumentError: if ``model`` is not a module.
        TileError: if the model has no analog tile.
    """
    counts = {
        name: _tracking_counts(tile) if isinstance(tile, TrackingTile) else aihwkit_counts(tile)
        for name, tile in analog_tiles(model).items()
    }
    return ModelCounts(counts, _total(counts))


def _total(counts: Dict[str, OperationCounts]) -> OperationCounts:
    total, *others = counts.values()
    if not others:
        return total
    for other in others:
        total = total + other
    for name in total.reasons:
        missing = [repr(tile) for tile, own in counts.items() if getattr(own, name) is None]
        total.reasons[name] = f"not counted for {', '.join(missing)}"
    return total


def _tracking_counts(tile: TrackingTile) -> OperationCounts:
    pipeline = tile.tile.pipeline
    counters, links, fast = pipeline.counters.state(), pipeline.links, pipeline.fast
    reasons = {}
    if not pipeline.counters.estimates_coincidences:
        counters["expected_coincidences"] = None
        reasons["expected_coincidences"] = CALL_ESTIMATE
    per_cycle = tile.rpu_config.update.desired_bl
    (coincidences,) = counted_pulses(fast.cpp, [fast.device_config], fast.is_cuda)
    if coincidences is None:
        reasons["coincidences"] = NOT_ON_A_GPU
    return OperationCounts(
        nominal_pulses=counters["update_cycles"] * per_cycle + counters["calibration_pulses"],
        transfer_reads=sum(link.schedule.n_reads for link in links),
        programming_events=sum(link.reference.n_syncs for link in links),
        programmed_cells=sum(link.reference.n_synced_cells for link in links),
        coincidences=coincidences,
        reasons=reasons,
        **counters,
    )
