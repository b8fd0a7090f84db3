"""BUFFER and ESTIMATE of lines in one kernel, on a GPU."""

from __future__ import annotations

from typing import TYPE_CHECKING, Optional

import torch
from torch import Tensor

from aihwkit_dspt.fused.gpu.support import gpu_kernels
from aihwkit_dspt.fused.transfer import USUAL, FusedTransfer
from aihwkit_dspt.stages.counters import OperationCounters
from aihwkit_dspt.stages.event import Stage, TransferEvent

if TYPE_CHECKING:
    from aihwkit_dspt.stages.transfer import TransferStages


class GpuTransfer(FusedTransfer):
    """The Triton kernel, which also counts the pulses and notes the event: nothing waits for it."""

    NAME = "triton-transfer"
    DEVICE = "cuda"
    STAGES = USUAL
    DATA_TYPES = (torch.float32,)

    def __init__(self, stages: TransferStages) -> None:
        super().__init__(stages)
        self._taken: Optional[Tensor] = None

    def was_taken(self, event: TransferEvent) -> bool:
        """Return whether the kernel took the read of an event."""
        return self._taken is not None and int(self._taken.item()) == event.number

    def take(
        self, event: TransferEvent, read: Tensor, counters: Optional[OperationCounters]
    ) -> None:
        """Take a read."""
        count = None if counters is None else counters.slow_pulses
        if self._taken is None or self._taken.device != read.device:
            self._taken = torch.full((), -1, dtype=torch.int32, device=read.device)
        steps = torch.empty_like(read)
        event.values, event.n_pulses = steps, 0.0  # the kernel counts
        noted = steps, count, self._taken, event.number
        arguments = event.lines.start, read, *self.tensors(), *noted, float(event.beta)
        gpu_kernels().lines.transfer_lines(*arguments, *self.options)
        event.stage = Stage.TAKEN
