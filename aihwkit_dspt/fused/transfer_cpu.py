"""BUFFER and ESTIMATE of lines in one compiled pass over their cells, on the CPU."""

from __future__ import annotations

from functools import partial
from operator import is_
from typing import TYPE_CHECKING, Optional, Tuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from aihwkit_dspt.fused.compiled import compiled
from aihwkit_dspt.fused.transfer import USUAL, FusedTransfer
from aihwkit_dspt.stages.event import Stage, TransferEvent
from aihwkit_dspt.stages.uninterrupted import in_one_go
from aihwkit_dspt.tiles.counters import OperationCounters

if TYPE_CHECKING:
    from aihwkit_dspt.stages.transfer import TransferStages

Values = NDArray[np.floating]


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


class CpuTransfer(FusedTransfer):
    """The compiled pass: on the few hundred cells of a line, torch is mostly overhead."""

    NAME = "numba-transfer"
    DEVICE = "cpu"
    STAGES = USUAL
    DATA_TYPES = (torch.float32, torch.float64)

    def __init__(self, stages: TransferStages) -> None:
        super().__init__(stages)
        self._tensors: Tuple[Optional[Tensor], ...] = (None,) * 6
        self._arrays: Tuple[Values, ...] = ()

    def take(
        self, event: TransferEvent, read: Tensor, counters: Optional[OperationCounters]
    ) -> None:
        """Take a read."""
        values = read.numpy()
        steps = np.empty_like(values)
        event.steps = steps
        arguments = event.lines.start, values, *self._shared_arrays(), steps, float(event.beta)
        take = partial(transfer_lines, *arguments, *self.options)
        event.n_pulses = in_one_go(take, event.note(Stage.TAKEN))[0]

    def _shared_arrays(self) -> Tuple[Values, ...]:
        """Return the tensors of the stages as arrays that share their memory."""
        tensors = self.tensors()
        if not all(map(is_, tensors, self._tensors)):
            # The key comes last: an interrupt in between leaves the arrays to be made again.
            self._arrays = tuple(values.numpy() for values in tensors)
            self._tensors = tensors
        return self._arrays
