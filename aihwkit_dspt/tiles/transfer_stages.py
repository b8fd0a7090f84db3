"""The stages through which a read of the fast array goes."""

from __future__ import annotations

from functools import partial
from operator import is_
from typing import Any, Callable, Optional, Tuple

import numpy as np
import torch
from torch import Tensor

from aihwkit_dspt.tiles.buffer import TransferBuffer
from aihwkit_dspt.tiles.chopper import Chopper
from aihwkit_dspt.tiles.counters import OperationCounters
from aihwkit_dspt.tiles.estimator import SymmetricPointEstimator
from aihwkit_dspt.tiles.event import Stage, TransferEvent
from aihwkit_dspt.tiles.gpu.support import gpu_kernels
from aihwkit_dspt.tiles.line_kernel import transfer_lines
from aihwkit_dspt.tiles.uninterrupted import in_one_go

COMPILED = (torch.float32, torch.float64)
"""Data types for which there is a compiled pass."""


class TransferStages:
    r"""BUFFER and ESTIMATE: what a read of lines does to :math:`H` and :math:`Q`.

    .. math:: H \leftarrow H + \beta\, c \circ (P - \tilde Q), \qquad
              Q \leftarrow (1 - \eta)\, Q + \eta\, P

    In one compiled pass (on a GPU one kernel), stage by stage for data types that have none. A line
    has some hundred values: most of the time of a single operation is the way to it.
    Source: paper eqs. (18b) and (12).

    Args:
        chopper: the signs :math:`c`.
        buffer: holds :math:`H`.
        estimator: holds :math:`Q` and the reference :math:`\tilde Q`.
        tracks: whether reads go into :math:`Q`.
    """

    def __init__(
        self,
        chopper: Chopper,
        buffer: TransferBuffer,
        estimator: SymmetricPointEstimator,
        tracks: bool,
    ) -> None:
        self.chopper = chopper
        self.buffer = buffer
        self.estimator = estimator
        self.tracks = tracks
        # Of one type each: Numba compiles once more for integers.
        self._options: Tuple[Any, ...] = (
            float(buffer.max_steps),
            float(buffer.momentum),
            float(buffer.capacity),
            bool(buffer.forget_buffer),
            bool(buffer.no_buffer),
            float(estimator.eta),
            tracks,
        )
        self._taken: Optional[Tensor] = None
        self._tensors: Tuple[Optional[Tensor], ...] = (None,) * 5
        self._arrays: Tuple[Any, ...] = ()

    def take(
        self, event: TransferEvent, read: Tensor, counters: Optional[OperationCounters]
    ) -> None:
        """Take a read, and note in the event the pulses for the slow array.

        Args:
            event: the event, whose lines were read.
            read: ``[n_lines, out_size]`` read :math:`P`, in weight units.
            counters: where the pulses are counted on a GPU, ``None`` if they will not be sent.
        """
        take: Callable[..., None] = self._by_stages
        if read.is_cuda:
            if read.dtype is torch.float32 and gpu_kernels() is not None:
                take = self._on_gpu
        elif read.dtype in COMPILED:
            take = self._compiled
        take(event, read, counters)
        if self.tracks:
            self.estimator.updated(event.lines, read)

    def was_taken(self, event: TransferEvent) -> bool:
        """Return whether a kernel took the read of an event, of which nothing was noted."""
        return self._taken is not None and int(self._taken.item()) == event.number

    def _on_gpu(
        self, event: TransferEvent, read: Tensor, counters: Optional[OperationCounters]
    ) -> None:
        count = None if counters is None else counters.slow_pulses
        if self._taken is None or self._taken.device != read.device:
            self._taken = torch.full((), -1, dtype=torch.int32, device=read.device)
        event.steps, event.n_pulses = torch.empty_like(read), 0.0  # the kernel counts
        noted = event.steps, count, self._taken, event.number
        arguments = event.lines.start, read, *self._stage_tensors(), *noted, float(event.beta)
        gpu_kernels().transfer_lines(*arguments, *self._options)
        event.stage = Stage.TAKEN

    def _by_stages(
        self, event: TransferEvent, read: Tensor, counters: Optional[OperationCounters]
    ) -> None:
        lines = event.lines
        held = self.buffer.hidden[lines], self.estimator.sp_estimate[lines]
        if event.before is not None:  # an interrupt came in between
            for values, before in zip(held, event.before):
                values.copy_(before)
        event.before = [values.clone() for values in held]
        residual = read - self.estimator.reference[lines]
        increment = self.chopper.demodulate(lines, residual, event.beta)
        event.steps = self.buffer.accumulate(lines, increment)
        if self.tracks:
            self.estimator.update(lines, read)
        event.stage = Stage.TAKEN

    def _compiled(
        self, event: TransferEvent, read: Tensor, counters: Optional[OperationCounters]
    ) -> None:
        values = read.numpy()
        steps = np.empty_like(values)
        event.steps = torch.from_numpy(steps)
        arguments = event.lines.start, values, *self._shared_arrays(), steps, float(event.beta)
        take = partial(transfer_lines, *arguments, *self._options)
        event.n_pulses = in_one_go(take, event.note(Stage.TAKEN))[0]

    def _stage_tensors(self) -> Tuple[Any, ...]:
        # Not by attribute: torch looks for a buffer last.
        buffer, estimator = self.buffer._buffers, self.estimator._buffers
        signs = self.chopper._buffers
        return (
            buffer["hidden"],
            estimator["sp_estimate"],
            estimator["reference"],
            signs["in_sign"],
            signs["out_sign"],
        )

    def _shared_arrays(self) -> Tuple[Any, ...]:
        """Return the tensors of the stages as arrays that share their memory."""
        tensors = self._stage_tensors()
        if not all(map(is_, tensors, self._tensors)):
            self._tensors = tensors
            self._arrays = tuple(values.numpy() for values in tensors if values is not None)
        return self._arrays
