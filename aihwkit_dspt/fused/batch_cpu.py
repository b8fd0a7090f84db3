"""A batch with transfer events within it, in one compiled call on the CPU."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, List, Optional, Tuple

import numpy as np
from torch import Tensor

from aihwkit_dspt import fused
from aihwkit_dspt.fused.form import FusedForm
from aihwkit_dspt.fused.line_cpu import NumbaLine
from aihwkit_dspt.fused.transfer_cpu import CpuTransfer
from aihwkit_dspt.pulses.batched import BatchedPulses
from aihwkit_dspt.stages.reference import Reference
from aihwkit_dspt.stages.uninterrupted import in_one_go

if TYPE_CHECKING:
    from aihwkit_dspt.tiles.link import Link
    from aihwkit_dspt.tiles.pipeline import Pipeline

MOST_VECTORS = 8
"""Most vectors between two events, on average. With more, the pulses of a chunk at a time are
faster."""


class Events:
    """The transfer events within a batch, one line each.

    Args:
        link: what transfers.
        m_batch: vectors of the batch.
        learning_rate: learning rate of the SGD.
        source_lr: that of the pulses to the fast array.

    Attributes:
        schedule: see :func:`~aihwkit_dspt.fused.batch_kernels_cpu.pulse_and_transfer`.
        sweeps: see there.
        flips: see there.
        n_flips: number of signs that flip.
        may_send: whether any of them may send pulses.
    """

    def __init__(self, link: Link, m_batch: int, learning_rate: float, source_lr: Any) -> None:
        schedule = link.schedule
        every = schedule.every(m_batch)
        first = every - schedule.update_count % every
        self.n_events = (m_batch - first) // every + 1
        self.schedule = np.array([self.n_events, first, every, schedule.line])
        self.flips = np.zeros(self.n_events, np.int8)
        rows: List[Tuple[float, float]] = []
        self.n_flips, done, line = 0, 0, schedule.line
        while done < self.n_events:
            # Those of one sweep have nearly everything in common.
            sweep = schedule.sweep + len(rows)
            n_lines = min(schedule.in_size - line, self.n_events - done)
            beta = link.beta(sweep, learning_rate, source_lr)
            rows.append((beta, float(link.timing.writes(sweep))))
            if link.chopper.may_flip(sweep):
                flips = link.chopper.due_one_by_one(n_lines, sweep)
                self.flips[done : done + n_lines] = flips * (2 if link.tracks else 1)
                self.n_flips += int(flips.sum())
            done, line = done + n_lines, 0
        self.sweeps = np.array(rows)
        self.may_send = rows[-1][1] > 0.0

    def lines(self, line: int, in_size: int) -> List[slice]:
        """Return the lines of all events, of which the first one is that of a line."""
        if self.n_events >= in_size:
            return [slice(0, in_size)]
        rest = line + self.n_events - in_size
        parts = [slice(line, min(line + self.n_events, in_size))]
        return [*parts, slice(0, rest)] if rest > 0 else parts


class CpuBatch(FusedForm):
    """The update of a batch in which lines are transferred every vector, or every few.

    Gradient pulses, reads, BUFFER, ESTIMATE, the pulses of transfers, flips of the chopper and the
    reference are one compiled call, without Python for each event. It equals the stages one after
    the other in distribution, and bit by bit where nothing is random.

    Args:
        line: the read.
        transfer: BUFFER and ESTIMATE.
        pulses: pulses of the fast and of the slow array.
    """

    NAME = "numba-batch"
    DEVICE = "cpu"

    def __init__(
        self, line: NumbaLine, transfer: CpuTransfer, pulses: Tuple[BatchedPulses, BatchedPulses]
    ) -> None:
        self.transfer = transfer
        self.fast, self.slow = pulses
        self._law = np.array(line.law, np.float64)
        self._options = np.array(transfer.options, np.float64)
        # What the most pulses of a cell in an event may be.
        self._most = np.arange(int(self._options[0]) + 1, dtype=np.float32)
        # Pulses that the last call has sent to the slow array, until they are counted.
        self._sent = np.zeros(1)

    @classmethod
    def of(cls, pipeline: Pipeline) -> Optional[CpuBatch]:
        """Return the form for a pipeline, ``None`` if it has others than the usual stages."""
        link = pipeline.link
        fast, slow = pipeline.fast.batched, pipeline.slow.batched
        if len(pipeline.links) > 1 or pipeline.fast.is_cuda or link.syncs_every_read:
            return None
        if fast is None or slow is None:
            return None
        if type(link.reference) is not Reference or link.schedule.lines_per_event > 1:
            return None
        if link.chopper.has_output or pipeline.fast_lr.auto_scales:
            return None
        line = link.line_reads.fused
        transfer = link.transfer_stages.fused(link.source.weights.device)
        if isinstance(line, NumbaLine) and isinstance(transfer, CpuTransfer):
            return cls(line, transfer, (fast, slow))
        return None

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

    def update(self, pipeline: Pipeline, x_vectors: Tensor, d_vectors: Tensor) -> None:
        """Do the update, but for the mixed weight.

        Args:
            pipeline: the pipeline.
            x_vectors: ``[m_batch, x_size]`` inputs.
            d_vectors: ``[m_batch, d_size]`` errors.
        """
        link, rate, m_batch = pipeline.link, pipeline.learning_rate, x_vectors.shape[0]
        columns, schedule = pipeline.config.transfer_columns, pipeline.link.schedule
        fast_lr = pipeline.fast_lr(rate)
        pipeline.fast.cpp.set_learning_rate(fast_lr)  # a part of its state
        drawn = self.fast.draw(x_vectors, d_vectors, fast_lr)
        events = Events(link, m_batch, rate, pipeline.fast_lr.current)
        own, across = (drawn.columns, drawn.rows) if columns else (drawn.rows, drawn.columns)
        cells, slow = self.fast.cells(), self.slow.cells()
        weights, values = (self.fast.weights(), pipeline.fast.values), cells.values
        if columns:
            weights, values = (weights[0].T, weights[1].T), values.transpose(1, 0, 2)
        hidden, estimate, n_reads, reference, in_sign, out_sign = self.transfer.shared_arrays()
        trains = self.slow.trains_of_lines(self._most, columns, link.write_lr)
        arguments: Tuple[Any, ...] = (
            *(*weights, cells.kind, values, cells.shared, cells.at_once, *own, *across),
            *(self.fast.write_noise, drawn.ends, events.schedule, events.sweeps, events.flips),
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
            link.chopper.follow_signs(),
            link.reference.count_syncs(events.n_flips if link.tracks else 0),
        )
        self.count(pipeline)
        if pipeline.mixer is not None and (events.n_flips or events.may_send):
            for lines in events.lines(first_line, schedule.in_size):
                pipeline.mixer.store(lines, link)

    def count(self, pipeline: Pipeline) -> None:
        """Count the pulses that the last call has sent to the slow array, if they are not yet."""
        sent = float(self._sent[0])
        if sent > 0.0:
            pipeline.slow.cpp.set_learning_rate(pipeline.link.write_lr)
            counted = pipeline.counters.count_slow_pulses(sent)
            in_one_go(counted, partial(self._sent.fill, 0.0))
