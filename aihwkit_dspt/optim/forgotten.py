"""Arrays that no optimizer was given, and those that no backward pass reaches."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from aihwkit.optim.context import AnalogContext

PATIENCE = 20
"""Steps of other optimizers, and backward passes, after which an array is taken for forgotten.

Steps of its own optimizer without a vector after which it is taken for unused.
"""


class OptimizerSteps:
    """Number of steps that all optimizers of this process have taken together."""

    taken = 0


def watch(context: AnalogContext, n_kept: int) -> None:
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


def notice_unused(context: AnalogContext) -> None:
    """Warn once if an array has got no vectors in all the steps that its optimizer has taken.

    A model may compute with what is no array: a digital copy of the weights, or a digital layer
    that a function of its own still holds.

    Args:
        context: a context without vectors, whose optimizer is about to take a step.
    """
    if context.is_used or not context.requires_grad:
        return
    context.n_empty_steps += 1
    if context.n_empty_steps >= PATIENCE:
        context.is_used = True  # says nothing more
        tile = context.analog_tile
        warnings.warn(
            f"the tile of a layer with {tile.in_size} inputs and {tile.out_size} outputs has got "
            f"no vectors in {PATIENCE} optimizer steps, so it has not learned. Either the model "
            "does not use the layer, or it computes with something else in its place: with what "
            "was computed from layer.weight, or with a digital layer that a lambda holds. Call the "
            "layer, or leave it digital (exclude_modules of convert)",
            stacklevel=2,
        )
