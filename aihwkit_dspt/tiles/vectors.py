"""Turning what layers pass to ``update`` into a batch of vectors."""

from __future__ import annotations

from typing import Tuple

from aihwkit.exceptions import TileError
from torch import Tensor, cat

from aihwkit_dspt.reads.indexed import gather_indexed


def as_vectors(values: Tensor, transposed: bool, size: int, bias: bool, name: str) -> Tensor:
    """Return inputs as ``[n_vectors, size]``, with a column of ones for an analog bias.

    Args:
        values: ``[*, size]`` inputs, or ``[size, *]`` if ``transposed``; without the bias.
        transposed: whether the vector dimension comes first.
        size: vector size, the bias included.
        bias: whether the last entry of each vector is the bias input of one.
        name: name of the input, for the error message.

    Raises:
        TileError: if the sizes do not fit.
    """
    if values.dim() == 2 and values.size(1) == size and not (bias or transposed):
        # The usual vectors, for which a training step shall not wait.
        values = values.detach() if values.requires_grad else values
        return values.resolve_neg().contiguous()
    n_values = size - int(bias)
    if values.requires_grad:
        values = values.detach()
    if values.dim() < 1 or values.size(0 if transposed else -1) != n_values:
        expected = f"[{n_values}, *]" if transposed else f"[*, {n_values}]"
        raise TileError(f"{name} has shape {list(values.shape)}: pass {expected}")
    if transposed:
        values = values.reshape(n_values, -1).t()
    if values.dim() != 2:
        values = values.reshape(-1, n_values)
    if bias:
        values = cat([values, values.new_ones(len(values), 1)], dim=1)
    return values.resolve_neg().contiguous()


def require_type(values: Tensor, like: Tensor, name: str) -> None:
    """Raise ``TileError`` unless values have the data type of the arrays, which ``like`` has."""
    if values.dtype is not like.dtype:
        raise TileError(
            f"{name} has data type {values.dtype}, the arrays simulate {like.dtype}: convert it "
            f"with {name}.to({like.dtype}), or build the layer with another runtime.data_type in "
            "its RPU configuration"
        )


def indexed_vectors(
    images: Tensor, errors: Tensor, indices: Tensor, x_size: int, d_size: int
) -> Tuple[Tensor, Tensor]:
    """Return the ``[n, x_size]`` inputs and ``[n, d_size]`` errors of an indexed convolution.

    Args:
        images: ``[n_images, channels, *]`` inputs.
        errors: ``[n_images, d_size, *]`` errors.
        indices: the index matrix.
        x_size: number of inputs, the bias included.
        d_size: number of outputs.

    Raises:
        TileError: if the sizes do not fit.
    """
    by_patch = errors.flatten(2).transpose(1, 2)
    d_vectors = as_vectors(by_patch, False, d_size, False, "d_input")
    # With an analog bias aihwkit appends more ones than there are patches; C++ reads no further
    # than it needs either.
    indices = indices[: x_size * by_patch.size(1)]
    return gather_indexed(images.detach(), indices, x_size), d_vectors
