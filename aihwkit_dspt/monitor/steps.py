"""Noticing the training steps of a model without touching it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Callable, List

from aihwkit.exceptions import ArgumentError
from torch.optim.optimizer import (
    register_optimizer_step_post_hook,
    register_optimizer_step_pre_hook,
)

from aihwkit_dspt.tiles.tile import TrackingTile

if TYPE_CHECKING:
    from torch.utils.hooks import RemovableHandle


class StepListener:
    """Calls a function after every optimizer step that updated one of the tiles.

    It listens to all optimizers by torch's global hooks, so that neither the model nor the
    optimizer carries anything (hooks of a module would be copied and pickled with it), evaluation
    and accumulated gradients do not count, and optimizers may be exchanged. The update cycles that
    the tiles count anyway say whether a step was one of theirs. They are compared with those before
    the step: torch calls the hooks of ``AnalogSGD`` twice per step, from inside before the analog
    updates, once the process has used a plain ``SGD``.
    """

    def __init__(self, tiles: List[TrackingTile], on_step: Callable[[], None]) -> None:
        self._tiles = tiles
        self._on_step = on_step
        self._cycles = 0
        self._handles: List[RemovableHandle] = []

    def start(self) -> None:
        """Notice steps from now on.

        Raises:
            ArgumentError: if they are noticed already.
        """
        if self._handles:
            raise ArgumentError("the 'with' block is in use already: leave it first")
        self._handles = [
            register_optimizer_step_pre_hook(self._before),
            register_optimizer_step_post_hook(self._after),
        ]

    def stop(self) -> None:
        """Stop noticing steps."""
        for handle in self._handles:
            handle.remove()
        self._handles = []

    def _count(self) -> int:
        return sum(tile.tile.pipeline.counters.update_cycles for tile in self._tiles)

    def _before(self, *_: object) -> None:
        self._cycles = self._count()

    def _after(self, *_: object) -> None:
        cycles = self._count()
        if cycles != self._cycles:
            self._cycles = cycles
            self._on_step()
