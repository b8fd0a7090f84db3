"""Warm start of a chain of arrays: the next one joins when the loss has reached a plateau."""

from __future__ import annotations

from math import inf
from typing import Dict, List, Mapping

from aihwkit.exceptions import TileError
from torch import nn

from aihwkit_dspt.configs.checks import require_argument, require_whole
from aihwkit_dspt.tiles.of_model import tracking_tiles
from aihwkit_dspt.tiles.tile import TrackingTile
from aihwkit_dspt.tiles.undo import all_or_none


def join_next_array(model: nn.Module) -> int:
    r"""Let the next array of each chain of a model join.

    From now on the fast array is transferred to it, and the arrays that joined before keep what
    they have learned. Chains of which all arrays have joined stay as they are. A failed or
    interrupted call leaves all of them as they were.

    Args:
        model: a model with tracking tiles.

    Returns:
        the number of tiles in which an array joined.

    Raises:
        ArgumentError: if ``model`` is not a module.
        TileError: if no tile of the model has more than two arrays.
    """
    waiting = [tile for tile in _chains(model) if not tile.tile.pipeline.joined.is_complete]
    with all_or_none(waiting):
        for tile in waiting:
            tile.tile.join_next()
    return len(waiting)


class WarmStart:
    r"""Lets the next array join when the loss has reached a plateau.

    The counterpart of torch's ``ReduceLROnPlateau``, for a chain with ``join_sweeps=None``: where
    the loss has not fallen below :math:`(1 - \text{threshold})` times the best one for ``patience``
    calls in a row, the next array of each chain joins, and the best loss is looked for anew::

        config = build_config("e-rider", device, n_arrays=4, join_sweeps=None)
        ...
        warm_start = WarmStart(model, patience=2)
        for epoch in range(n_epochs):
            loss = train_epoch(model)
            warm_start.step(loss)

    Args:
        model: a model with chains of more than two arrays.
        patience: calls without a better loss before the next array joins.
        threshold: part of the best loss that counts as better.

    Attributes:
        best: smallest loss since the last array joined.
        n_bad: calls since then without a better one.

    Raises:
        ArgumentError: if an argument is not valid.
        TileError: if no tile of the model has more than two arrays.

    Source: Li et al., AISTATS 2026 ("warm start").
    """

    def __init__(self, model: nn.Module, patience: int = 2, threshold: float = 0.05) -> None:
        _chains(model)
        self.model = model
        self.patience = require_whole("patience", patience, 1)
        self.threshold = require_argument("threshold", threshold, 0.0, 1.0)
        self.best = inf
        self.n_bad = 0

    def step(self, loss: float) -> bool:
        """Take a loss, e.g. the mean of an epoch.

        Returns:
            whether an array joined.

        Raises:
            ArgumentError: if the loss is not a finite number (of a tensor pass ``loss.item()``);
                nothing joins then.
        """
        loss = require_argument("loss", loss)
        if loss < self.best - self.threshold * abs(self.best) or self.best == inf:
            self.best, self.n_bad = loss, 0
            return False
        self.n_bad += 1
        if self.n_bad < self.patience:
            return False
        joined = join_next_array(self.model) > 0
        self.best, self.n_bad = inf, 0
        return joined

    def state_dict(self) -> Dict[str, float]:
        """Return what a resumed training needs; which arrays have joined is in the tiles."""
        return {"best": self.best, "n_bad": self.n_bad}

    def load_state_dict(self, state: Mapping[str, float]) -> None:
        """Set what :meth:`state_dict` returned."""
        self.best, self.n_bad = float(state["best"]), int(state["n_bad"])


def _chains(model: nn.Module) -> List[TrackingTile]:
    tiles = [tile for tile in tracking_tiles(model).values() if len(tile.tile.pipeline.links) > 1]
    if not tiles:
        raise TileError(
            f"{type(model).__name__} has no chain of more than two arrays: pass n_arrays=3 or more "
            "to build_config"
        )
    return tiles
