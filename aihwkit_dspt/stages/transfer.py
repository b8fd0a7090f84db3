"""BUFFER and ESTIMATE: the stages through which a read of the fast array goes."""

from __future__ import annotations

from typing import Dict, List, Optional

import torch
from torch import Tensor
from torch.nn import Module

from aihwkit_dspt.fused.table import fused_transfer
from aihwkit_dspt.fused.transfer import FusedTransfer
from aihwkit_dspt.stages.buffer import TransferBuffer
from aihwkit_dspt.stages.chopper import Chopper
from aihwkit_dspt.stages.counters import OperationCounters
from aihwkit_dspt.stages.estimator import SymmetricPointEstimator
from aihwkit_dspt.stages.event import Stage, TransferEvent
from aihwkit_dspt.stages.own import require_estimate, require_pulses
from aihwkit_dspt.stages.reference import Reference


class TransferStages:
    r"""What a read of lines does to the buffer :math:`H` and the estimate :math:`Q`.

    .. math:: H \leftarrow H + \beta\, c \circ (P - \tilde Q), \qquad Q \leftarrow f(Q, P)

    Stage by stage, or in one fused pass where there is one for exactly these stages (a subclass
    of somebody's own has none and is called).
    Source: paper eqs. (18b) and (12).

    Args:
        chopper: the signs :math:`c`.
        buffer: holds :math:`H`.
        estimator: holds :math:`Q`.
        reference: holds :math:`\tilde Q`.
        tracks: whether reads go into :math:`Q`.
        fuses: whether fused passes are used.
    """

    def __init__(
        self,
        chopper: Chopper,
        buffer: TransferBuffer,
        estimator: SymmetricPointEstimator,
        reference: Reference,
        tracks: bool,
        fuses: bool = True,
    ) -> None:
        self.chopper = chopper
        self.buffer = buffer
        self.estimator = estimator
        self.reference = reference
        self.tracks = tracks
        self.fuses = fuses
        self._fused: Dict[torch.device, Optional[FusedTransfer]] = {}

    def take(
        self, event: TransferEvent, read: Tensor, counters: Optional[OperationCounters]
    ) -> None:
        """Take a read, and note in the event the pulses for the slow array.

        Args:
            event: the event, whose lines were read.
            read: ``[n_lines, out_size]`` read :math:`P`, in weight units.
            counters: where the pulses are counted on a GPU, ``None`` if they will not be sent.
        """
        fused = self.fused(read.device)
        if fused is None:
            self.take_by_stages(event, read)
        else:
            fused.take(event, read, counters)

    def fused(self, device: torch.device) -> Optional[FusedTransfer]:
        """Return the fused pass that a device takes, ``None`` for stage by stage."""
        if not self.fuses:
            return None
        if device not in self._fused:
            self._fused[device] = fused_transfer(self, device)
        return self._fused[device]

    def was_taken(self, event: TransferEvent) -> bool:
        """Return whether a fused pass took the read of an event, of which nothing was noted."""
        fused = self.fused(self.buffer.hidden.device)
        return fused is not None and fused.was_taken(event)

    def take_by_stages(self, event: TransferEvent, read: Tensor) -> None:
        """Take a read in plain torch: the definition of all fused passes."""
        lines = event.lines
        if event.before is not None:  # an interrupt came in between
            for values, before in zip(self._changing(lines), event.before):
                values.copy_(before)
        event.before = [values.clone() for values in self._changing(lines)]
        residual = read - self.reference.values[lines]
        increment = self.chopper.demodulate(lines, residual, event.beta)
        event.values = self.buffer.accumulate(lines, increment)
        require_pulses(self.buffer, event.values, increment)
        if self.tracks:
            self.estimator.update(lines, read)
            require_estimate(self.estimator, self.reference.values)
        event.stage = Stage.TAKEN

    def _changing(self, lines: slice) -> List[Tensor]:
        """Return views of what BUFFER and ESTIMATE may change of lines.

        A vector may belong to the cells along a line, of which there can be as many as lines.
        """
        stages: List[Module] = [self.buffer, self.estimator]
        n_lines = len(self.reference.values)
        return [
            values[lines] if values.dim() > 1 and len(values) == n_lines else values
            for stage in stages
            for values in stage.buffers()
        ]
