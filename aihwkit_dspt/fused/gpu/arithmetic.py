"""Arithmetic that several kernels share."""

from __future__ import annotations

import triton
import triton.language as tl
from torch import empty, int64

TINY = tl.constexpr(1.1754943508222875e-38)
"""The smallest normal number."""


_SEED = empty((), dtype=int64, device="cpu")


def new_seed() -> int:
    """Return a seed for the noise of one kernel, from torch's generator on the host."""
    return int(_SEED.random_(2**31 - 1).item())


@triton.jit
def rint(value):
    """Return the nearest integers, ties to even: the sum has no digits behind the point."""
    whole = (value + 12582912.0) - 12582912.0
    return tl.where(tl.abs(value) < 4194304.0, whole, value)


@triton.jit
def clip(value, bound):
    """Return values between the bounds; comparisons keep those that are not numbers."""
    value = tl.where(value > bound, bound, value)
    return tl.where(value < -bound, -bound, value)
