"""All that follows the gradient pulses of a batch, in one call on the CPU."""

from __future__ import annotations

import numpy as np
from numba import carray
from numpy.lib.stride_tricks import as_strided
from numpy.typing import NDArray

from aihwkit_dspt.fused.addresses import single_at
from aihwkit_dspt.fused.compiled import compiled
from aihwkit_dspt.fused.line_kernels_cpu import mix, read_and_transfer


@compiled
def take_and_mix(places: NDArray[np.int64], numbers: NDArray[np.float64]) -> float:
    r"""Read lines, take the reads, and write the mixed weight unless more is to follow.

    All arguments are in two arrays: for a dozen arrays, to take them over from Python takes longer
    than what is done to the cells of a line. The arrays are dense, of single precision, and their
    owner sees to it that they live.

    Args:
        places: ``(d_size, x_size, transfer_columns, mixes, first, n_lines)``: the shape of the fast
            array, whether lines are columns, whether there is a mixed weight, number of the first
            line and of lines; then the addresses of the fast array, of the stored and of the mixed
            weight (see :func:`~aihwkit_dspt.fused.line_kernels_cpu.mix`), of the ``[n_lines,
            out_size]`` reads, which hold normal numbers where there is noise, and pulse numbers;
            and of what :func:`~aihwkit_dspt.fused.line_kernels_cpu.read_and_transfer` takes from
            the buffer to ``out_sign``.
        numbers: :math:`\beta`, :math:`\gamma`, most pulses with which the mixed weight is written,
            the five of the read, and the eight of BUFFER and ESTIMATE.

    Returns:
        the number of pulses.
    """
    d_size, x_size, columns, first, n_lines = places[0], places[1], places[2], places[4], places[5]
    in_size, out_size = (x_size, d_size) if columns else (d_size, x_size)
    fast = carray(single_at(places[6]), (d_size, x_size))
    read = carray(single_at(places[9]), (n_lines, out_size))
    steps = carray(single_at(places[10]), (n_lines, out_size))
    hidden = carray(single_at(places[11]), (in_size, out_size))
    sp_estimate = carray(single_at(places[12]), (in_size, out_size))
    n_reads = carray(single_at(places[13]), (in_size,))
    reference = carray(single_at(places[14]), (in_size, out_size))
    in_sign, out_sign = (
        carray(single_at(places[15]), (in_size,)),
        carray(single_at(places[16]), (out_size,)),
    )
    # Of one type for lines of either kind.
    strides = fast.strides[::-1] if columns else fast.strides
    n_pulses = read_and_transfer(
        as_strided(fast, (in_size, out_size), strides), first, read, hidden, sp_estimate, n_reads,
        reference, in_sign, out_sign, steps, numbers[0], numbers[3:8], numbers[8:16],
    )  # fmt: skip
    if places[3] and n_pulses <= numbers[2]:
        stored = carray(single_at(places[7]), (d_size, x_size))
        output = carray(single_at(places[8]), (d_size, x_size))
        mix(stored, fast, in_sign, columns > 0, numbers[1], output)
    return n_pulses
