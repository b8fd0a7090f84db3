"""A warning at the first step of a training of which nothing will be left."""

from __future__ import annotations

import warnings
from typing import List, Mapping

from aihwkit_dspt.stages.listener import Listener
from aihwkit_dspt.tiles.tile import TrackingTile


class FirstStep(Listener):
    """Warns at the first step that it hears of, and leaves.

    Args:
        listeners: the list that it is in.
        text: the warning.
    """

    def __init__(self, listeners: List[Listener], text: str) -> None:
        self.listeners = listeners
        self.text = text
        listeners.append(self)

    def on_step(self, n_vectors: int) -> None:
        """Warn once."""
        if self.text:
            warnings.warn(self.text, stacklevel=2)
            self.text = ""
        # The list is being gone through: only its last one can leave without a gap.
        if self.listeners[-1] is self:
            self.listeners.pop()


def warn_at_first_step(tiles: Mapping[str, TrackingTile], idle: List[str], text: str) -> None:
    """Let the first step warn that the slow arrays of some tiles learn nothing.

    A plan that was made before is forgotten.

    Args:
        tiles: the tiles by name.
        idle: names of those that learn nothing.
        text: the warning.
    """
    for tile in tiles.values():
        listeners = tile.tile.pipeline.link.listeners
        listeners[:] = [one for one in listeners if not isinstance(one, FirstStep)]
    if idle:
        FirstStep(tiles[idle[0]].tile.pipeline.link.listeners, text)
