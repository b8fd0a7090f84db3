"""Outputs at the bound of the converter, whose input gradient aihwkit sets to zero."""

from __future__ import annotations

from functools import cache
from typing import Tuple

from torch import Tensor, device, dtype, float32, where, zeros

from aihwkit_dspt import fused


def outputs_at_bound(output: Tensor, bound: float) -> Tuple[Tensor, ...]:
    """Return the mask of the ``[*, out_size]`` outputs at the bound; no mask if none is there.

    On a GPU there is always a mask: to look for outputs at the bound would wait for the GPU.
    """
    if output.is_cuda or _reaches(output, bound):
        return (output.abs() >= bound,)
    return ()


def without(errors: Tensor, mask: Tensor) -> Tensor:
    """Return ``[*, out_size]`` errors with zeros where the mask is."""
    # With a number for the zero torch copies that to the GPU in each call.
    return where(mask, _zero(errors.device, errors.dtype), errors)


def _reaches(output: Tensor, bound: float) -> bool:
    """Return whether an output on the CPU is at the bound, or is not a number."""
    if output.numel() == 0:
        return False
    if output.dtype is float32 and output.is_contiguous():
        return not fused.read_kernels_cpu.all_within(output.numpy().ravel(), bound)
    low, high = output.aminmax()
    return not (-bound < low.item() and high.item() < bound)


@cache
def _zero(place: device, data_type: dtype) -> Tensor:
    return zeros((), device=place, dtype=data_type)
