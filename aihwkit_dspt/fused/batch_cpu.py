"""A batch with transfer events within it, in one compiled call on the CPU."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, Optional, Tuple

import numpy as np
from torch import Tensor

from aihwkit_dspt import fused
from aihwkit_dspt.fused.events import Events
from aihwkit_dspt.fused.line_cpu import NumbaLine
from aihwkit_dspt.fused.plan_cpu import BY_NOBODY, SIZES, TrainPlan
from aihwkit_dspt.fused.transfer_cpu import CpuTransfer
from aihwkit_dspt.fused.update import FusedUpdate
from aihwkit_dspt.fused.usual_cpu import count_sent, usual_parts
from aihwkit_dspt.pulses.batched import BatchedPulses
from aihwkit_dspt.stages.uninterrupted import in_one_go

if TYPE_CHECKING:
    from aihwkit_dspt.tiles.pipeline import Pipeline

MOST_VECTORS = 8
"""Most vectors between two events, on average. With more, the pulses of a chunk at a time are
faster."""


class CpuBatch(FusedUpdate):
    """The update of a batch in which lines are transferred every vector, or every few.

    Gradient pulses, reads, BUFFER, ESTIMATE, the pulses of transfers, flips of the chopper and the
    reference are one compiled call, without Python for each event. It equals the stages one after
    the other in distribution, and bit by bit where nothing is random.

    Args:
        pipeline: the pipeline, of one link.
        line: the read.
        transfer: BUFFER and ESTIMATE.
        pulses: pulses of the fast and of the slow array.
    """

    NAME = "numba-batch"
    DEVICE = "cpu"

    def __init__(
        self,
        pipeline: Pipeline,
        line: NumbaLine,
        transfer: CpuTransfer,
        pulses: Tuple[BatchedPulses, BatchedPulses],
    ) -> None:
        self.transfer = transfer
        self.fast, self.slow = pulses
        self.plan = TrainPlan(pipeline, self.fast)
        self._law = np.array(line.law, np.float64)
        self._options = np.array(transfer.options, np.float64)
        # What the most pulses of a cell in an event may be.
        self._most = np.arange(int(self._options[0]) + 1, dtype=np.float32)
        # Pulses that the last call has sent to the slow array, until they are counted.
        self._sent = np.zeros(1)

    @classmethod
    def of(cls, pipeline: Pipeline) -> Optional[CpuBatch]:
        """Return the form for a pipeline, ``None`` if it has others than the usual stages."""
        parts = usual_parts(pipeline)
        if parts is None or pipeline.link.schedule.lines_per_event > 1:
            return None
        return cls(pipeline, *parts)

    def takes(self, pipeline: Pipeline, m_batch: int) -> bool:
        """Return whether a batch is updated this way: events are due within it, and many."""
        link = pipeline.link
        if link.schedule.due_at_end(m_batch) is not None:
            return False
        if link.listeners or pipeline.counters.estimates_coincidences:
            return False
        return link.schedule.every(m_batch) <= MOST_VECTORS and link.rate.is_on(
            pipeline.learning_rate
        )

    def update(
        self, pipeline: Pipeline, x_vectors: Tensor, d_vectors: Tensor, m_batch: int
    ) -> bool:
        """Do the update, if many events are due within the batch."""
        if not self.takes(pipeline, m_batch):
            return False
        link, rate = pipeline.link, pipeline.learning_rate
        columns, schedule = pipeline.config.transfer_columns, pipeline.link.schedule
        x_vectors, d_vectors = x_vectors.contiguous(), d_vectors.contiguous()
        self.plan(pipeline, x_vectors, d_vectors, None)
        self.fast.keep_sizes(x_vectors, d_vectors, self.plan.trains[:, SIZES:])
        drawn = self.fast.draw(x_vectors, d_vectors, *self.plan.trains[:, 3].tolist())
        self.fast.forget_sizes()
        source_lr = pipeline.fast_lr.current if self.plan.by == BY_NOBODY else 1.0
        events = Events(link, m_batch, None, rate, source_lr)
        own, across = (drawn.columns, drawn.rows) if columns else (drawn.rows, drawn.columns)
        cells, slow = self.fast.cells(), self.slow.cells()
        weights, values = (self.fast.weights(), pipeline.fast.values), cells.values
        if columns:
            weights, values = (weights[0].T, weights[1].T), values.transpose(1, 0, 2)
        hidden, estimate, n_reads, reference, in_sign, out_sign = self.transfer.shared_arrays()
        trains = self.slow.trains_of_lines(self._most, columns, link.write_lr)
        numbers = np.array(events.schedule)
        arguments: Tuple[Any, ...] = (
            *(*weights, cells.kind, values, cells.shared, cells.at_once, *own, *across),
            *(self.fast.write_noise, drawn.ends, numbers, events.sweeps, events.flips),
            *(in_sign, out_sign, hidden, estimate, n_reads, reference, self._law, self._options),
            *(self.slow.weights(), pipeline.slow.values, slow.kind, slow.values, slow.shared),
            *(slow.at_once, self.slow.write_noise, columns, *trains),
            *(self._sent, drawn.seed, fused.random_bits.NORMALS),
        )
        first_line = schedule.line
        in_one_go(
            partial(fused.batch_kernels_cpu.pulse_and_transfer, *arguments),
            schedule.count_events(m_batch, events.n_events),
            pipeline.counters.count_update_cycles(m_batch),
            *self.plan.keep(pipeline),
            link.chopper.follow_signs(),
            link.reference.count_syncs(events.n_syncs, events.n_synced),
        )
        self.count(pipeline)
        if pipeline.mixer is not None and (events.n_flips or events.n_synced or events.may_send):
            for lines in events.lines(first_line, schedule.in_size):
                pipeline.mixer.store(lines, link)
        pipeline.mix()
        return True

    def count(self, pipeline: Pipeline) -> None:
        """Count the pulses that the last call has sent to the slow array, if they are not yet."""
        count_sent(pipeline, self._sent, 0)
