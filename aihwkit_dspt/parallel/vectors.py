"""Inputs and errors that a tile keeps, in the form in which ranks send them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, List, Sequence, Tuple

import torch
from torch import Tensor

if TYPE_CHECKING:
    from aihwkit.optim.context import AnalogContext

Pair = Tuple[Tensor, Tensor]


@dataclass(frozen=True)
class Kind:
    """Shapes and data type of the inputs and errors of one backward pass through a tile.

    Attributes:
        x_shape: shape of the inputs.
        d_shape: shape of the errors.
        dtype: data type of both.
    """

    x_shape: Tuple[int, ...]
    d_shape: Tuple[int, ...]
    dtype: torch.dtype

    @property
    def x_bytes(self) -> int:
        """Number of bytes of the inputs."""
        return _product(self.x_shape) * self.dtype.itemsize

    @property
    def n_bytes(self) -> int:
        """Number of bytes of both."""
        return self.x_bytes + _product(self.d_shape) * self.dtype.itemsize

    @property
    def image(self) -> Tuple[Tuple[int, ...], ...]:
        """Sizes that all ranks have in common: those of one image, or of nothing."""
        return self.x_shape[1:], self.d_shape[1:]


def _product(sizes: Sequence[int]) -> int:
    return int(torch.Size(sizes).numel())


def pair_of(context: AnalogContext, x: Tensor, d: Tensor) -> Pair:
    """Return inputs and errors of one backward pass as vectors (or as images, where indexed).

    They are ``[n, in_size]`` and ``[n, out_size]``; transposed tiles have ``[in_size, n]``.
    """
    tile, x, d = context.analog_tile, x.detach(), d.detach()
    if context.use_indexed:
        return x, d
    if tile.in_trans:
        return x.reshape(x.shape[0], -1), d.reshape(d.shape[0], -1)
    return x.reshape(-1, x.shape[-1]), d.reshape(-1, d.shape[-1])


def kind_of(pair: Pair) -> Kind:
    """Return the shapes and the data type of a pair."""
    x, d = pair
    return Kind(tuple(x.shape), tuple(d.shape), d.dtype)


def to_bytes(pairs: Sequence[Pair]) -> Tensor:
    """Return pairs as one tensor of bytes, one after the other."""
    parts = [_bytes(value.to(d)) for x, d in pairs for value in (x, d)]
    return torch.cat(parts) if parts else torch.empty(0, dtype=torch.uint8, device="cpu")


def _bytes(values: Tensor) -> Tensor:
    return values.contiguous().flatten().view(torch.uint8)


def from_bytes(content: Tensor, kinds: Sequence[Kind]) -> List[Pair]:
    """Return the pairs that :func:`to_bytes` made bytes of."""
    pairs, start = [], 0
    for kind in kinds:
        middle, stop = start + kind.x_bytes, start + kind.n_bytes
        # Clones, as numbers have to start where their data type allows.
        x = content[start:middle].clone().view(kind.dtype).view(kind.x_shape)
        d = content[middle:stop].clone().view(kind.dtype).view(kind.d_shape)
        pairs.append((x, d))
        start = stop
    return pairs


def joined(context: AnalogContext, pairs: Sequence[Pair], n_ranks: int) -> Pair:
    """Return the joint vectors of pairs from several ranks, with the errors of the mean loss."""
    dim = -1 if context.analog_tile.in_trans and not context.use_indexed else 0
    x = torch.cat([x for x, _ in pairs], dim=dim)
    d = torch.cat([d for _, d in pairs], dim=dim)
    return x, d.div_(n_ranks)


def none_of(context: AnalogContext, kind: Kind, device: torch.device) -> Pair:
    """Return inputs and errors of no vector at all."""
    dim = -1 if context.analog_tile.in_trans and not context.use_indexed else 0
    shapes = [list(kind.x_shape), list(kind.d_shape)]
    for shape in shapes:
        shape[dim] = 0
    x, d = (torch.empty(shape, dtype=kind.dtype, device=device) for shape in shapes)
    return x, d
