"""The estimate of every cell against its true symmetric point."""

from __future__ import annotations

from typing import TYPE_CHECKING, Optional

import torch
from aihwkit.exceptions import TileError

from aihwkit_dspt.configs.checks import require_whole
from aihwkit_dspt.monitor.ground_truth import cells_of
from aihwkit_dspt.plots.style import COLOURS, GREY, axes_or_new, finish, leave_room
from aihwkit_dspt.tile_points import symmetric_points
from aihwkit_dspt.tiles.names import link_prefix
from aihwkit_dspt.tiles.of_model import require_tracking_tile
from aihwkit_dspt.tiles.tile import TrackingTile

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def sp_scatter(
    tile: TrackingTile, ax: Optional[Axes] = None, max_cells: int = 1000, array: int = 0
) -> Axes:
    r"""Draw Q against the true symmetric point of each cell of the fast array.

    Above and below each cell are its device bounds, in the units of the weight.

    Args:
        tile: the :class:`~aihwkit_dspt.TrackingTile`.
        ax: where to draw, ``None`` for a new figure.
        max_cells: most cells that are drawn; evenly spaced ones are chosen of more.
        array: number of the array, as in ``unit_cell_devices``: 0 is the fast array.

    Returns:
        the axes.

    Raises:
        ImportError: if matplotlib is not installed.
        TileError: if it is not a tracking tile, or none of its cells has a symmetric point.
        ArgumentError: if no array of this number is read.
    """
    max_cells = require_whole("max_cells", max_cells, 1)
    cells = cells_of(require_tracking_tile(tile).tile.pipeline.link_of(array).source)
    if cells is None:
        raise TileError(
            "the cells of the array consist of several devices and have no symmetric points "
            "to draw: pass a tile with one pulsed device per cell"
        )
    arrays = symmetric_points(tile)
    points = (arrays.fast, *arrays.between)[array].values.flatten()
    known = (~points.isnan()).nonzero().flatten()
    if len(known) == 0:
        raise TileError(
            "no cell of the array has a symmetric point to draw: pass a tile of another device"
        )
    known = known[
        torch.linspace(0, len(known) - 1, min(max_cells, len(known)), device="cpu").long()
    ]
    points = points[known]
    estimate, low, high = (
        values.flatten()[known].double()
        for values in (
            tile.value(f"{link_prefix(array)}sp_estimate"),
            cells.w_min,
            cells.w_max,
        )
    )
    ax = axes_or_new(ax)
    # Both ends only: lines between them would hide the cells in a grey block.
    ax.scatter(
        [*points.tolist(), *points.tolist()],
        [*low.tolist(), *high.tolist()],
        s=16,
        marker="_",
        linewidths=0.8,
        alpha=0.5,
        color=GREY,
        label="device bounds of these cells",
    )
    ax.scatter(
        points.tolist(),
        estimate.tolist(),
        s=8,
        alpha=0.6,
        color=COLOURS[0],
        linewidths=0,
        label=f"cells ({len(known):,} of {cells.w_min.numel():,})",
        zorder=2,
    )
    ends = [float(points.min()), float(points.max())]
    ax.plot(ends, ends, color=COLOURS[1], linewidth=1.5, label="Q = SP", zorder=3)
    leave_room(ax)
    title = "Estimate against true SP, cell by cell"
    return finish(ax, title, "true SP [weight units]", "Q [weight units]", ncols=2)
