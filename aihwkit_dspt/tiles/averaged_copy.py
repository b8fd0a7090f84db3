"""A copy of a tile in which Lightning would average weights."""

from __future__ import annotations

import sys
from types import FrameType
from typing import Optional

from aihwkit.exceptions import TileError

LIGHTNING = "callbacks.stochastic_weight_avg"
"""Module of its callback, in ``lightning.pytorch`` and in ``pytorch_lightning``."""


def refuse_averaged_copy() -> None:
    """Refuse the copy of a model that Lightning's ``StochasticWeightAveraging`` makes.

    The callback averages parameters epochs later, and calls nothing of a tile before that. So this
    looks for the callback among its callers, if the callback is imported at all.

    Raises:
        TileError: if a caller is that callback.
    """
    if not any(name.endswith(LIGHTNING) for name in sys.modules):
        return
    frame: Optional[FrameType] = sys._getframe(1)
    while frame is not None:
        if str(frame.f_globals.get("__name__")).endswith(LIGHTNING):
            raise not_averaged("StochasticWeightAveraging")
        frame = frame.f_back


def not_averaged(name: str) -> TileError:
    """Return the error of what averages parameters, given the name of its class."""
    return TileError(
        f"{name} averages parameters, but the weights of analog tiles are not among them. Use "
        "AveragedWeights(model, decay=...) of aihwkit_dspt, which averages the weights that the "
        "layers compute with"
    )
