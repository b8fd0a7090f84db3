"""The converters of a batched product on a GPU, one Triton kernel each.

On the CPU Numba compiles them (``read_kernels_cpu.py``). A program has one vector.
"""

from __future__ import annotations

import triton
import triton.language as tl
from torch import Tensor

from aihwkit_dspt.fused.gpu.arithmetic import TINY, clip, new_seed, rint
from aihwkit_dspt.fused.gpu.launch import Kernel
from aihwkit_dspt.reads.law import ReadLaw

CELLS = 1024
"""Cells that a program treats at once; a power of two."""


def _block(size: int) -> int:
    return int(min(triton.next_power_of_2(size), CELLS))


@Kernel
def _inputs_kernel(
    vectors,
    inputs,
    scales,
    size,
    threshold,
    step,
    bound,
    HAS_THRESHOLD: tl.constexpr,
    ROUNDS: tl.constexpr,
    CLIPS: tl.constexpr,
    CELLS: tl.constexpr,
):
    row = tl.program_id(0)
    largest = tl.zeros([CELLS], tl.float32)
    for start in range(0, size, CELLS):
        cells = start + tl.arange(0, CELLS)
        value = tl.load(vectors + row * size + cells, mask=cells < size, other=0.0)
        largest = tl.maximum(largest, tl.abs(value))
    scale = tl.max(largest)
    if HAS_THRESHOLD:
        scale = tl.where(scale > threshold, threshold, scale)
    tl.store(scales + row, scale)
    inverse = tl.div_rn(1.0, tl.where(scale < TINY, TINY, scale))
    for start in range(0, size, CELLS):
        cells = start + tl.arange(0, CELLS)
        inside = cells < size
        value = tl.load(vectors + row * size + cells, mask=inside, other=0.0) * inverse
        if ROUNDS:
            value = rint(tl.div_rn(value, step))
        if CLIPS:
            value = clip(value, bound)
        tl.store(inputs + row * size + cells, value, mask=inside)


def convert_inputs(vectors: Tensor, inputs: Tensor, scales: Tensor, law: ReadLaw) -> None:
    """Divide each of ``[n, in_size]`` vectors by its scale, written to ``[n]``, and round to steps.

    See :func:`~aihwkit_dspt.fused.read_kernels_cpu.convert_inputs`.
    """
    n_vectors, size = vectors.shape
    _inputs_kernel(
        (n_vectors, 1),
        *(vectors, inputs, scales, size, law.nm_thres, law.inp_res, law.inp_limit),
        HAS_THRESHOLD=law.nm_thres > 0.0,
        ROUNDS=law.inp_res > 0.0,
        CLIPS=law.clips_inputs,
        CELLS=_block(size),
    )


@Kernel
def _outputs_kernel(
    output,
    scales,
    seed,
    size,
    noise,
    bound,
    factor,
    IS_NOISY: tl.constexpr,
    ROUNDS: tl.constexpr,
    CELLS: tl.constexpr,
):
    row = tl.program_id(0)
    scale = tl.load(scales + row) * factor
    for start in range(0, size, CELLS):
        cells = start + tl.arange(0, CELLS)
        inside = cells < size
        value = tl.load(output + row * size + cells, mask=inside)
        if IS_NOISY:
            value += tl.randn(seed, row * size + cells) * noise
        if ROUNDS:
            value = rint(value)
        tl.store(output + row * size + cells, clip(value, bound) * scale, mask=inside)


def convert_outputs(output: Tensor, scales: Tensor, law: ReadLaw) -> None:
    """Add noise to ``[n, out_size]`` outputs, round, clip and rescale them by ``[n]``, in place.

    See :func:`~aihwkit_dspt.fused.read_kernels_cpu.convert_outputs`.
    """
    n_vectors, size = output.shape
    is_noisy = law.out_noise > 0.0
    _outputs_kernel(
        (n_vectors, 1),
        *(output, scales, new_seed() if is_noisy else 0, size, law.out_noise),
        *(law.bound, law.factor),
        IS_NOISY=is_noisy,
        ROUNDS=law.out_res > 0.0,
        CELLS=_block(size),
    )
