"""Where a tile is, asked of its arrays."""

from __future__ import annotations

from aihwkit.simulator.tiles.analog import AnalogTile


class TileDevice(AnalogTile):
    """aihwkit's analog tile, which says whether it is on a GPU without its analog context.

    aihwkit 1.2 asks the context, in the forward of a convolution, too. ``torch.compile`` does not
    come to an end in it: the context says of itself that it is a view of a view. aihwkit 1.1 keeps
    an attribute.
    """

    if isinstance(getattr(AnalogTile, "is_cuda", None), property):

        @property
        def is_cuda(self) -> bool:
            """Whether the arrays are on a GPU."""
            return bool(self.tile.pipeline.mixed_array.is_cuda)
