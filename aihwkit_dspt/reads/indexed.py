"""The vectors of an indexed convolution."""

from __future__ import annotations

from torch import Tensor, cat


def gather_indexed(images: Tensor, indices: Tensor, size: int) -> Tensor:
    """Return the ``[n_images * n_patches, size]`` vectors of an indexed convolution.

    aihwkit's index matrix counts from 2 into each flattened image; 0 stands for a zero
    (padding) and 1 for a one (analog bias).

    Args:
        images: ``[n_images, channels, *]`` inputs.
        indices: the index matrix, ``size * n_patches`` integers.
        size: vector size, the bias included.
    """
    flat = images.reshape(len(images), -1)
    constants = flat.new_tensor([0.0, 1.0]).expand(len(flat), 2)
    patches = cat([constants, flat], dim=1)[:, indices.reshape(size, -1).long()]
    return patches.transpose(1, 2).reshape(-1, size)


def scatter_indexed(vectors: Tensor, indices: Tensor, images: Tensor) -> Tensor:
    """Return images to which the entries of vectors are added where they were gathered.

    Vectors are ``[n_images * n_patches, size]``; the result has the shape of ``images``. See
    :func:`gather_indexed`.
    """
    n_images = len(images)
    entries = vectors.view(n_images, -1, vectors.shape[1]).transpose(1, 2).reshape(n_images, -1)
    # The first two take what belongs to the constants.
    flat = vectors.new_zeros(n_images, images[0].numel() + 2)
    flat.index_add_(1, indices.reshape(-1).long(), entries)
    return flat[:, 2:].reshape(images.shape)
