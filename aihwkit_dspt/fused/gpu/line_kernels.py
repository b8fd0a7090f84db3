"""The passes over single lines of an array, one Triton kernel each.

On the CPU Numba compiles the same passes (``line_kernels_cpu.py``). A line has some hundred cells:
what counts is the number of kernels.
"""

from __future__ import annotations

from typing import Optional, Tuple

import triton.language as tl
from torch import Tensor

from aihwkit_dspt.fused.gpu.arithmetic import clip, new_seed, rint
from aihwkit_dspt.fused.gpu.launch import Kernel
from aihwkit_dspt.reads.one_hot import LineLaw

CELLS = 1024
"""Cells of one program; a power of two."""


def _grid(values: Tensor) -> Tuple[int, int]:
    return len(values), -(-values.shape[1] // CELLS)


@Kernel
def _read_kernel(
    array,
    output,
    seed,
    first,
    size,
    line_stride,
    cell_stride,
    gain,
    noise,
    bound,
    factor,
    IS_NOISY: tl.constexpr,
    ROUNDS: tl.constexpr,
    CELLS: tl.constexpr,
):
    index = tl.program_id(0)
    cells = tl.program_id(1) * CELLS + tl.arange(0, CELLS)
    inside = cells < size
    there = (first + index) * line_stride + cells * cell_stride
    value = tl.load(array + there, mask=inside) * gain
    if IS_NOISY:
        value += tl.randn(seed, index * size + cells) * noise
    if ROUNDS:
        value = rint(value)
    tl.store(output + index * size + cells, clip(value, bound) * factor, mask=inside)


def read_lines(array: Tensor, first: int, output: Tensor, law: LineLaw) -> None:
    """Read ``[in_size, out_size]`` weights, from the first line on, into ``[n, out_size]`` output.

    See :class:`~aihwkit_dspt.reads.one_hot.LineLaw`.
    """
    is_noisy = law.noise > 0.0
    _read_kernel(
        _grid(output),
        *(array, output, new_seed() if is_noisy else 0, first, output.shape[1], *array.stride()),
        *(law.gain, law.noise, law.bound, law.factor),
        IS_NOISY=is_noisy,
        ROUNDS=law.rounds,
        CELLS=CELLS,
    )


@Kernel
def _transfer_kernel(
    read,
    hidden,
    sp_estimate,
    n_reads,
    reads,
    reference,
    in_sign,
    out_sign,
    steps,
    count,
    taken,
    number,
    first,
    size,
    scale,
    max_steps,
    momentum,
    written_share,
    capacity,
    old_share,
    new_share,
    FORGETS: tl.constexpr,
    RESTARTS: tl.constexpr,
    CAPPED: tl.constexpr,
    ESTIMATES: tl.constexpr,
    AVERAGES: tl.constexpr,
    COUNTS: tl.constexpr,
    CELLS: tl.constexpr,
):
    index = tl.program_id(0)
    line = first + index
    cells = tl.program_id(1) * CELLS + tl.arange(0, CELLS)
    inside = cells < size
    here, there = index * size + cells, line * size + cells
    value = tl.load(read + here, mask=inside)
    signs = tl.load(in_sign + line) * tl.load(out_sign + cells, mask=inside)
    change = (value - tl.load(reference + there, mask=inside)) * (signs * scale)
    held = change
    if not RESTARTS:
        held = tl.load(hidden + there, mask=inside) + change
    whole = tl.where(held < 0.0, tl.ceil(held), tl.floor(held))
    limited = clip(whole, max_steps)
    if FORGETS:
        left = held * momentum
    else:
        left = held - limited * written_share
        if CAPPED:
            left = clip(left, capacity)
    tl.store(hidden + there, tl.where(limited != 0.0, left, held), mask=inside)
    tl.store(steps + here, limited, mask=inside)
    if COUNTS:
        tl.atomic_add(count, tl.sum(tl.where(inside, tl.abs(limited), 0.0).to(tl.float64)))
    if ESTIMATES:
        estimate = tl.load(sp_estimate + there, mask=inside)
        if AVERAGES:
            # Not from n_reads, which the first program of the line may have changed.
            gain = tl.maximum(1.0 / tl.load(reads + index), new_share)
            estimate += gain * (value - estimate)
        else:
            estimate = estimate * old_share + value * new_share
        tl.store(sp_estimate + there, estimate, mask=inside)
    if tl.program_id(1) == 0:
        if ESTIMATES and AVERAGES:
            tl.store(n_reads + line, tl.load(reads + index))
        if index == 0:
            tl.store(taken, number)


def transfer_lines(
    first: int,
    read: Tensor,
    hidden: Tensor,
    sp_estimate: Tensor,
    n_reads: Tensor,
    reference: Tensor,
    in_sign: Tensor,
    out_sign: Tensor,
    steps: Tensor,
    count: Optional[Tensor],
    taken: Tensor,
    number: int,
    scale: float,
    max_steps: float,
    momentum: float,
    capacity: float,
    forgets: bool,
    restarts: bool,
    eta: float,
    estimates: bool,
    averages: bool,
) -> None:
    """Do BUFFER and ESTIMATE; see :func:`~aihwkit_dspt.fused.line_kernels_cpu.transfer_lines`.

    The only other arguments are ``count``, a number in double precision to which the pulses are
    added, if there is one, and ``taken``, where the integer ``number`` is stored with the rest.
    """
    _transfer_kernel(
        _grid(read),
        *(read, hidden, sp_estimate, n_reads),
        n_reads[first : first + len(read)] + 1.0 if averages else n_reads,
        *(reference, in_sign, out_sign, steps),
        *(steps if count is None else count, taken, number, first, read.shape[1], scale),
        max_steps,
        *(momentum, 1.0 - momentum, capacity, 1.0 - eta, eta),
        FORGETS=forgets,
        RESTARTS=restarts,
        CAPPED=capacity > 0.0,
        ESTIMATES=estimates,
        AVERAGES=averages,
        COUNTS=count is not None,
        CELLS=CELLS,
    )


@Kernel
def _store_kernel(
    stored,
    slow,
    reference,
    in_sign,
    out_sign,
    first,
    size,
    line_stride,
    cell_stride,
    gamma,
    CELLS: tl.constexpr,
):
    line = first + tl.program_id(0)
    cells = tl.program_id(1) * CELLS + tl.arange(0, CELLS)
    inside = cells < size
    there = line * line_stride + cells * cell_stride
    held = tl.load(reference + line * size + cells, mask=inside)
    signs = tl.load(in_sign + line) * tl.load(out_sign + cells, mask=inside)
    weight = tl.load(slow + there, mask=inside)
    tl.store(stored + there, weight - held * (signs * gamma), mask=inside)


def store_lines(
    stored: Tensor,
    slow: Tensor,
    reference: Tensor,
    in_sign: Tensor,
    out_sign: Tensor,
    lines: slice,
    gamma: float,
) -> None:
    r"""Write :math:`W - \gamma\, c \circ \tilde Q` of lines.

    All arrays are ``[in_size, out_size]``, ``stored`` with the memory layout of ``slow``, and the
    reference contiguous; the signs of the chopper are ``[in_size]`` and ``[out_size]``.
    """
    _store_kernel(
        (lines.stop - lines.start, _grid(slow)[1]),
        *(stored, slow, reference, in_sign, out_sign, lines.start, slow.shape[1]),
        *(*slow.stride(), gamma),
        CELLS=CELLS,
    )
