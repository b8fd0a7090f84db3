"""Arrays that no optimizer was given."""

from __future__ import annotations

import warnings
from typing import Any

PATIENCE = 20
"""Steps of other optimizers, and backward passes, after which an array is taken for forgotten."""


class OptimizerSteps:
    """Number of steps that all optimizers of this process have taken together."""

    taken = 0


def watch(context: Any, n_kept: int) -> None:
    """Warn once if a context keeps the vectors of more and more batches.

    Other optimizers take steps, but none to which the context belongs ever did.

    Args:
        context: a context that keeps one more batch now.
        n_kept: how many it keeps.
    """
    if n_kept == 1:
        context.kept_since = OptimizerSteps.taken
    elif n_kept > PATIENCE and not context.is_trained:
        n_steps = OptimizerSteps.taken - context.kept_since
        if n_steps >= PATIENCE:
            context.is_trained = True  # says nothing more
            tile = context.analog_tile
            warnings.warn(
                f"the tile of a layer with {tile.in_size} inputs and {tile.out_size} outputs keeps "
                f"the vectors of {n_kept} backward passes over {n_steps} optimizer steps, because "
                "no optimizer was given its parameter: pass all parameters to analog_optimizer or "
                "AnalogSGD, or freeze the layer with requires_grad_(False)",
                stacklevel=2,
            )
