"""Undoing what failed or was interrupted."""

from __future__ import annotations

from contextlib import contextmanager
from copy import deepcopy
from typing import TYPE_CHECKING, Any, Dict, Iterable, Iterator

from torch.nn import ModuleList

from aihwkit_dspt.tiles.context import follow_attributes

if TYPE_CHECKING:
    from aihwkit.simulator.tiles.module import TileModule


class TileBefore:
    """A tile as it is before a load, which gives it new arrays: the old ones stay whole.

    Args:
        tile: any of aihwkit's tile modules.
    """

    def __init__(self, tile: TileModule) -> None:
        self.tile = tile
        self.attributes: Dict[str, Any] = {
            name: value.copy() if isinstance(value, dict) else value
            for name, value in vars(tile).items()
        }

    def put_back(self) -> None:
        """Give the tile the attributes back that it had."""
        vars(self.tile).clear()
        vars(self.tile).update(self.attributes)
        follow_attributes(self.tile)


@contextmanager
def all_or_none(tiles: Iterable[TileModule]) -> Iterator[None]:
    """Change some tiles in the block: if it does not come to its end, all have their state back.

    Args:
        tiles: any of aihwkit's tile modules. Their states are held meanwhile.
    """
    model = ModuleList(tiles)
    state = deepcopy(model.state_dict())
    try:
        yield
    except BaseException:
        model.load_state_dict(state)
        raise
