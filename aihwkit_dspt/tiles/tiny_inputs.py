"""Products of vectors that are too small for aihwkit's noise management."""

from __future__ import annotations

from math import isnan
from typing import Any, Callable

from torch import Tensor, finfo


def read_without_tiny(
    read: Callable[..., Tensor], vectors: Tensor, *arguments: Any, is_one: bool = False
) -> Tensor:
    """Return the analog product of vectors, where numbers that are next to nothing count as zero.

    aihwkit divides a vector by its largest magnitude. Where that is a denormal number, as that of
    errors that went back through many time steps, the quotient overflows and all outputs are not
    numbers. Such products are read once more.

    Args:
        read: aihwkit's product.
        vectors: what is multiplied.
        arguments: further arguments of it.
        is_one: whether it is one vector.
    """
    output = read(vectors, *arguments)
    # On a GPU the question would wait for the answer. All outputs of a vector are no numbers, or
    # none is, and a sum takes a tenth of a step of a small network.
    if not output.is_cuda and isnan(output.numpy().item(0) if is_one else output.sum().item()):
        tiny = vectors.abs() < finfo(vectors.dtype).tiny
        if tiny.any():
            output = read(vectors.masked_fill(tiny, 0.0), *arguments)
    return output
