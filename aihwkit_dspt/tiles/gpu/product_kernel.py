"""A small batched product on a GPU with its converters, in one Triton kernel."""

from __future__ import annotations

from typing import Any, Optional

import triton
import triton.language as tl
from torch import Tensor

from aihwkit_dspt.tiles.gpu.arithmetic import TINY, clip, new_seed, rint
from aihwkit_dspt.tiles.gpu.launch import Kernel

ROWS, COLS, INNER = 16, 32, 64
"""Vectors and outputs of one program, and inputs that it treats at once; powers of two."""


@Kernel
def _product_kernel(
    vectors,
    matrix,
    output,
    marked,
    marks,
    seed,
    n_vectors,
    in_size,
    out_size,
    in_stride,
    out_stride,
    n_blocks,
    reduction,
    threshold,
    step,
    in_bound,
    gain,
    noise,
    limit,
    out_bound,
    factor,
    AGAIN: tl.constexpr,
    MARKS: tl.constexpr,
    HAS_THRESHOLD: tl.constexpr,
    IN_ROUNDS: tl.constexpr,
    CLIPS: tl.constexpr,
    IS_NOISY: tl.constexpr,
    OUT_ROUNDS: tl.constexpr,
    BLOCKS: tl.constexpr,
    ROWS: tl.constexpr,
    COLS: tl.constexpr,
    INNER: tl.constexpr,
):
    rows = tl.program_id(0) * ROWS + tl.arange(0, ROWS)
    block = tl.program_id(1)
    cols = block * COLS + tl.arange(0, COLS)
    is_read = rows < n_vectors
    if AGAIN:
        blocks = tl.arange(0, BLOCKS)
        in_marks = is_read[:, None] & (blocks < n_blocks)[None, :]
        mark_places = rows[:, None] * n_blocks + blocks[None, :]
        mark = tl.load(marked + mark_places, mask=in_marks, other=0.0)
        is_read = is_read & (tl.max(mark, axis=1) > 0.0)
    scale = tl.zeros([ROWS], tl.float32)
    for start in range(0, in_size, INNER):
        inner = start + tl.arange(0, INNER)
        x_places = rows[:, None] * in_size + inner[None, :]
        in_x = is_read[:, None] & (inner < in_size)[None, :]
        value = tl.load(vectors + x_places, mask=in_x, other=0.0)
        scale = tl.maximum(scale, tl.max(tl.abs(value), axis=1))
    if HAS_THRESHOLD:
        scale = tl.where(scale > threshold, threshold, scale)
    scale = scale * reduction
    inverse = tl.div_rn(1.0, tl.where(scale < TINY, TINY, scale))
    total = tl.zeros([ROWS, COLS], tl.float32)
    for start in range(0, in_size, INNER):
        inner = start + tl.arange(0, INNER)
        x_places = rows[:, None] * in_size + inner[None, :]
        in_x = is_read[:, None] & (inner < in_size)[None, :]
        value = tl.load(vectors + x_places, mask=in_x, other=0.0) * inverse[:, None]
        if IN_ROUNDS:
            value = rint(tl.div_rn(value, step))
        if CLIPS:
            value = clip(value, in_bound)
        w_places = inner[:, None] * in_stride + cols[None, :] * out_stride
        in_w = (inner < in_size)[:, None] & (cols < out_size)[None, :]
        weight = tl.load(matrix + w_places, mask=in_w, other=0.0)
        total += tl.dot(value, weight, input_precision="ieee")
    total = total * gain
    y_places = rows[:, None] * out_size + cols[None, :]
    if IS_NOISY:
        total += tl.randn(seed, y_places) * noise
    if OUT_ROUNDS:
        total = rint(total)
    in_y = is_read[:, None] & (cols < out_size)[None, :]
    if MARKS:
        beyond = tl.where(in_y & (tl.abs(total) > limit), 1.0, 0.0)
        tl.store(marks + rows * n_blocks + block, tl.max(beyond, axis=1), mask=rows < n_vectors)
    tl.store(output + y_places, clip(total, out_bound) * (scale * factor)[:, None], mask=in_y)


def product(
    vectors: Tensor,
    matrix: Tensor,
    output: Tensor,
    marked: Optional[Tensor],
    marks: Optional[Tensor],
    reduction: float,
    read: Any,
) -> None:
    """Multiply vectors, or those that were marked with smaller inputs.

    Args:
        vectors: ``[n, in_size]`` inputs, contiguous.
        matrix: ``[in_size, out_size]`` weights.
        output: ``[n, out_size]``, written.
        marked: ``[n, n_blocks]``, not zero for vectors that are read again; ``None`` for all.
        marks: ``[n, n_blocks]``, written: 1 for vectors whose outputs exceed the bound; ``None`` if
            no bounds are managed.
        reduction: what the scales are multiplied by.
        read: the :class:`~aihwkit_dspt.tiles.batched_read.BatchedRead`.
    """
    n_vectors, in_size = vectors.shape
    out_size = matrix.shape[1]
    blocks = n_blocks(out_size)
    is_noisy = read.out_noise > 0.0
    _product_kernel(
        (-(-n_vectors // ROWS), blocks),
        *(vectors, matrix, output),
        *(output if marked is None else marked, output if marks is None else marks),
        *(new_seed() if is_noisy else 0, n_vectors, in_size, out_size, *matrix.stride(), blocks),
        *(reduction, read.nm_thres, read.inp_res, read.inp_limit, read.gain, read.out_noise),
        *(read.out_limit, read.out_bound / read.out_unit, read.out_unit * read.out_scale),
        AGAIN=marked is not None,
        MARKS=marks is not None,
        HAS_THRESHOLD=read.nm_thres > 0.0,
        IN_ROUNDS=read.inp_res > 0.0,
        CLIPS=read.clips_inputs,
        IS_NOISY=is_noisy,
        OUT_ROUNDS=read.out_res > 0.0,
        BLOCKS=triton.next_power_of_2(blocks),
        ROWS=ROWS,
        COLS=COLS,
        INNER=INNER,
    )


def n_blocks(out_size: int) -> int:
    """Return the number of programs for the outputs of a vector."""
    return -(-out_size // COLS)
