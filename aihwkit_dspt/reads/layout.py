"""Products of vectors in the layouts that layers pass."""

from __future__ import annotations

from typing import Callable, Union

from torch import Tensor, cat, ones_like

from aihwkit_dspt.fused.read import FusedProduct, Layout
from aihwkit_dspt.reads.indexed import gather_indexed, scatter_indexed
from aihwkit_dspt.reads.product import PlainProduct

Product = Union[PlainProduct, FusedProduct]

Rows = Callable[[Tensor], Tensor]
"""Products of ``[n, in_size]`` vectors."""


def layout_of(vectors: Tensor, bias: bool, in_trans: bool, out_trans: bool) -> Layout:
    """Return how vectors lie in their tensor; see :class:`~aihwkit_dspt.fused.read.Layout`."""
    if in_trans or out_trans:
        return Layout.TRANSPOSED if in_trans and out_trans else Layout.MIXED
    if vectors.dim() == 2:
        return Layout.ROWS if bias else Layout.MATRIX
    if vectors.dim() == 3 and vectors.stride(1) == 1 and not vectors.is_contiguous():
        return Layout.UNFOLDED
    return Layout.ROWS


def with_ones(vectors: Tensor, dim: int) -> Tensor:
    """Return vectors with a bias input of one, the last along their dimension."""
    return cat([vectors, ones_like(vectors.narrow(dim, 0, 1))], dim)


def multiply(product: Product, matrix: Tensor, vectors: Tensor, layout: Layout) -> Tensor:
    """Return the analog products of vectors in their layout.

    Vectors are ``[*, in_size]``, or ``[in_size, *]`` if transposed; the matrix is
    ``[in_size, out_size]``. The product is one that takes this layout.
    """
    if isinstance(product, PlainProduct) and layout is Layout.TRANSPOSED:
        columns = vectors.reshape(1, len(vectors), -1)
        output = product(matrix.t(), columns, dim=-2)
        return output.view(matrix.shape[1], *vectors.shape[1:])
    if layout is Layout.UNFOLDED and vectors.stride(1) == 1:
        # No copy: the patches lie one after the other in memory.
        columns = vectors.transpose(1, 2)
        if isinstance(product, PlainProduct):
            return product(matrix.t(), columns, dim=-2).transpose(1, 2)
        return product.of_columns(matrix.t(), columns).transpose(1, 2)
    rows = product(matrix, vectors.reshape(-1, vectors.shape[-1]))
    return rows.view(*vectors.shape[:-1], matrix.shape[1])


def forward_indexed(product: Rows, images: Tensor, indices: Tensor, output: Tensor) -> Tensor:
    """Return the outputs of a convolution, in the shape ``[n_images, d_size, *]`` of ``output``.

    ``product`` multiplies ``[n, x_size]`` vectors; images are ``[n_images, channels, *]``; the
    ``x_size * n_patches`` indices are those of :func:`~aihwkit_dspt.reads.indexed.gather_indexed`.
    """
    n_patches = output[0, 0].numel()
    x_size = indices.numel() // n_patches
    outputs = product(gather_indexed(images, indices, x_size)).view(len(images), n_patches, -1)
    return outputs.transpose(1, 2).reshape(output.shape)


def backward_indexed(product: Rows, errors: Tensor, indices: Tensor, images: Tensor) -> Tensor:
    """Return the gradients of the inputs of a convolution, in the shape of ``images``.

    ``product`` multiplies ``[n, d_size]`` vectors; errors are ``[n_images, d_size, *]``.
    """
    vectors = errors.flatten(2).transpose(1, 2).reshape(-1, errors.shape[1])
    return scatter_indexed(product(vectors), indices, images)
