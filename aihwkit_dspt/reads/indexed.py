"""Products of convolutions with an index matrix, as products of vectors."""

from __future__ import annotations

from typing import Callable

from torch import Tensor

from aihwkit_dspt.tiles.vectors import gather_indexed, scatter_indexed

Product = Callable[[Tensor], Tensor]


def forward_indexed(product: Product, images: Tensor, indices: Tensor, output: Tensor) -> Tensor:
    """Return the outputs of a convolution, in the shape ``[n_images, d_size, *]`` of ``output``.

    ``product`` multiplies ``[n, x_size]`` vectors; images are ``[n_images, channels, *]``; the
    ``x_size * n_patches`` indices are those of :func:`~aihwkit_dspt.tiles.vectors.gather_indexed`.
    """
    n_patches = output[0, 0].numel()
    x_size = indices.numel() // n_patches
    outputs = product(gather_indexed(images, indices, x_size)).view(len(images), n_patches, -1)
    return outputs.transpose(1, 2).reshape(output.shape)


def backward_indexed(product: Product, errors: Tensor, indices: Tensor, images: Tensor) -> Tensor:
    """Return the gradients of the inputs of a convolution, in the shape of ``images``.

    ``product`` multiplies ``[n, d_size]`` vectors; errors are ``[n_images, d_size, *]``.
    """
    vectors = errors.flatten(2).transpose(1, 2).reshape(-1, errors.shape[1])
    return scatter_indexed(product(vectors), indices, images)
