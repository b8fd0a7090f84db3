"""Whether Triton works on this machine."""

from __future__ import annotations

from functools import cache
from types import SimpleNamespace
from typing import Any
from warnings import warn

import torch

from aihwkit_dspt.reads.one_hot import LineLaw


@cache
def gpu_kernels() -> Any:
    """Return the modules with kernels of lines, converters and products.

    That is ``None``, with a warning, where they do not work.

    Triton comes with torch's CUDA wheels for Linux; compiling may need a C compiler. Without
    Triton, torch does the same operation by operation, in some thirty kernels instead of three,
    and aihwkit's CUDA tile multiplies.
    """
    try:
        # pylint: disable-next=import-outside-toplevel
        from aihwkit_dspt.fused.gpu import converter_kernels, line_kernels, product_kernel

        law = LineLaw(gain=1.0, noise=0.0, rounds=False, bound=1.0, factor=1.0)
        array = torch.full((1, 1), 0.5, device="cuda")
        read = torch.empty_like(array)
        line_kernels.read_lines(array, 0, read, law)
        if not torch.equal(read, array):
            raise RuntimeError(f"a weight of 0.5 reads as {read.item()}")
    except Exception as exception:  # pylint: disable=broad-exception-caught
        warn(
            f"Triton does not work here ({type(exception).__name__}: {exception}), so transfers on "
            "the GPU take more time: install it (pip install triton) and a C compiler",
            RuntimeWarning,
            stacklevel=2,
        )
        return None
    return SimpleNamespace(lines=line_kernels, converters=converter_kernels, product=product_kernel)
