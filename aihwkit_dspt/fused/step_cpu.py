"""A whole update of a tile in two calls: gradient pulses, and all that follows them."""

from __future__ import annotations

from functools import partial
from math import inf
from operator import is_
from typing import TYPE_CHECKING, List, Optional, Tuple

import numpy as np
from torch import Tensor, empty, empty_like, float32

from aihwkit_dspt import fused
from aihwkit_dspt.fused.line_cpu import NumbaLine
from aihwkit_dspt.fused.mixer import MANY_CELLS, is_shared_out
from aihwkit_dspt.fused.noise_cpu import draw_noise
from aihwkit_dspt.fused.transfer_cpu import CpuTransfer
from aihwkit_dspt.fused.update import FusedUpdate
from aihwkit_dspt.stages.event import Stage, TransferEvent
from aihwkit_dspt.stages.uninterrupted import in_one_go

if TYPE_CHECKING:
    from aihwkit_dspt.tiles.pipeline import Pipeline

FIRST, N_LINES, FAST, READ, STAGES, N_PLACES = 4, 5, 6, 9, 11, 13
"""Where :func:`~aihwkit_dspt.fused.step_kernels_cpu.take_and_mix` looks for what."""


class CpuStep(FusedUpdate):
    """The update of a batch whose transfer event, if there is one, follows its last vector.

    Read, BUFFER, ESTIMATE and the mixed weight are one compiled call. It equals the stages one
    after the other bit by bit. Where the event sends pulses or flips signs the link goes on from
    there.

    Args:
        pipeline: the pipeline, of one link with a compiled read and compiled stages.
        line: the read.
        transfer: BUFFER and ESTIMATE.
    """

    NAME = "numba-step"
    DEVICE = "cpu"

    def __init__(self, pipeline: Pipeline, line: NumbaLine, transfer: CpuTransfer) -> None:
        self.line = line
        self.transfer = transfer
        mixer, weights = pipeline.mixer, pipeline.fast.weights
        self._mixed, gamma = (weights, weights), 0.0
        if mixer is not None:
            self._mixed = mixer.mixed.stored, mixer.mixed.output
            gamma = mixer.mixed.gamma
        self._is_large = weights.numel() >= MANY_CELLS
        self._out_size = transfer.stages.buffer.hidden.shape[1]
        # Of one line and one event, which ends before another begins; nobody else sees them.
        self._one = self._new_buffers(1)
        self._used: Optional[Tuple[Tensor, Tensor]] = None
        self._tensors: Tuple[Optional[Tensor], ...] = ()
        self._arrays: List[object] = []
        kinds = pipeline.config.transfer_columns, mixer is not None
        self._places = np.array([*weights.shape, *kinds, *[0] * N_PLACES], np.int64)
        self._numbers = np.array([0.0, gamma, 0.0, *line.law, *transfer.options], np.float64)

    @classmethod
    def of(cls, pipeline: Pipeline) -> Optional[CpuStep]:
        """Return the form for a pipeline, ``None`` if it has others than the usual stages."""
        link = pipeline.link
        array = link.source.weights
        if len(pipeline.links) > 1 or array.is_cuda or link.syncs_every_read:
            return None
        if link.chopper.has_output or not pipeline.pulses_at_once:
            return None
        line, transfer = link.line_reads.fused, link.transfer_stages.fused(array.device)
        if isinstance(line, NumbaLine) and isinstance(transfer, CpuTransfer):
            return cls(pipeline, line, transfer)
        return None

    def update(
        self, pipeline: Pipeline, x_vectors: Tensor, d_vectors: Tensor, m_batch: int
    ) -> bool:
        """Do the update, unless events are due within the batch or somebody listens.

        Large arrays are left to several threads, which mix them.
        """
        link, rate = pipeline.link, pipeline.learning_rate
        schedule = link.schedule
        n_due = schedule.due_at_end(m_batch)
        if not n_due or link.listeners or not link.rate.is_on(rate):
            return False
        fast = link.source.weights
        if (self._is_large and is_shared_out(fast)) or not self._finds(fast):
            return False
        calls = pipeline.gradient_calls(x_vectors, d_vectors, m_batch, (n_due,))
        source_lr = pipeline.fast_lr.current
        event = link.new_event(schedule.lines(n_due), rate, source_lr)
        most = -1.0  # the link does what is left
        if not link.of_sweep(event.sweep, rate, source_lr)[2]:
            most = 0.0 if event.writes else inf
        self._prepare(event, most)
        take = partial(fused.step_kernels_cpu.take_and_mix, self._places, self._numbers)
        journal = partial(setattr, link, "event", event)
        n_pulses = in_one_go(*calls, journal, take, event.note(Stage.TAKEN))[-2]
        event.n_pulses = n_pulses
        if n_pulses <= most:
            in_one_go(schedule.finish(), partial(setattr, link, "event", None))
        if schedule.n_due:
            pipeline.transfer(0)
            pipeline.mix()
        return True

    def _finds(self, fast: Tensor) -> bool:
        """Return whether the arrays are where the compiled call takes them to be.

        If one of them has been replaced since the last call, all are looked for anew.
        """
        tensors = fast, *self._mixed, *self.transfer.tensors()
        if len(self._tensors) == len(tensors) and all(map(is_, tensors, self._tensors)):
            return True
        if not all(each.is_contiguous() and each.dtype is float32 for each in tensors):
            return False
        # Their memory stays for as long as it may be written to.
        self._arrays = [each.numpy() for each in tensors]
        addresses = [each.data_ptr() for each in tensors]
        self._places[FAST:READ], self._places[STAGES:] = addresses[:3], addresses[3:]
        # The key comes last: an interrupt in between leaves the addresses to be found again.
        self._tensors = tensors
        return True

    def _prepare(self, event: TransferEvent, most: float) -> None:
        """Put what the compiled call takes of an event into its two arrays."""
        lines, places, numbers = event.lines, self._places, self._numbers
        n_lines = lines.stop - lines.start
        used = self._one if n_lines == 1 else self._new_buffers(n_lines)
        read, event.values = used
        if self._used is not used:
            self._used = None
            places[READ:STAGES] = [each.data_ptr() for each in used]
            self._used = used
        if self.line.is_noisy:
            draw_noise(read)
        places[FIRST], places[N_LINES] = lines.start, n_lines
        numbers[0], numbers[2] = event.beta, most

    def _new_buffers(self, n_lines: int) -> Tuple[Tensor, Tensor]:
        """Return room for ``[n_lines, out_size]`` reads, and for pulse numbers."""
        read = empty(n_lines, self._out_size, dtype=float32, device="cpu")
        return read, empty_like(read)
