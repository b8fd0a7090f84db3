"""A whole update where few cells take pulses, in one compiled call on the CPU."""

from __future__ import annotations

from functools import partial
from operator import is_
from typing import TYPE_CHECKING, Any, List, Optional, Tuple

import numpy as np
from torch import Tensor, float32, from_numpy

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

MOST_CELLS = 2**20
"""Of larger arrays the numbers of the cells would take too much memory."""

MOST_PULSES = 8.0
"""Most pulses of a cell in a batch, on average. With fewer, this is faster than any other form;
with more, passes over all cells are faster on fine devices (measured on 128 x 128 and 256 x 784
cells with 4 and 1,200 states, 1 to 128 vectors: below, it takes 0.3 to 1.0 of the others' time)."""

VECTORS, KINDS, SEED, ARRAYS, N_PLACES = 5, 10, 15, 18, 36
SENT = 3
"""Places of what :func:`~aihwkit_dspt.fused.update_kernels_cpu.update_and_mix` takes."""


class CpuUpdate(FusedUpdate):
    """The update of a batch in which few cells take pulses, with all of its transfers.

    Gradient pulses, reads, BUFFER, ESTIMATE, the pulses of transfers, flips of the chopper, the
    reference and the mixed weight of the cells that change are one compiled call. It equals the
    stages one after the other in distribution, and bit by bit where nothing is random.

    Args:
        pipeline: the pipeline, of one link.
        line: the read.
        transfer: BUFFER and ESTIMATE.
        pulses: pulses of the fast and of the slow array.

    Attributes:
        most_pulses: with more pulses of a cell the update is left to others.
    """

    NAME = "numba-update"
    DEVICE = "cpu"

    def __init__(
        self,
        pipeline: Pipeline,
        line: NumbaLine,
        transfer: CpuTransfer,
        pulses: Tuple[BatchedPulses, BatchedPulses],
    ) -> None:
        self.transfer = transfer
        self.fast, self.slow = fast, slow = pulses
        mixer = pipeline.mixer
        self._mixed: Tuple[Tensor, ...] = ()
        if mixer is not None:
            self._mixed = mixer.mixed.stored, mixer.mixed.output
        gamma = 0.0 if mixer is None else mixer.mixed.gamma
        self.plan, self._columns = TrainPlan(pipeline, fast), pipeline.config.transfer_columns
        kinds = self._columns, mixer is not None, pipeline.link.chopper.has_input
        shape = pipeline.fast.weights.shape
        self._places = np.array([*shape, *kinds, *[0] * (N_PLACES - VECTORS)], np.int64)
        # Of torch's generator, in place: a new tensor for each seed takes some microseconds.
        self._seed = from_numpy(self._places[SEED : SEED + 1])
        noise = fast.write_noise, slow.write_noise
        self._numbers = np.array([gamma, *noise, 0.0, *line.law, *transfer.options], np.float64)
        # What the most pulses of a cell in an event may be.
        self._most = np.arange(int(transfer.options[0]) + 1, dtype=np.float32)
        self._of_lines: Tuple[object, Any] = None, None
        self._keys: Tuple[object, ...] = ()
        self.most_pulses = MOST_PULSES

    @classmethod
    def of(cls, pipeline: Pipeline) -> Optional[CpuUpdate]:
        """Return the form for a pipeline, ``None`` if it has others than the usual stages."""
        parts = usual_parts(pipeline)
        if parts is None or pipeline.fast.weights.numel() > MOST_CELLS:
            return None
        return cls(pipeline, *parts)

    def update(
        self, pipeline: Pipeline, x_vectors: Tensor, d_vectors: Tensor, m_batch: int
    ) -> bool:
        """Do the update, unless cells take many pulses or somebody listens."""
        link, rate = pipeline.link, pipeline.learning_rate
        schedule, counters = link.schedule, pipeline.counters
        if link.listeners or counters.estimates_coincidences or not link.rate.is_on(rate):
            return False
        n_due = schedule.due_at_end(m_batch)
        if (n_due is None and schedule.lines_per_event > 1) or not self._finds(pipeline):
            return False
        x_vectors, d_vectors = x_vectors.contiguous(), d_vectors.contiguous()
        if not self.plan(pipeline, x_vectors, d_vectors, n_due) < self.most_pulses:
            self.fast.keep_sizes(x_vectors, d_vectors, self.plan.trains[:, SIZES:])
            return False
        # Rates that follow the vectors do not reach the transfers, see ``scales_apart``.
        source_lr = pipeline.fast_lr.current if self.plan.by == BY_NOBODY else 1.0
        events = Events(link, m_batch, n_due, rate, source_lr)
        places = self._places
        places[5], places[6], places[7], places[8], places[9] = m_batch, *events.schedule
        self._seed.random_()
        places[16], places[17] = x_vectors.data_ptr(), d_vectors.data_ptr()
        arguments = places, self._numbers, self.plan.trains, events.sweeps, events.flips
        calls = [
            partial(fused.update_kernels_cpu.update_and_mix, *arguments),
            schedule.count_events(m_batch, events.n_events),
            counters.count_update_cycles(m_batch),
            *self.plan.keep(pipeline),
        ]
        if events.n_flips:
            calls.append(link.chopper.follow_signs())
        if events.n_synced:
            calls.append(link.reference.count_syncs(events.n_syncs, events.n_synced))
        in_one_go(*calls)
        self.count(pipeline)
        return True

    def _finds(self, pipeline: Pipeline) -> bool:
        """Return whether the arrays are where the compiled call takes them to be.

        If one of them has been replaced since the last call, all are looked for anew.
        """
        fast, slow, write_lr = self.fast, self.slow, pipeline.link.write_lr
        step = pipeline.slow.pulse_granularity
        if self._of_lines[0] != (write_lr, step):
            trains = slow.trains_of_lines(self._most, self._columns, write_lr)
            self._of_lines = (write_lr, step), np.stack(trains).astype(np.float32)
            self._keys = ()
        cells = fast.cells(), slow.cells()
        own = fast.weights(), pipeline.fast.values
        others = slow.weights(), pipeline.slow.values
        tensors = self.transfer.tensors()
        keys = *cells, *own, *others, *tensors
        if len(keys) == len(self._keys) and all(map(is_, keys, self._keys)):
            return True
        if not all(each.is_contiguous() and each.dtype is float32 for each in tensors):
            return False
        arrays: List[Any] = [*own, *cells[0][1:3], *others, *cells[1][1:3]]
        arrays += [each.numpy() for each in self._mixed] or list(own)
        arrays += [self._of_lines[1], fused.random_bits.NORMALS]
        arrays += [each.numpy() for each in tensors]
        places = self._places
        places[ARRAYS:] = [each.__array_interface__["data"][0] for each in arrays]
        kinds = cells[0].kind, cells[1].kind, int(cells[1].at_once), int(cells[0].at_once)
        places[KINDS:SEED] = *kinds, len(self._most)
        # The key comes last: an interrupt in between leaves the addresses to be found again.
        self._keys = keys
        return True

    def count(self, pipeline: Pipeline) -> None:
        """Count the pulses that the last call has sent to the slow array, if they are not yet."""
        count_sent(pipeline, self._numbers, SENT)
