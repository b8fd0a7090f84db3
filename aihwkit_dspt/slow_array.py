"""Evaluating a model at its slow arrays alone."""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from typing import Iterator, TypeVar

from aihwkit.exceptions import TileError
from torch import nn, no_grad

from aihwkit_dspt.tiles.of_model import tracking_tiles

ModuleT = TypeVar("ModuleT", bound=nn.Module)


@contextmanager
def at_slow_weights(model: ModuleT) -> Iterator[ModuleT]:
    r"""Let all tracking tiles of a model compute with :math:`W` in place of :math:`\bar W`.

    The model is trained at the mixed weight
    :math:`\bar W = W + \gamma\, c \circ (P - \tilde Q)`. The fast array :math:`P` follows the last
    mini-batches, so that the accuracy at :math:`\bar W` moves with them; :math:`W` alone is what
    the transfers have collected, and needs one array in place of two. Inside the block forward,
    backward, ``tile.get_weights()`` and :func:`~aihwkit_dspt.to_inference` use it::

        with at_slow_weights(model):
            accuracy = evaluate(model)
            analog = to_inference(model, InferenceRPUConfig())

    Afterwards everything is as it was. A copy of the model (``copy.deepcopy``, aihwkit's
    ``convert_to_digital``) that is made inside the block computes with its mixed weights. With
    ``gamma=0`` there is no difference.

    Args:
        model: a model with tracking tiles, not to be trained inside the block. Tiles of other
            kinds stay as they are.

    Yields:
        the model.

    Raises:
        ArgumentError: if ``model`` is not a module.
        TileError: if the model has no tracking tile, or was trained inside the block (it then has
            its mixed weights again).
    """
    pipelines = [tile.tile.pipeline for tile in tracking_tiles(model).values()]
    cycles = [pipeline.counters.update_cycles for pipeline in pipelines]

    @no_grad()
    def mix_again() -> None:
        for pipeline in pipelines:
            pipeline.refresh_weights()

    with ExitStack() as stack:
        stack.callback(mix_again)
        stack.callback(mix_again)  # twice: one interrupt can end one of them
        with no_grad():
            for pipeline in pipelines:
                pipeline.mixed_array.weights.copy_(pipeline.slow.weights)
        yield model
    if cycles != [pipeline.counters.update_cycles for pipeline in pipelines]:
        raise TileError(
            "the model was trained inside at_slow_weights(): gradients belong to the mixed weight; "
            "leave the block before you train"
        )
