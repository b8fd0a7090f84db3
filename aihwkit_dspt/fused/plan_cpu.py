"""Learning rates and trains of the vectors of a batch, on the CPU."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, List, Optional, Tuple

import numpy as np
from torch import Tensor

from aihwkit_dspt import fused
from aihwkit_dspt.pulses.batched import BatchedPulses

if TYPE_CHECKING:
    from aihwkit_dspt.stages.uninterrupted import Call
    from aihwkit_dspt.tiles.pipeline import Pipeline

BY_NOBODY, BY_VECTOR, BY_PART = 0, 1, 2
"""What learning rates follow."""

SIZES, N_NUMBERS = 4, 7
"""Of the numbers of a vector, the first one of its sizes, and how many there are."""


class TrainPlan:
    """Finds learning rates and trains of the vectors of a batch whose events are known.

    Nothing of it is kept until the calls of :meth:`keep` are made.

    Args:
        pipeline: the pipeline.
        pulses: the pulses of its fast array.

    Attributes:
        trains: ``[n_vectors, 7]`` slots, scales of columns and rows, and learning rates of the last
            batch, and the three of :func:`~aihwkit_dspt.fused.trains_cpu.sizes_of`.
        current: learning rate of its last vector.
    """

    def __init__(self, pipeline: Pipeline, pulses: BatchedPulses) -> None:
        self.pulses = pulses
        self.by = BY_NOBODY
        if pipeline.fast_lr.auto_scales:
            self.by = BY_PART if pipeline.config.auto_scale_by_batch else BY_VECTOR
        self.trains = np.zeros((1, N_NUMBERS), np.float32)
        self.current = 0.0
        shape = pipeline.fast.weights.shape
        self._places = np.array([*shape, self.by, 0, 0, 0, 0, 0], np.int64)
        self._settings = np.zeros(7)
        self._law: Tuple[float, Any] = -1.0, None

    def __call__(
        self, pipeline: Pipeline, x_vectors: Tensor, d_vectors: Tensor, n_due: Optional[int]
    ) -> float:
        """Plan a batch.

        Args:
            pipeline: the pipeline.
            x_vectors: ``[m_batch, x_size]`` inputs, dense.
            d_vectors: ``[m_batch, d_size]`` errors, dense.
            n_due: lines that are due after the batch, ``None`` for events within it.

        Returns:
            how many pulses a cell takes on average, infinite where trains are too long for words.
        """
        m_batch, places, settings = x_vectors.shape[0], self._places, self._settings
        if len(self.trains) != m_batch:
            self.trains = np.zeros((m_batch, N_NUMBERS), np.float32)
        granularity = pipeline.fast.pulse_granularity
        if self._law[0] != granularity:
            self._law = granularity, self.pulses.train_numbers()
        parts = m_batch, m_batch
        if n_due is None:
            parts = pipeline.link.schedule.parts(m_batch)
        # One by one: to make an array of a tuple takes longer.
        places[3], places[4], places[5] = m_batch, *parts
        places[6], places[7] = x_vectors.data_ptr(), d_vectors.data_ptr()
        fast_lr, rate = pipeline.fast_lr, pipeline.learning_rate
        if self.by == BY_NOBODY:
            settings[0] = fast_lr(rate)
        else:
            numbers = fast_lr.numbers(rate)
            settings[1], settings[2], settings[3], settings[4], settings[5] = numbers[:5]
            settings[6] = numbers[5]
        plan = fused.rates_cpu.plan_trains
        n_pulses: float = plan(places, settings, self._law[1], self.trains)
        self.current = float(settings[0])
        return n_pulses

    def keep(self, pipeline: Pipeline) -> List[Call]:
        """Return the calls that keep rates and averages, to be made in one go with the pulses."""
        pipeline.fast.cpp.set_learning_rate(self.current)  # a part of its state
        if self.by == BY_NOBODY:
            return []
        return [pipeline.fast_lr.keep_last(self.current, *self._settings[4:6].tolist())]
