"""Which arrays of a chain take transfers: the warm start."""

from __future__ import annotations

from functools import partial
from typing import Dict, List, Optional, Sequence

from aihwkit_dspt.configs.compound import TrackingTransferCompound
from aihwkit_dspt.configs.link_settings import waits
from aihwkit_dspt.stages.uninterrupted import in_one_go
from aihwkit_dspt.tiles.link import Link


class JoinedArrays:
    """Lets the arrays of a chain join one after the other, the most significant first.

    The link that reads the fast array writes to the array that joined last. Arrays that are to join
    later stay as they are, and those that joined before keep what they have learned; a link between
    two of them transfers if its ``transfer_lr`` is not 0. When all have joined, each link writes to
    the next slower array. So a chain starts as the method of two arrays, and each array that joins
    learns what the ones before it leave.

    Args:
        waiting: sweeps over the fast array after which each array between joins, counted from the
            one before; ``None`` where it waits to be told.
        links: the links, slowest first; they write to the next slower array.

    Attributes:
        n_joined: arrays that have joined, without the fast one.
        joined_at: full sweeps of the fast array that were over when the last one joined.
    """

    def __init__(self, waiting: Sequence[Optional[float]], links: List[Link]) -> None:
        self.waiting = waiting
        self.links = links
        self.targets = [link.target for link in links]
        self.choppers = [None, *(link.chopper for link in links[:-1])]
        # An array that the weight in use does not have (0) is written as the slowest one is.
        self.scales = [1.0, *(link.residual_scale or 1.0 for link in links[:-1])]
        for link, scale in zip(links, self.scales):
            link.target_scale = scale
        self.joined_at = 0
        self.n_joined = 1
        while not self.is_complete and self.waiting[self.n_joined - 1] == 0:
            self.n_joined += 1
        self.follow()

    @property
    def is_complete(self) -> bool:
        """Whether all arrays have joined."""
        return self.n_joined == len(self.links)

    def follow(self) -> List[Link]:
        """Let the fastest link write to the array that joined last.

        Returns:
            the links that transfer, fastest first.
        """
        *between, fastest = self.links
        newest = self.n_joined - 1
        fastest.target, fastest.target_chopper = self.targets[newest], self.choppers[newest]
        fastest.target_scale = self.scales[newest]
        joined = [link for link in between[:newest] if link.rate.config.transfer_lr > 0.0]
        return [fastest, *reversed(joined)]

    def is_due(self) -> bool:
        """Return whether the next array joins now."""
        if self.is_complete:
            return False
        sweeps = self.waiting[self.n_joined - 1]
        return sweeps is not None and self.links[-1].schedule.sweep - self.joined_at >= sweeps

    def join(self) -> None:
        """Let the next array join. The buffer, which held pulses for another one, is emptied."""
        fastest = self.links[-1]
        fastest.buffer.hidden.zero_()
        after = {"n_joined": self.n_joined + 1, "joined_at": fastest.schedule.sweep}
        in_one_go(partial(vars(self).update, after))

    def state(self) -> Dict[str, int]:
        """Return the counters."""
        return {"n_joined": self.n_joined, "joined_at": self.joined_at}

    def load_state(self, state: Dict[str, int]) -> None:
        """Set the counters."""
        self.n_joined, self.joined_at = int(state["n_joined"]), int(state["joined_at"])


def joined_arrays(config: TrackingTransferCompound, links: List[Link]) -> JoinedArrays:
    """Return the warm start that the compound of a pipeline asks for."""
    return JoinedArrays(waits(config), links)
