"""What a transfer event does to the cells of lines: read, BUFFER and ESTIMATE.

All in one file: Numba does not notice that a function in another file has changed.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from aihwkit_dspt.fused.compiled import compiled

Values = NDArray[np.floating]


@compiled
def read_lines(
    matrix: Values,
    first: int,
    output: Values,
    gain: float,
    noise: float,
    rounds: float,
    bound: float,
    factor: float,
) -> None:
    """Read rows of ``[in_size, out_size]`` weights, from the first one on, into the output.

    Where there is noise, the ``[n_lines, out_size]`` output holds normal numbers before. The other
    numbers are those of :class:`~aihwkit_dspt.reads.one_hot.LineLaw`.
    """
    scale, spread = np.float32(gain), np.float32(noise)
    limit, unit = np.float32(bound), np.float32(factor)
    for index in range(output.shape[0]):
        line = first + index
        for cell in range(output.shape[1]):
            value = matrix[line, cell] * scale
            if spread > 0.0:
                value += spread * output[index, cell]
            if rounds > 0.0:
                value = np.rint(value)
            if value > limit:
                value = limit
            elif value < -limit:
                value = -limit
            output[index, cell] = value * unit


@compiled
def estimate_line(
    read: Values, sp_estimate: Values, n_reads: Values, line: int, eta: float, averages: bool
) -> None:
    """Take the ``[out_size]`` read of a line into the estimate, see :func:`transfer_lines`."""
    number = sp_estimate.dtype.type
    old_share, new_share = number(1.0 - eta), number(eta)
    if averages:
        n_reads[line] += number(1.0)
        gain = max(number(1.0) / n_reads[line], new_share)
        for cell in range(read.shape[0]):
            sp_estimate[line, cell] += gain * (read[cell] - sp_estimate[line, cell])
    else:
        for cell in range(read.shape[0]):
            filtered = sp_estimate[line, cell] * old_share
            sp_estimate[line, cell] = filtered + read[cell] * new_share


@compiled
def transfer_lines(
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
    max_steps: float,
    momentum: float,
    capacity: float,
    forgets: bool,
    restarts: bool,
    eta: float,
    estimates: bool,
    averages: bool,
) -> float:
    r"""Do for lines of a read what the stages of the same names do one after the other.

    .. math:: H \leftarrow H + \beta\, c \circ (P - \tilde Q), \qquad
              n = \mathrm{clip}(\mathrm{trunc}(H), \pm n_{max}), \qquad
              Q \leftarrow f(Q, P)

    with the same roundings as :class:`~aihwkit_dspt.stages.buffer.TransferBuffer`, which says what
    is left of H, and as the estimator :class:`~aihwkit_dspt.stages.estimators.LowPassFilter` or
    :class:`~aihwkit_dspt.stages.estimators.RunningMean`.

    Args:
        first: number of the first line.
        read: ``[n_lines, out_size]`` read P.
        hidden: ``[in_size, out_size]`` buffer H, in pulses.
        sp_estimate: ``[in_size, out_size]`` estimate Q.
        n_reads: ``[in_size]`` reads of lines so far, of the running mean.
        reference: ``[in_size, out_size]`` reference.
        in_sign: ``[in_size]`` chopper signs of lines.
        out_sign: ``[out_size]`` chopper signs along a line.
        steps: ``[n_lines, out_size]``, written: the pulse numbers n.
        scale: :math:`\beta`, in pulses per weight unit.
        max_steps: :math:`n_{max}`.
        momentum: see the buffer.
        capacity: largest H after a transfer, 0 for no limit.
        forgets: whether pulses beyond ``max_steps`` are forgotten.
        restarts: whether the buffer starts from zero.
        eta: :math:`\eta`.
        estimates: whether the read goes into Q.
        averages: whether Q is the running mean, else the filter's.

    Returns:
        the number of pulses, :math:`\sum |n|`.
    """
    number = hidden.dtype.type
    n_pulses = 0.0
    most, kept, written_share = number(max_steps), number(momentum), number(1.0 - momentum)
    cap = number(capacity)
    for index in range(read.shape[0]):
        line = first + index
        factor = in_sign[line] * number(scale)
        for cell in range(read.shape[1]):
            value = read[index, cell]
            held = number(0.0) if restarts else hidden[line, cell]
            held += (value - reference[line, cell]) * (factor * out_sign[cell])
            whole = np.trunc(held)
            if whole != 0.0:
                # Comparisons, which keep values that are not numbers.
                if whole > most:
                    whole = most
                elif whole < -most:
                    whole = -most
                n_pulses += abs(whole)
                if forgets:
                    held *= kept
                else:
                    held -= written_share * whole
                    if cap > 0.0 and held > cap:
                        held = cap
                    elif cap > 0.0 and held < -cap:
                        held = -cap
            hidden[line, cell] = held
            steps[index, cell] = whole
        if estimates:
            estimate_line(read[index], sp_estimate, n_reads, line, eta, averages)
    return n_pulses


@compiled
def read_and_transfer(
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
) -> float:
    r"""Do :func:`read_lines` and :func:`transfer_lines` of lines in one call.

    Args:
        matrix: ``[in_size, out_size]`` weights.
        first: number of the first line.
        read: ``[n_lines, out_size]`` normal numbers where there is noise; written: the reads.
        hidden: see :func:`transfer_lines`, as for all that follows.
        sp_estimate: Q.
        n_reads: reads of lines so far.
        reference: the reference.
        in_sign: chopper signs of lines.
        out_sign: chopper signs along a line.
        steps: ``[n_lines, out_size]``, written: the pulse numbers.
        scale: :math:`\beta`.
        law: the numbers of :class:`~aihwkit_dspt.reads.one_hot.LineLaw`, in order.
        options: what :func:`transfer_lines` takes after ``scale``, in order.

    Returns:
        the number of pulses.
    """
    read_lines(matrix, first, read, law[0], law[1], law[2], law[3], law[4])
    return transfer_lines(
        first, read, hidden, sp_estimate, n_reads, reference, in_sign, out_sign, steps,
        scale, options[0], options[1], options[2], options[3] > 0.0, options[4] > 0.0,
        options[5], options[6] > 0.0, options[7] > 0.0,
    )  # fmt: skip


@compiled
def store_lines(
    stored: Values,
    slow: Values,
    reference: Values,
    signs: Values,
    first: int,
    last: int,
    gamma: float,
) -> None:
    r"""Write :math:`W - \gamma\, c \circ \tilde Q` of lines.

    Args:
        stored: ``[in_size, out_size]``, written.
        slow: ``[in_size, out_size]`` slow weights.
        reference: ``[in_size, out_size]`` reference.
        signs: ``[in_size]`` signs of the lines.
        first: number of the first line.
        last: number after the last line.
        gamma: :math:`\gamma`.
    """
    factors = signs[first:last] * stored.dtype.type(gamma)
    if stored.strides[0] > stored.strides[1]:
        for line in range(first, last):
            for cell in range(stored.shape[1]):
                part = reference[line, cell] * factors[line - first]
                stored[line, cell] = slow[line, cell] - part
        return
    # Lines are columns: in the order of the memory of the arrays.
    for cell in range(stored.shape[1]):
        for line in range(first, last):
            part = reference[line, cell] * factors[line - first]
            stored[line, cell] = slow[line, cell] - part


@compiled
def mix(
    stored: Values, fast: Values, signs: Values, columns: bool, gamma: float, output: Values
) -> None:
    r"""Write :math:`\mathrm{stored} + \gamma\, c \circ P`, with the roundings of torch.

    Args:
        stored: ``[d_size, x_size]`` the part without :math:`P`.
        fast: ``[d_size, x_size]`` :math:`P`.
        signs: ``[x_size]`` signs of columns, or ``[d_size]`` of rows.
        columns: whether they are of columns.
        gamma: :math:`\gamma`.
        output: ``[d_size, x_size]``, written.
    """
    factors = signs * stored.dtype.type(gamma)
    for row in range(stored.shape[0]):
        kept, values, mixed = stored[row], fast[row], output[row]
        if columns:
            for cell in range(kept.shape[0]):
                mixed[cell] = kept[cell] + values[cell] * factors[cell]
        else:
            for cell in range(kept.shape[0]):
                mixed[cell] = kept[cell] + values[cell] * factors[row]
