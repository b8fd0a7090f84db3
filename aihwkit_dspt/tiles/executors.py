"""Which executors the reads of a tile take."""

from __future__ import annotations

from typing import NamedTuple

from aihwkit_dspt.configs.checks import require_choice, require_whole
from aihwkit_dspt.fused.read import Layout
from aihwkit_dspt.tiles.of_model import require_tracking_tile
from aihwkit_dspt.tiles.tile import TrackingTile

LAYOUTS = {"matrix": Layout.MATRIX, "rows": Layout.ROWS, "unfolded": Layout.UNFOLDED}


class ReadExecutors(NamedTuple):
    """Names of what carries out the reads of a tile.

    ``cpp``, ``cpp-line`` and ``cuda`` are aihwkit's tiles, of the whole array or of one line;
    ``torch`` is the plain torch product; all others are fused forms of it, by Numba or Triton.
    """

    forward: str
    """Products of inputs with the mixed weight."""
    backward: str
    """Products of errors with the mixed weight."""
    line: str
    """The read of a transfer event: one line, or the whole array."""


def read_executors(tile: TrackingTile, n_vectors: int, layout: str = "matrix") -> ReadExecutors:
    """Return what carries out the reads of a tile where it is now, with the threads torch has now.

    Noise of aihwkit's tiles comes from generators that nothing can seed; that of all others from
    torch's.

    Args:
        tile: the tile.
        n_vectors: number of vectors of a batch.
        layout: how layers pass them: ``"matrix"`` (``[n_vectors, size]``), ``"rows"`` (more
            dimensions) or ``"unfolded"`` (patches of images, as convolutions do on a CPU).

    Raises:
        TileError: if ``tile`` is not a :class:`~aihwkit_dspt.TrackingTile`.
        ArgumentError: if another argument is not valid.
    """
    require_tracking_tile(tile)
    n_vectors = require_whole("n_vectors", n_vectors, 1)
    chosen = LAYOUTS[require_choice("layout", layout, list(LAYOUTS))]
    if chosen is Layout.MATRIX and tile.analog_bias:
        chosen = Layout.ROWS
    pipeline, indexed = tile.tile.pipeline, tile.tile.has_matrix_indices()
    forward, backward = (
        pipeline.reads.executor_name(n_vectors, direction, chosen, indexed)
        for direction in (False, True)
    )
    link = pipeline.link
    line = link.line_reads.executor_name(link.schedule.lines_per_event)
    return ReadExecutors(forward, backward, line)
