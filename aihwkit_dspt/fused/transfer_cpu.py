"""BUFFER and ESTIMATE of lines in one compiled pass over their cells, on the CPU."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Optional, Tuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from aihwkit_dspt import fused
from aihwkit_dspt.fused.shared import SharedArrays
from aihwkit_dspt.fused.transfer import USUAL, FusedTransfer
from aihwkit_dspt.stages.counters import OperationCounters
from aihwkit_dspt.stages.event import Stage, TransferEvent
from aihwkit_dspt.stages.uninterrupted import in_one_go

if TYPE_CHECKING:
    from aihwkit_dspt.stages.transfer import TransferStages

Values = NDArray[np.floating]


class CpuTransfer(FusedTransfer):
    """The compiled pass: on the few hundred cells of a line, torch is mostly overhead."""

    NAME = "numba-transfer"
    DEVICE = "cpu"
    STAGES = USUAL
    DATA_TYPES = (torch.float32, torch.float64)

    def __init__(self, stages: TransferStages) -> None:
        super().__init__(stages)
        self._shared = SharedArrays()

    def take(
        self, event: TransferEvent, read: Tensor, counters: Optional[OperationCounters]
    ) -> None:
        """Take a read."""
        values = read.numpy()
        steps = np.empty_like(values)
        event.values = steps
        arguments = event.lines.start, values, *self.shared_arrays(), steps, float(event.beta)
        take = partial(fused.line_kernels_cpu.transfer_lines, *arguments, *self.options)
        event.n_pulses = in_one_go(take, event.note(Stage.TAKEN))[0]

    def shared_arrays(self) -> Tuple[Values, ...]:
        """Return the tensors of the stages as arrays that share their memory."""
        return self._shared(*self.tensors())
