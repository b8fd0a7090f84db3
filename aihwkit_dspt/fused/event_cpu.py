"""Read, BUFFER and ESTIMATE of one line in one compiled call, on the CPU."""

from __future__ import annotations

from functools import partial

import numpy as np
import torch
from torch import Tensor

from aihwkit_dspt import fused
from aihwkit_dspt.fused.form import FusedForm
from aihwkit_dspt.fused.line_cpu import NumbaLine
from aihwkit_dspt.fused.noise_cpu import draw_noise
from aihwkit_dspt.fused.transfer_cpu import CpuTransfer
from aihwkit_dspt.stages.event import Stage, TransferEvent
from aihwkit_dspt.stages.uninterrupted import in_one_go


class CpuEvent(FusedForm):
    """Both compiled passes of an event at once: on one line, calls are most of the time.

    It equals the read by one and the other after it bit by bit.

    Args:
        line: the read.
        transfer: BUFFER and ESTIMATE.
    """

    NAME = "numba-event"
    DEVICE = "cpu"
    PARTS = NumbaLine, CpuTransfer
    """Types of the passes that it joins."""

    def __init__(self, line: NumbaLine, transfer: CpuTransfer) -> None:
        self.line = line
        self.transfer = transfer
        out_size = transfer.stages.buffer.hidden.shape[1]
        # Of one event, which ends before another begins; nobody else sees them.
        self._read = torch.zeros(1, out_size, dtype=torch.float32, device="cpu")
        self._steps = np.zeros((1, out_size), np.float32)
        self._values = self._read.numpy()
        self._law = np.array(line.law, np.float64)
        self._options = np.array(transfer.options, np.float64)

    def take(self, matrix: Tensor, event: TransferEvent) -> None:
        """Read the line of an event in ``[in_size, out_size]`` weights and take the read."""
        if self.line.is_noisy:
            draw_noise(self._read)
        event.values = self._steps
        weights, values = self.line.array(matrix), self._values
        hidden, estimate, n_reads, reference, in_sign, out_sign = self.transfer.shared_arrays()
        numbers = float(event.beta), self._law, self._options
        estimates = hidden, estimate, n_reads, reference, in_sign, out_sign
        arguments = weights, event.lines.start, values, *estimates, self._steps, *numbers
        take = partial(fused.line_kernels_cpu.read_and_transfer, *arguments)
        event.n_pulses = in_one_go(take, event.note(Stage.TAKEN))[0]
