"""Products of vectors that are too small for aihwkit's noise management."""

from __future__ import annotations

from ctypes import c_double, c_float
from math import isnan
from typing import Callable

from torch import Tensor, finfo, float32, float64

NUMBERS = {float32: c_float, float64: c_double}
"""Numbers in memory, by data type."""


def is_lost(output: Tensor, is_one: bool = False) -> bool:
    """Return whether aihwkit's product of vectors on the CPU has outputs that are no numbers.

    aihwkit divides a vector by its largest magnitude. Where that is a denormal number, as that of
    errors that went back through many time steps, the quotient overflows and all outputs of the
    vector are not numbers.

    Args:
        output: the product.
        is_one: whether it is that of one vector, of which one output tells.
    """
    if output.is_cuda:  # the question would wait for the answer
        return False
    number = NUMBERS.get(output.dtype) if is_one and output.numel() > 0 else None
    if number is None:
        return isnan(output.sum().item())
    # A sum takes a tenth of a step of a small network, and a NumPy array a twentieth.
    return isnan(number.from_address(output.data_ptr()).value)


def product(
    read: Callable[..., Tensor], vectors: Tensor, *arguments: object, is_one: bool = False
) -> Tensor:
    """Return aihwkit's product of vectors; denormal numbers count as zero where it is lost.

    Args:
        read: aihwkit's product.
        vectors: what is multiplied.
        arguments: further arguments of it.
        is_one: whether it is that of one vector.
    """
    output = read(vectors, *arguments)
    if not is_lost(output, is_one):
        return output
    return read(vectors.masked_fill(vectors.abs() < finfo(vectors.dtype).tiny, 0.0), *arguments)
