"""What a fused pass of BUFFER and ESTIMATE is."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, Optional, Tuple

import torch
from torch import Tensor

from aihwkit_dspt.fused.form import FusedForm
from aihwkit_dspt.stages.buffer import TransferBuffer
from aihwkit_dspt.stages.chopper import Chopper
from aihwkit_dspt.stages.counters import OperationCounters
from aihwkit_dspt.stages.estimators import LowPassFilter, RunningMean
from aihwkit_dspt.stages.event import TransferEvent

if TYPE_CHECKING:
    from aihwkit_dspt.stages.transfer import TransferStages


class FusedTransfer(FusedForm, ABC):
    """One pass that does what :meth:`TransferStages.take_by_stages` does.

    Args:
        stages: the stages, of exactly the types of :attr:`STAGES`.
    """

    STAGES: Tuple[Tuple[type, type, type], ...]
    """Types of chopper, buffer and estimator that the pass knows."""

    DATA_TYPES: Tuple[torch.dtype, ...]
    """Data types that it knows."""

    def __init__(self, stages: TransferStages) -> None:
        self.stages = stages
        buffer = stages.buffer
        self.averages = isinstance(stages.estimator, RunningMean)
        # Of one type each: Numba compiles once more for integers.
        self.options: Tuple[float, ...] = (
            float(buffer.max_steps),
            float(buffer.momentum),
            float(buffer.capacity),
            bool(buffer.forget_buffer),
            bool(buffer.no_buffer),
            float(stages.estimator.eta),
            bool(stages.tracks),
            self.averages,
        )

    @abstractmethod
    def take(
        self, event: TransferEvent, read: Tensor, counters: Optional[OperationCounters]
    ) -> None:
        """Take a read; see :meth:`TransferStages.take`."""

    def was_taken(self, event: TransferEvent) -> bool:
        """Return whether the read of an event was taken, of which nothing was noted."""
        return False

    def tensors(self) -> Tuple[Any, ...]:
        """Return buffer, estimate, its numbers of reads if it has them, reference and signs."""
        # Not by attribute: torch looks for a buffer last.
        stages = self.stages
        signs = stages.chopper._buffers
        estimates = stages.estimator._buffers
        return (
            stages.buffer._buffers["hidden"],
            estimates["sp_estimate"],
            # Not used by the filter.
            estimates["n_reads"] if self.averages else signs["in_sign"],
            stages.reference._buffers["values"],
            signs["in_sign"],
            signs["out_sign"],
        )


USUAL = ((Chopper, TransferBuffer, LowPassFilter), (Chopper, TransferBuffer, RunningMean))
"""The stages of the paper's methods, with either estimator."""
