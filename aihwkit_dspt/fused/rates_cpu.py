"""Trains of the vectors of a batch whose learning rates may follow their size, on the CPU."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import carray
from numpy.typing import NDArray

from aihwkit_dspt.fused.addresses import single_at
from aihwkit_dspt.fused.coincidences_cpu import LONGEST
from aihwkit_dspt.fused.compiled import compiled, compiled_inside
from aihwkit_dspt.fused.trains_cpu import size_of, train_of

Singles = NDArray[np.float32]
Doubles = NDArray[np.float64]


@compiled_inside
def averaged(old: Any, new: Any, rest: Any, n_vectors: Any) -> Any:
    """Return a running average, see :class:`~aihwkit_dspt.tiles.learning_rates.FastLearningRate`.

    Args:
        old: the average.
        new: what is averaged in.
        rest: one minus the momentum.
        n_vectors: of how many parts it is one.
    """
    if not np.float32(0.0) < new < np.float32(np.inf):
        return old
    if not np.float32(0.0) < old < np.float32(np.inf):
        return new
    tau = rest / n_vectors
    return (np.float32(1.0) - tau) * old + tau * new


@compiled
def plan_trains(
    places: NDArray[np.int64], settings: Doubles, law: Doubles, trains: Singles
) -> float:
    r"""Find learning rates and trains of all vectors of a batch.

    Args:
        places: ``(d_size, x_size, by, n_vectors, first, every, x, d)``: whether learning rates
            follow the vectors one by one (1), part by part (2) or not at all (0); vectors up to
            the first event and between events, which end the parts of the batch; the addresses of
            ``[n_vectors, x_size]`` inputs and ``[n_vectors, d_size]`` errors.
        settings: learning rate without scaling; :math:`\mathtt{fast\_lr}\, BL\, \Delta w_{min}`,
            the learning rate of the SGD if it counts (else 1), one minus the momentum, the running
            averages :math:`m_x` and :math:`m_d`, ``auto_scale_limit``. Written: the first one
            becomes the rate of the last vector, and the averages those after it.
        law: see :func:`~aihwkit_dspt.fused.trains_cpu.train_of`.
        trains: ``[n_vectors, 7]``, written: slots, scale of columns, scale of rows, learning rate,
            and the three of :func:`~aihwkit_dspt.fused.trains_cpu.sizes_of`.

    Returns:
        how many pulses a cell takes on average, as long as trains are long enough; infinite where
        trains do not fit words.
    """
    number = np.float32
    d_size, x_size, by, n_vectors = places[0], places[1], places[2], places[3]
    x_values = carray(single_at(places[6]), (n_vectors, x_size))
    d_values = carray(single_at(places[7]), (n_vectors, d_size))
    rate, base, scale = number(settings[0]), number(settings[1]), number(settings[2])
    rest, m_x, m_d = number(settings[3]), number(settings[4]), number(settings[5])
    limit = number(settings[6])
    n_pulses, start, stop = 0.0, 0, places[4]
    x_max, d_max = number(0.0), number(0.0)
    for vector in range(n_vectors):
        x_most, x_sum = size_of(x_values[vector])
        d_most, d_sum = size_of(d_values[vector])
        trains[vector, 4], trains[vector, 5], trains[vector, 6] = x_most, d_most, x_sum * d_sum
    while start < n_vectors:
        if by == 1 or stop > n_vectors or stop <= start:
            stop = start + 1 if by == 1 else n_vectors
        if by > 0:
            x_max = d_max = total = number(0.0)
            for vector in range(start, stop):
                total += trains[vector, 6]
                x_max += trains[vector, 4]
                d_max += trains[vector, 5]
            size = number(stop - start)
            parts = number(n_vectors / (stop - start))
            m_x = averaged(m_x, x_max / size, rest, parts)
            m_d = averaged(m_d, d_max / size, rest, parts)
            rate = base
            if m_x > number(0.0) and m_d > number(0.0):
                unit = m_x * m_d
                total = total / number(d_size * x_size) * parts
                if number(0.0) < limit * unit < total < number(np.inf):
                    unit = total / limit
                rate = rate / unit
            rate = rate * scale
        for vector in range(start, stop):
            n_pulses += rate * trains[vector, 6]
            length, x_scale, d_scale = train_of(trains[vector, 4], trains[vector, 5], rate, law)
            trains[vector, 0], trains[vector, 1], trains[vector, 2] = length, x_scale, d_scale
            trains[vector, 3] = rate
            if length > LONGEST:
                n_pulses = np.inf
        start = stop
        stop = start + places[5]
    settings[0], settings[4], settings[5] = rate, m_x, m_d
    return float(abs(n_pulses) / (law[5] * d_size * x_size))
