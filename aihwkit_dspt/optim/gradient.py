"""The gradient of an analog layer, from the inputs and errors that its context keeps."""

from __future__ import annotations

from typing import TYPE_CHECKING, Iterator, Tuple

from aihwkit.exceptions import TileError
from aihwkit.optim.context import AnalogContext
from torch import Tensor, zeros
from torch.autograd import no_grad

from aihwkit_dspt.tiles.vectors import as_vectors, indexed_vectors

if TYPE_CHECKING:
    from aihwkit.simulator.tiles.module import TileModule

BLOCK = 2**22
"""Most entries of a gradient that are in memory at a time."""


@no_grad()
def gradient_norm(context: AnalogContext) -> Tensor:
    r"""Return the 0-dimensional :math:`\|\sum_n d_n x_n^T\|_F` of what a context keeps.

    Args:
        context: aihwkit's ``AnalogContext`` of a tile.

    Raises:
        TileError: for an indexed convolution on a C++ tile, which alone knows its index matrix.
    """
    inputs, errors = zip(*kept_vectors(context))
    sizes = inputs[0].shape[1], errors[0].shape[1]
    total = zeros((), dtype=errors[0].dtype, device=errors[0].device)
    rows = max(1, BLOCK // sizes[0])
    for start in range(0, sizes[1], rows):
        block = sum(d[:, start : start + rows].t() @ x for x, d in zip(inputs, errors))
        total += block.square().sum()
    return total.sqrt()


def kept_vectors(context: AnalogContext) -> Iterator[Tuple[Tensor, Tensor]]:
    """Yield ``[n, in_size (+1)]`` inputs and ``[n, out_size]`` errors of each backward pass.

    Raises:
        TileError: see :func:`gradient_norm`.
    """
    tile = context.analog_tile
    size = tile.in_size + int(tile.analog_bias)
    for x, d in zip(context.analog_input, context.analog_grad_output):
        if context.use_indexed:
            vectors, errors = indexed_vectors(x, d, _indices(tile), size, tile.out_size)
        else:
            errors = as_vectors(d, tile.out_trans, tile.out_size, False, "d_input")
            vectors = as_vectors(x, tile.in_trans, size, tile.analog_bias, "x_input")
        yield vectors.to(errors), errors


def _indices(tile: TileModule) -> Tensor:
    indices = getattr(tile.tile, "indices", None)
    if not isinstance(indices, Tensor):
        raise TileError(
            f"{type(tile).__name__} of an indexed convolution has no gradient norm: aihwkit's C++ "
            "keeps its index matrix to itself. Pass use_indexed=False to the convolution"
        )
    return indices
