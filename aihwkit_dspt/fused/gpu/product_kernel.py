"""A small batched product on a GPU with its converters, in one Triton kernel."""

from __future__ import annotations

from math import inf

import triton.language as tl
from torch import Tensor

from aihwkit_dspt.fused.gpu.arithmetic import TINY, clip, new_seed, rint
from aihwkit_dspt.fused.gpu.launch import Kernel
from aihwkit_dspt.reads.law import ReadLaw

ROWS, COLS, INNER = 16, 32, 64
"""Vectors and outputs that are computed at once, and inputs of a step; powers of two."""


@Kernel
def _product_kernel(
    vectors,
    matrix,
    output,
    seed,
    n_vectors,
    in_size,
    out_size,
    in_stride,
    out_stride,
    n_blocks,
    threshold,
    step,
    in_bound,
    gain,
    noise,
    limit,
    largest_factor,
    out_bound,
    unit,
    MANAGES: tl.constexpr,
    HAS_THRESHOLD: tl.constexpr,
    IN_ROUNDS: tl.constexpr,
    CLIPS: tl.constexpr,
    IS_NOISY: tl.constexpr,
    OUT_ROUNDS: tl.constexpr,
    ROWS: tl.constexpr,
    COLS: tl.constexpr,
    INNER: tl.constexpr,
):
    rows = tl.program_id(0) * ROWS + tl.arange(0, ROWS)
    is_read = rows < n_vectors
    scale = tl.zeros([ROWS], tl.float32)
    for start in range(0, in_size, INNER):
        inner = start + tl.arange(0, INNER)
        x_places = rows[:, None] * in_size + inner[None, :]
        in_x = is_read[:, None] & (inner < in_size)[None, :]
        value = tl.load(vectors + x_places, mask=in_x, other=0.0)
        scale = tl.maximum(scale, tl.max(tl.abs(value), axis=1))
    if HAS_THRESHOLD:
        scale = tl.where(scale > threshold, threshold, scale)
    # With bound management a program has all outputs of its vectors: those that exceed the bound
    # are read again with half the inputs, until none does or the factor is the largest.
    block = tl.program_id(1)
    reading = tl.where(is_read, 1.0, 0.0)
    n_left = tl.max(reading, axis=0)
    factor = 1.0
    while n_left > 0.0:
        inverse = tl.div_rn(1.0, tl.where(scale < TINY, TINY, scale))
        beyond = tl.zeros([ROWS], tl.float32)
        for number in range(n_blocks):
            cols = (block + number) * COLS + tl.arange(0, COLS)
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
            in_y = (reading > 0.0)[:, None] & (cols < out_size)[None, :]
            exceeds = tl.where(in_y & (tl.abs(total) > limit), 1.0, 0.0)
            beyond = tl.maximum(beyond, tl.max(exceeds, axis=1))
            value = clip(total, out_bound) * (scale * unit)[:, None]
            tl.store(output + y_places, value, mask=in_y)
        n_left = 0.0
        if MANAGES:
            reading = beyond
            n_left = tl.where(factor <= largest_factor, tl.max(beyond, axis=0), 0.0)
            factor = factor * 2.0
            scale = scale * 2.0
            seed += 1


def product(vectors: Tensor, matrix: Tensor, output: Tensor, law: ReadLaw) -> None:
    """Multiply ``[n, in_size]`` vectors, contiguous, with ``[in_size, out_size]`` weights.

    The ``[n, out_size]`` output is written, with bound management where the law has it.
    """
    n_vectors, in_size = vectors.shape
    out_size = matrix.shape[1]
    blocks = -(-out_size // COLS)
    is_noisy = law.out_noise > 0.0
    manages = law.manages_bounds
    _product_kernel(
        (-(-n_vectors // ROWS), 1 if manages else blocks),
        *(vectors, matrix, output, new_seed() if is_noisy else 0, n_vectors, in_size, out_size),
        *(*matrix.stride(), blocks if manages else 1),
        *(law.nm_thres, law.inp_res, law.inp_limit, law.gain, law.out_noise),
        *(law.out_limit, law.largest_factor if manages else -inf),
        *(law.bound, law.factor),
        MANAGES=manages,
        HAS_THRESHOLD=law.nm_thres > 0.0,
        IN_ROUNDS=law.inp_res > 0.0,
        CLIPS=law.clips_inputs,
        IS_NOISY=is_noisy,
        OUT_ROUNDS=law.out_res > 0.0,
        ROWS=ROWS,
        COLS=COLS,
        INNER=INNER,
    )
