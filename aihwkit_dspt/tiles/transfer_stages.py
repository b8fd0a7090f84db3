"""The stages through which a read of the fast array goes."""

from __future__ import annotations

from operator import is_
from typing import Any, Callable, Optional, Tuple

import numpy as np
import torch
from torch import Tensor

from aihwkit_dspt.tiles.buffer import TransferBuffer
from aihwkit_dspt.tiles.chopper import Chopper
from aihwkit_dspt.tiles.counters import OperationCounters
from aihwkit_dspt.tiles.estimator import SymmetricPointEstimator
from aihwkit_dspt.tiles.gpu.support import gpu_kernels
from aihwkit_dspt.tiles.line_kernel import transfer_lines

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
        self._tensors: Tuple[Optional[Tensor], ...] = (None,) * 5
        self._arrays: Tuple[Any, ...] = ()

    def take(
        self, lines: slice, read: Tensor, scale: float, counters: Optional[OperationCounters]
    ) -> Optional[Tensor]:
        r"""Take a read.

        Args:
            lines: the lines that were read.
            read: ``[n_lines, out_size]`` read :math:`P`, in weight units.
            scale: :math:`\beta`, in pulses per weight unit.
            counters: where the pulses are counted, ``None`` if they will not be sent.

        Returns:
            ``[n_lines, out_size]`` signed pulse numbers for the slow array, ``None`` if all are
            zero, as far as that can be told without waiting for a GPU.
        """
        take: Callable[..., Optional[Tensor]] = self._by_stages
        if read.is_cuda:
            if read.dtype is torch.float32 and gpu_kernels() is not None:
                take = self._on_gpu
        elif read.dtype in COMPILED:
            take = self._compiled
        steps = take(lines, read, scale, counters)
        if self.tracks:
            self.estimator.updated(lines, read)
        return steps

    def _on_gpu(
        self, lines: slice, read: Tensor, scale: float, counters: Optional[OperationCounters]
    ) -> Tensor:
        count = None if counters is None else counters.slow_pulses
        arguments = lines.start, read, *self._stage_tensors(), count, float(scale)
        steps: Tensor = gpu_kernels().transfer_lines(*arguments, *self._options)
        return steps

    def _by_stages(
        self, lines: slice, read: Tensor, scale: float, counters: Optional[OperationCounters]
    ) -> Tensor:
        residual = read - self.estimator.reference[lines]
        steps = self.buffer.accumulate(lines, self.chopper.demodulate(lines, residual, scale))
        if self.tracks:
            self.estimator.update(lines, read)
        if counters is not None:
            counters.slow_pulses += steps.abs().sum(dtype=torch.float64)
        return steps

    def _compiled(
        self, lines: slice, read: Tensor, scale: float, counters: Optional[OperationCounters]
    ) -> Optional[Tensor]:
        values = read.numpy()
        steps = np.empty_like(values)
        arguments = (lines.start, values, *self._shared_arrays(), steps, float(scale))
        n_pulses = transfer_lines(*arguments, *self._options)
        if counters is not None:
            counters.slow_pulses += n_pulses
        return torch.from_numpy(steps) if n_pulses else None

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
