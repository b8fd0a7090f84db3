"""A whole update of a tile in two calls: gradient pulses, and all that follows them."""

from __future__ import annotations

from functools import partial
from math import inf
from typing import TYPE_CHECKING, Any, Optional, Tuple

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, empty, float32

from aihwkit_dspt import fused
from aihwkit_dspt.fused.form import FusedForm
from aihwkit_dspt.fused.line_cpu import NumbaLine
from aihwkit_dspt.fused.noise_cpu import draw_noise
from aihwkit_dspt.fused.shared import SharedArrays
from aihwkit_dspt.fused.transfer_cpu import CpuTransfer
from aihwkit_dspt.stages.event import Stage
from aihwkit_dspt.stages.mixer import is_shared_out
from aihwkit_dspt.stages.uninterrupted import in_one_go
from aihwkit_dspt.tiles.gradient_pulses import are_at_once, gradient_calls

if TYPE_CHECKING:
    from aihwkit_dspt.tiles.pipeline import Pipeline

Values = NDArray[np.float32]
Buffers = Tuple[Values, Values]


class CpuStep(FusedForm):
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
        self._law = np.array(line.law, np.float64)
        self._options = np.array(transfer.options, np.float64)
        # Of one line and one event, which ends before another begins; nobody else sees them.
        self._one = _new_buffers(1, transfer.stages.buffer.hidden.shape[1])
        mixer, weights = pipeline.mixer, pipeline.fast.weights
        self._mixed, gamma = (weights, weights), 0.0
        if mixer is not None:
            self._mixed = mixer.mixed.stored, mixer.mixed.output
            gamma = mixer.mixed.gamma
        self._mixing = pipeline.config.transfer_columns, float(gamma), mixer is not None
        self._arrays = SharedArrays()

    @classmethod
    def of(cls, pipeline: Pipeline) -> Optional[CpuStep]:
        """Return the form for a pipeline, ``None`` if it has others than the usual stages."""
        link = pipeline.link
        array = link.source.weights
        if len(pipeline.links) > 1 or array.is_cuda or link.syncs_every_read:
            return None
        if link.chopper.has_output or not are_at_once(pipeline):
            return None
        line, transfer = link.line_reads.fused, link.transfer_stages.fused(array.device)
        if isinstance(line, NumbaLine) and isinstance(transfer, CpuTransfer):
            return cls(pipeline, line, transfer)
        return None

    def update(
        self, pipeline: Pipeline, x_vectors: Tensor, d_vectors: Tensor, m_batch: int
    ) -> bool:
        """Do the update, unless events are due within the batch or somebody listens.

        Nor where several threads mix a large array.

        Args:
            pipeline: the pipeline.
            x_vectors: ``[m_batch, x_size]`` inputs.
            d_vectors: ``[m_batch, d_size]`` errors.
            m_batch: vectors of the batch.

        Returns:
            whether it was done.
        """
        link, rate = pipeline.link, pipeline.learning_rate
        schedule = link.schedule
        n_due = schedule.due_at_end(m_batch)
        if not n_due or link.listeners or not link.rate.is_on(rate):
            return False
        if is_shared_out(link.source.weights):
            return False
        calls = gradient_calls(pipeline, x_vectors, d_vectors, m_batch, (n_due,))
        event = link.new_event(schedule.lines(n_due), rate, pipeline.fast_lr.current)
        most = -1.0  # the link does what is left
        if not link.chopper.may_flip(event.sweep):
            most = 0.0 if event.writes else inf
        read, steps = self._buffers(event.lines)
        event.steps = steps
        weights = link.line_reads.matrix, link.source.weights, *self._mixed
        matrix, fast, stored, output, *stages = self._arrays(*weights, *self.transfer.tensors())
        arguments: Tuple[Any, ...] = (
            *(matrix, event.lines.start, read, *stages, steps, event.beta),
            *(self._law, self._options, stored, fast, output, *self._mixing, most),
        )
        take = partial(fused.step_kernels_cpu.take_and_mix, *arguments)
        journal = partial(setattr, link, "event", event)
        n_pulses = in_one_go(*calls, journal, take, event.note(Stage.TAKEN))[-2]
        event.n_pulses = n_pulses
        if n_pulses <= most:
            in_one_go(schedule.finish(), partial(setattr, link, "event", None))
        if schedule.n_due:
            pipeline.transfer(0)
            pipeline.mix()
        return True

    def _buffers(self, lines: slice) -> Buffers:
        """Return ``[n_lines, out_size]`` normal numbers if reads are noisy, and room for pulses."""
        n_lines = lines.stop - lines.start
        noise, read, steps = self._one
        if n_lines > 1:
            noise, read, steps = _new_buffers(n_lines, steps.shape[1])
        if self.line.is_noisy:
            draw_noise(noise)
        return read, steps


def _new_buffers(n_lines: int, out_size: int) -> Tuple[Tensor, Values, Values]:
    noise = empty(n_lines, out_size, dtype=float32, device="cpu")
    read: Values = noise.numpy()
    return noise, read, np.empty_like(read)
