"""States of a training in several processes: those of one."""

from __future__ import annotations

from contextlib import contextmanager
from typing import Iterator, List

import torch
from torch import nn

from aihwkit_dspt.parallel.lending import give_up, is_borrowed, make_room, replace_simulator
from aihwkit_dspt.parallel.ranks import Ranks
from aihwkit_dspt.state_bytes import from_tensor, to_tensor
from aihwkit_dspt.tiles.tile import TrackingTile


class SharedArrays:
    """The arrays of a model, each on the rank that owns it.

    Args:
        ranks: the ranks.
        tiles: the tracking tiles of the model, whole on every rank.
        owners: the rank that owns each.
    """

    def __init__(self, ranks: Ranks, tiles: List[TrackingTile], owners: List[int]) -> None:
        self.ranks = ranks
        self.tiles = tiles
        self.owners = owners

    def give_up(self) -> None:
        """Leave the arrays of others to them."""
        for tile, owner in zip(self.tiles, self.owners):
            if owner != self.ranks.rank and not is_borrowed(tile):
                give_up(tile, owner)

    def share_weights(self, what: str) -> None:
        """Send the weights in use from their owners to all ranks."""
        for tile, owner in zip(self.tiles, self.owners):
            self.ranks.broadcast(what, tile.tile.pipeline.mixed_array.shared, owner)

    @contextmanager
    def whole(self) -> Iterator[None]:
        """Have room for all arrays inside a ``with`` block, in which a state is loaded.

        After an error the tiles are as before.
        """
        before = [(tile, tile.tile) for tile in self.tiles if is_borrowed(tile)]
        for tile, _ in before:
            make_room(tile)
        try:
            yield
        except BaseException:
            for tile, simulator in before:
                replace_simulator(tile, simulator)
            raise

    @contextmanager
    def lent_states(self, what: str) -> Iterator[None]:
        """Let the tiles say the state of their owner's arrays inside a ``with`` block."""
        self._collect_counts(what)
        borrowed = []
        for tile, owner in zip(self.tiles, self.owners):
            is_own = owner == self.ranks.rank
            own = to_tensor(tile.get_analog_state()) if is_own else None
            content = self.ranks.broadcast_bytes(what, own, owner)
            if not is_own:
                borrowed.append(tile.tile)
                tile.tile.lent_state = from_tensor(content)
        try:
            yield
        finally:
            for simulator in borrowed:
                simulator.lent_state = None

    def _collect_counts(self, what: str) -> None:
        """Let the owners count the vectors that other ranks have multiplied, too."""
        counters = [tile.tile.pipeline.counters for tile in self.tiles]
        counts = torch.tensor(
            [[each.forward_mvms, each.backward_mvms] for each in counters], device="cpu"
        )
        totals = self.ranks.sum(what, counts).tolist()
        for count, total, owner in zip(counters, totals, self.owners):
            is_own = owner == self.ranks.rank
            count.forward_mvms, count.backward_mvms = total if is_own else (0, 0)


def follow_rank_0(ranks: Ranks, model: nn.Module, what: str) -> None:
    """Give the models of all ranks the state of that of rank 0."""
    own = to_tensor(dict(model.state_dict())) if ranks.rank == 0 else None
    content = ranks.broadcast_bytes(what, own, 0)
    if ranks.rank != 0:
        model.load_state_dict(from_tensor(content))
