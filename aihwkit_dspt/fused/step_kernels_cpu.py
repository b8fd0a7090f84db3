"""All that follows the gradient pulses of a batch, in one call on the CPU."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from aihwkit_dspt.fused.compiled import compiled
from aihwkit_dspt.fused.line_kernels_cpu import Values, mix, read_and_transfer


@compiled
def take_and_mix(
    matrix: Values,
    first: int,
    read: Values,
    hidden: Values,
    sp_estimate: Values,
    n_reads: Values,
    reference: Values,
    in_sign: Values,
    out_sign: Values,
    steps: Values,
    scale: float,
    law: NDArray[np.float64],
    options: NDArray[np.float64],
    stored: Values,
    fast: Values,
    output: Values,
    columns: bool,
    gamma: float,
    mixes: bool,
    most: float,
) -> float:
    r"""Read lines, take the reads, and write the mixed weight unless more is to follow.

    Args:
        matrix: ``[in_size, out_size]`` weights of the fast array.
        first: number of the first line.
        read: ``[n_lines, out_size]`` normal numbers where there is noise; written: the reads.
        hidden: see :func:`~aihwkit_dspt.fused.line_kernels_cpu.read_and_transfer`, as for all up to
            ``options``.
        sp_estimate: Q.
        n_reads: reads of lines so far.
        reference: the reference.
        in_sign: chopper signs of lines.
        out_sign: chopper signs along a line.
        steps: ``[n_lines, out_size]``, written: the pulse numbers.
        scale: :math:`\beta`.
        law: the read.
        options: BUFFER and ESTIMATE.
        stored: see :func:`~aihwkit_dspt.fused.line_kernels_cpu.mix`, as for all that follows.
        fast: ``[d_size, x_size]`` weights of the fast array.
        output: ``[d_size, x_size]``, written.
        columns: whether lines are columns.
        gamma: :math:`\gamma`.
        mixes: whether there is a mixed weight.
        most: most pulses with which it is written.

    Returns:
        the number of pulses.
    """
    n_pulses = read_and_transfer(
        matrix, first, read, hidden, sp_estimate, n_reads, reference, in_sign, out_sign, steps,
        scale, law, options,
    )  # fmt: skip
    if mixes and n_pulses <= most:
        mix(stored, fast, in_sign, columns, gamma, output)
    return n_pulses
